//! SLURM files: the shapes of RFC 8416 section 3, what is wrong with others, and what rules do.

use proptest::collection::vec;
use proptest::prelude::*;
use siskin_net::Family;

use super::*;

const V1: &str = r#"{
  "slurmVersion": 1,
  "validationOutputFilters": {
    "prefixFilters": [
      { "prefix": "192.0.2.0/24", "comment": "all within it" },
      { "asn": 64496, "comment": "all of an AS" },
      { "prefix": "198.51.100.0/24", "asn": 64497 }
    ],
    "bgpsecFilters": [ { "asn": 64496, "SKI": "Zm9v" } ]
  },
  "locallyAddedAssertions": {
    "prefixAssertions": [
      { "asn": 64496, "prefix": "198.51.100.0/24", "comment": "ours" },
      { "asn": 64496, "prefix": "2001:DB8::/32", "maxPrefixLength": 48 }
    ],
    "bgpsecAssertions": [ { "asn": 64496, "SKI": "Zm9v", "routerPublicKey": "YmFy" } ]
  }
}"#;

fn vrp(prefix: &str, asn: u32) -> Vrp {
    let prefix: Prefix = prefix.parse().unwrap();
    Vrp { prefix, max_len: prefix.len(), asn: Asn(asn) }
}

fn fault(text: &str) -> String {
    Slurm::parse(text.as_bytes()).err().expect("a fault").to_string()
}

#[test]
fn a_file_of_version_1_is_understood() {
    let slurm = Slurm::parse(V1.as_bytes()).unwrap();
    assert_eq!((slurm.filters, slurm.assertions), (3, 2));
    assert!(!slurm.hides_nothing());
    for (prefix, asn, hidden) in [
        ("192.0.2.0/24", 1, true),
        ("192.0.2.128/25", 1, true),
        ("192.0.0.0/16", 1, false),
        ("203.0.113.0/24", 64496, true),
        ("2001:db8:ffff::/48", 64496, true),
        ("198.51.100.0/24", 64497, true),
        ("198.51.100.0/26", 64497, true),
        ("198.51.100.0/24", 64498, false),
        ("::/0", 1, false),
    ] {
        assert_eq!(slurm.hides(vrp(prefix, asn)), hidden, "{prefix} AS{asn}");
    }
    let asserted = slurm.asserted();
    assert!(asserted.contains(vrp("198.51.100.0/24", 64496)));
    assert!(asserted.contains(Vrp { max_len: 48, ..vrp("2001:db8::/32", 64496) }));
    assert_eq!((asserted.counts()[Family::Ipv4], asserted.counts()[Family::Ipv6]), (1, 1));
}

#[test]
fn version_2_has_aspas_under_the_names_of_each_draft() {
    for (filter, assertion) in
        [("customerAsn", "customerAsn"), ("customerAsid", "customerAsid"), ("customerAsid", "customerAsn")]
    {
        let text = format!(
            r#"{{"slurmVersion": 2,
            "validationOutputFilters": {{"prefixFilters": [], "aspaFilters": [{{"{filter}": 64496}}]}},
            "locallyAddedAssertions": {{"aspaAssertions": [
                {{"{assertion}": 64496, "providerAsns": [64499, 64498], "comment": "x"}},
                {{"{assertion}": 64496, "providerAsns": [64497, 64498]}}]}}}}"#
        );
        let slurm = Slurm::parse(text.as_bytes()).unwrap();
        assert!(slurm.hides_customer(Asn(64496)) && !slurm.hides_customer(Asn(64497)));
        let providers = vec![Asn(64497), Asn(64498), Asn(64499)];
        assert_eq!(slurm.aspas().collect::<Vec<_>>(), [Aspa { customer: Asn(64496), providers }]);
    }
}

