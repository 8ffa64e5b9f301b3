//! Policies as text, and tests of them without a route: `siskin policy show`, `siskin policy test`, and a whole table from
//! an MRT file.

use siskin_interop::Result;
use siskin_interop::lab::lab;
use siskin_interop::siskin::Siskin;
use siskin_interop::table;

const CONFIG: &str = r#"asn = 64500
router-id = "10.0.0.2"

[kernel]
install = false

[peer.upstream]
address = "10.0.0.1"
asn = 1299
role = "provider"

[peer.lateral]
address = "10.0.0.3"
asn = 3333
import = "mine"
export = "reject-all"
role = "peer"

[policy.mine]
rules = ["reject \"not from there\" if as-path has 15169", "set local-pref 150", "accept"]
"#;

#[test]
fn policies_are_shown_and_tested_without_a_route() -> Result {
    lab("policies", |lab| {
        let us = lab.ns("us")?;
        let siskin = Siskin::start(&us, CONFIG)?;
        let shown = siskin.cli_text(&["policy", "show", "lateral"])?;
        for expected in [
            "transit-asn",
            "reject \"path-length\" if as-path.len > 100",
            "mine rule 1",
            "reject \"not from there\" if as-path has 15169",
        ] {
            assert!(shown.contains(expected), "{expected}:\n{shown}");
        }
        let test = |peer: &str, prefix: &str, path: &str| {
            siskin.cli(&["policy", "test", peer, prefix, "--as-path", path, "--json"])
        };
        for (peer, prefix, path, code, rule, text) in [
            ("lateral", "20.0.0.0/16", "3333 20", 0, "mine rule 3", ""),
            ("lateral", "20.0.0.0/16", "3333 15169", 1, "mine rule 1", "not from there"),
            ("lateral", "20.0.0.0/16", "3333 3356", 1, "transit-asn", "3356 in the path"),
            ("lateral", "20.0.0.0/25", "3333 20", 1, "prefix-length", "/25 is not within /8 to /24"),
            ("lateral", "10.0.0.0/16", "3333 20", 1, "bogon-prefix", "10.0.0.0/16"),
            ("upstream", "20.0.0.0/16", "1299 3356", 0, "(provider import) rule", ""),
        ] {
            let output = test(peer, prefix, path)?;
            let answer: serde_json::Value = serde_json::from_slice(&output.stdout)?;
            assert_eq!(output.status.code(), Some(code), "{answer}");
            assert!(answer["rule"].as_str().is_some_and(|r| r.starts_with(rule)), "{answer}");
            assert!(answer["text"].as_str().is_some_and(|t| t.contains(text)), "{answer}");
        }
        let accepted =
            siskin.cli_json(&["policy", "test", "lateral", "20.0.0.0/16", "--as-path", "3333 20"])?;
        assert_eq!(accepted["attributes"]["local_pref"], 150, "{accepted}");
        Ok(())
    })
}

#[test]
fn a_whole_table_is_run_through_a_policy() -> Result {
    lab("policies-mrt", |lab| {
        let us = lab.ns("us")?;
        let siskin = Siskin::start(&us, CONFIG)?;
        // Two peers, each with so many prefixes of each family.
        let file = table::make_own(500)?.display().to_string();
        let output = siskin.cli(&["policy", "test", "--mrt", &file, "lateral", "--json"])?;
        let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        assert_eq!(output.status.code(), Some(1), "{report}");
        assert_eq!(report["routes"], 2_000, "{report}");
        let rules = report["by_rule"].as_array().cloned().unwrap_or_default();
        let counted: u64 = rules.iter().filter_map(|rule| rule["count"].as_u64()).sum();
        assert_eq!(counted, 2_000, "every route is some rule's: {report}");
        let named =
            |name: &str| rules.iter().find(|rule| rule["rule"] == name).map(|rule| rule["count"].clone());
        assert_eq!(
            named("transit-asn"),
            Some(2_000.into()),
            "both peers of the table sell transit: {report}"
        );

        let missing = siskin.cli(&["policy", "test", "--mrt", "/nowhere.mrt", "lateral"])?;
        assert!(!missing.status.success());
        assert!(String::from_utf8_lossy(&missing.stderr).contains("/nowhere.mrt"), "the file is named");
        Ok(())
    })
}