#[test]
fn faults_name_their_place() {
    assert!(fault("{").contains("line 1"));
    let unknown = V1.replace("maxPrefixLength", "maxPrefixLenght");
    assert!(fault(&unknown).contains("unknown field `maxPrefixLenght`"), "{}", fault(&unknown));
    assert!(fault(&unknown).contains("line 14"), "{}", fault(&unknown));
    let host_bits = V1.replace("192.0.2.0/24", "192.0.2.1/24");
    assert!(fault(&host_bits).contains("did you mean 192.0.2.0/24"), "{}", fault(&host_bits));
    assert!(fault(&V1.replace("64497", "\"\"")).contains("invalid type"));
    assert!(fault(&V1.replace(": 48", ": 31")).contains("must be from 32 to 128, not 31"));
    assert!(fault(&V1.replace(": 48", ": 129")).contains("not 129"));
    assert_eq!(fault(r#"{"slurmVersion": 3}"#), "slurmVersion is 3; 1 and 2 are known");
    assert!(fault("{}").contains("slurmVersion"));
    let nothing = r#"{"slurmVersion": 1, "validationOutputFilters": {"prefixFilters": [{"comment": "?"}]}}"#;
    assert_eq!(fault(nothing), "a prefix filter with neither a prefix nor an AS");
    let early = r#"{"slurmVersion": 1, "validationOutputFilters": {"aspaFilters": [{"customerAsn": 1}]}}"#;
    assert_eq!(fault(early), "ASPA filters and assertions need slurmVersion 2");
    let nobody = r#"{"slurmVersion": 2, "locallyAddedAssertions":
        {"aspaAssertions": [{"customerAsn": 1, "providerAsns": []}]}}"#;
    assert!(fault(nobody).contains("has no provider"));
}

#[test]
fn a_missing_file_is_a_fault() {
    let missing = Slurm::read(Path::new("/nonexistent/slurm.json"));
    assert!(missing.err().expect("a fault").to_string().contains("No such file"));
}

#[test]
fn united_aspas_have_all_providers_and_as_0_yields() {
    let aspa = |customer: u32, providers: &[u32]| Aspa {
        customer: Asn(customer),
        providers: providers.iter().map(|p| Asn(*p)).collect(),
    };
    let united =
        unite([aspa(2, &[0]), aspa(1, &[7, 5]), aspa(1, &[6, 5]), aspa(2, &[9]), aspa(3, &[0])].into_iter());
    assert_eq!(united, [aspa(1, &[5, 6, 7]), aspa(2, &[9]), aspa(3, &[0])]);
}

/// Filters and VRPs in a small world, so that they meet.
fn any_prefix() -> impl Strategy<Value = Prefix> {
    (any::<bool>(), 0u128..8, 0u8..6).prop_map(|(v4, bits, len)| {
        Prefix::from_bits(if v4 { Family::Ipv4 } else { Family::Ipv6 }, bits << 123, len)
    })
}

proptest! {
    #[test]
    fn filters_do_what_the_rfc_says(
        filters in vec((proptest::option::of(any_prefix()), proptest::option::of(0u32..4)), 0..6),
        prefix in any_prefix(), asn in 0u32..4
    ) {
        let filters: Vec<_> = filters.into_iter().filter(|(p, a)| p.is_some() || a.is_some()).collect();
        let json: Vec<_> = filters
            .iter()
            .map(|(prefix, asn)| {
                let prefix = prefix.map(|p| format!("\"prefix\": \"{p}\""));
                let asn = asn.map(|a| format!("\"asn\": {a}"));
                format!("{{{}}}", prefix.into_iter().chain(asn).collect::<Vec<_>>().join(","))
            })
            .collect();
        let text = format!(
            r#"{{"slurmVersion": 1, "validationOutputFilters": {{"prefixFilters": [{}]}}}}"#,
            json.join(",")
        );
        let slurm = Slurm::parse(text.as_bytes()).unwrap();
        let expected = filters.iter().any(|(p, a)| {
            p.is_none_or(|p| p.covers(prefix)) && a.is_none_or(|a| a == asn)
        });
        prop_assert_eq!(slurm.hides(Vrp { prefix, max_len: prefix.len(), asn: Asn(asn) }), expected);
    }

    #[test]
    fn no_text_breaks_the_reader(cut in 0usize..900, at in 0usize..900, octet in any::<u8>()) {
        let mut text = V1.as_bytes().to_vec();
        let length = text.len();
        text[at % length] = octet;
        text.truncate(cut.max(1));
        if let Ok(slurm) = Slurm::parse(&text) {
            prop_assert!(slurm.filters <= 3 && slurm.assertions <= 2);
        }
    }
}
