use serde::de::DeserializeOwned;
use siskin_api::{Event, EventBody, Explanation, FibPage, PeerState, RoutesPage, View};

use super::*;

const PLAIN: Look = Look { color: false, person: false, now: 1_790_000_130 };

fn fixture<T: DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).unwrap()
}

macro_rules! fixture {
    ($name:literal) => {
        fixture(include_str!(concat!("../../../api/fixtures/", $name, ".json")))
    };
}

#[test]
fn status_fits_a_screen() {
    insta::assert_snapshot!(status::render(&fixture!("status"), PLAIN));
}

#[test]
fn peers_have_a_line_for_each_family_and_notes_below() {
    insta::assert_snapshot!(peers::render_list(&fixture!("peers"), PLAIN));
    assert_eq!(peers::render_list(&Vec::new(), PLAIN), "No peers are configured.\n");
}

#[test]
fn one_peer_in_full() {
    insta::assert_snapshot!(peers::render_one(&fixture!("peer"), PLAIN));
}

#[test]
fn routes_have_a_line_for_each_path() {
    let page: RoutesPage = fixture!("routes");
    insta::assert_snapshot!(routes::render_table(&page.routes, View::All, PLAIN));
}

#[test]
fn filtered_routes_name_the_rule() {
    let page: RoutesPage = fixture!("routes-filtered");
    insta::assert_snapshot!(routes::render_table(&page.routes, View::Filtered, PLAIN));
}

#[test]
fn detail_has_every_attribute() {
    let page: RoutesPage = fixture!("routes");
    insta::assert_snapshot!(page.routes.iter().map(|r| routes::render_detail(r, PLAIN)).collect::<String>());
}

#[test]
fn fib_and_nexthops() {
    let page: FibPage = fixture!("fib");
    insta::assert_snapshot!("fib", fib::render_table(&page.routes, PLAIN));
    insta::assert_snapshot!("nexthops", fib::render_nexthops(&fixture!("nexthops"), PLAIN));
}

#[test]
fn host_routes_show_where_each_address_is() {
    insta::assert_snapshot!(host_routes::render(&fixture!("host-routes"), PLAIN));
}

#[test]
fn the_last_move_is_shown_first() {
    insta::assert_snapshot!(host_routes::history(&fixture!("host-routes"), PLAIN));
    assert!(host_routes::history(&siskin_api::HostRoutes::default(), PLAIN).starts_with("No address"));
}

#[test]
fn the_guard_says_what_each_port_was_refused() {
    insta::assert_snapshot!("guard", guard::render(&fixture!("guard"), true, PLAIN));
    let mut view: siskin_api::GuardView = fixture!("guard");
    view.filter.state = siskin_api::FilterState::Failed;
    view.filter.error = Some("there is no `nft`: install the package nftables".into());
    view.ports.pop();
    insta::assert_snapshot!("guard-failed", guard::render(&view, false, PLAIN));
}

#[test]
fn rpki_shows_data_and_caches() {
    insta::assert_snapshot!("rpki", rpki::render(&fixture!("rpki"), PLAIN));
    insta::assert_snapshot!("rpki-check", rpki::render_check(&fixture!("rpki-check"), PLAIN));
    let mut status: siskin_api::RpkiStatus = fixture!("rpki");
    status.origin = siskin_api::DataOrigin::Persisted;
    status.age_s = Some(11_000);
    status.gate.as_mut().unwrap().open = false;
    status.gate.as_mut().unwrap().text = "no cache has answered yet, 41 s left".into();
    status.slurm.as_mut().unwrap().error = Some("line 3: no prefix".into());
    insta::assert_snapshot!("rpki-persisted", rpki::render(&status, PLAIN));
    assert!(rpki::render(&siskin_api::RpkiStatus::default(), PLAIN).contains("not validated"));
}

#[test]
fn irr_shows_each_set_and_says_what_its_state_means() {
    insta::assert_snapshot!("irr", irr::render(&fixture!("irr"), PLAIN));
    insta::assert_snapshot!("irr-set", irr::render_set(&fixture!("irr-set"), PLAIN));
    assert!(irr::render(&siskin_api::IrrStatus::default(), PLAIN).contains("No peer uses"));
    let mut status: siskin_api::IrrStatus = fixture!("irr");
    status.sets[1].peers = (1..=30).map(|i| format!("member-{i}")).collect();
    let text = irr::render(&status, PLAIN);
    assert!(text.contains("member-1, member-2, member-3 and 27 more\n"), "{text}");
}

#[test]
fn policies_are_shown_and_tested() {
    insta::assert_snapshot!("policy", policy::render(&fixture!("policy"), PLAIN));
    insta::assert_snapshot!(
        "policy-test-rejected",
        policy::render_test(&fixture!("policy-test-rejected"), PLAIN)
    );
    insta::assert_snapshot!(
        "policy-test-accepted",
        policy::render_test(&fixture!("policy-test-accepted"), PLAIN)
    );
    insta::assert_snapshot!("policy-mrt", policy::render_mrt(&fixture!("policy-mrt"), PLAIN));
    let empty = siskin_api::PolicyMrtReport::default();
    assert!(policy::render_mrt(&empty, PLAIN).contains("0 routes from"));
}

#[test]
fn a_limit_that_is_over_says_what_happens() {
    let mut peers: Vec<siskin_api::PeerSummary> = fixture!("peers");
    let limit = peers[1].families[0].max_prefix.as_mut().unwrap();
    limit.state = siskin_api::LimitState::Over;
    limit.restarts_in_s = Some(840);
    let mut out = limit.clone();
    (out.state, out.limit, out.action) = (siskin_api::LimitState::Warning, Some(3), "warn".into());
    peers[1].families[0].max_prefix_out = Some(out);
    let text = peers::render_list(&peers, PLAIN);
    for line in [
        "transit-a: IPv4 was beyond its limit of 1,500,000 prefixes: the session is down, and tried again in 14m\n",
        "transit-a: IPv4 is sent 3 prefixes, the limit is 3 (warn)\n",
        "transit-b: IPv4 has 900,000 prefixes, the limit is 900,000, received 990,112 of at most 1,000,000 (PeeringDB): \
         no more are taken, 90,112 kept out\n",
        "transit-b: drained: nothing is announced to it\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn a_drained_router_says_so_and_how_to_end_it() {
    let mut drained: siskin_api::Status = fixture!("status");
    drained.drained = true;
    assert!(
        status::render(&drained, PLAIN).contains("Drained        nothing is announced; `siskin undrain`")
    );
}

#[test]
fn the_configuration_in_force_is_an_outline() {
    insta::assert_snapshot!(config::render(&fixture!("config"), PLAIN));
}

#[test]
fn explanations() {
    for (name, explanation) in [
        ("explain-best", fixture!("explain-best")),
        ("explain-losing", fixture!("explain-losing")),
        ("explain-filtered", fixture!("explain-filtered")),
        ("explain-host-route", fixture!("explain-host-route")),
        ("explain-shared", fixture!("explain-shared")),
    ] {
        let explanation: Explanation = explanation;
        insta::assert_snapshot!(name, explain::render(&explanation, PLAIN));
    }
}

#[test]
fn many_peers_with_the_same_outcome_share_a_line() {
    let mut explanation: Explanation = fixture!("explain-best");
    let outcome = explanation.exports[2].clone();
    explanation.exports = (0..500)
        .map(|i| siskin_api::ExportOutcome { peer: format!("client-{i}"), ..outcome.clone() })
        .collect();
    let text = explain::render(&explanation, PLAIN);
    assert!(
        text.contains("not sent  client-0, client-1, client-2 and 497 more  transit-out default"),
        "{text}"
    );
    assert!(text.lines().count() < 40);
}

#[test]
fn falling_off_the_end_of_a_long_policy_reads_well() {
    let mut explanation: Explanation = fixture!("explain-filtered");
    let path = &mut explanation.paths[0];
    let trace = path.policy.as_mut().unwrap();
    let step = |n: usize, matched| siskin_api::PolicyStep {
        rule: format!("transit-in rule {n}"),
        text: format!("add community 64500:{n} if as-path has 64505"),
        matched,
        effect: matched.then(|| format!("community 64500:{n} added")),
    };
    trace.steps = (1..=20).map(|n| step(n, n == 18)).collect();
    trace.rule = "transit-in rule 18".into();
    path.path.rejected =
        Some(siskin_api::Rejection { rule: "default-reject".into(), text: "no rule accepted it".into() });
    insta::assert_snapshot!("explain-default-reject", explain::render(&explanation, PLAIN));
}

#[test]
fn colour_changes_nothing_but_colour() {
    let explanation: Explanation = fixture!("explain-best");
    let colored = explain::render(&explanation, Look { color: true, ..PLAIN });
    assert!(colored.contains("\x1b[32m"));
    let mut plain = String::new();
    let mut parts = colored.split('\x1b');
    plain += parts.next().unwrap();
    for part in parts {
        plain += part.split_once('m').unwrap().1;
    }
    let lines = |text: &str| text.lines().map(|l| l.trim_end().to_owned()).collect::<Vec<_>>();
    assert_eq!(lines(&plain), lines(&explain::render(&explanation, PLAIN)));
}

#[test]
fn events_are_lines_even_when_cut_anywhere() {
    let event = Event {
        at_ms: 1_790_000_010_042,
        body: EventBody::PeerState {
            peer: "transit-a".into(),
            from: PeerState::OpenConfirm,
            to: PeerState::Established,
            error: None,
        },
    };
    assert_eq!(monitor::render(&event), "14:13:30.042Z  peer transit-a: OpenConfirm -> Established");
    let json = serde_json::to_string(&event).unwrap();
    let stream = format!(": hello\n\nevent: peer_state\ndata: {json}\n\n: alive\n\n");
    let mut lines = monitor::Lines::default();
    let found: Vec<_> = stream.as_bytes().chunks(7).flat_map(|c| lines.data(c)).collect();
    assert_eq!(found, [json.into_bytes()]);
}

#[test]
fn events_of_filters_are_lines() {
    let line = |body| monitor::render(&Event { at_ms: 0, body });
    let rpki =
        EventBody::Rpki { announced: 1, withdrawn: 2, paths_judged: 1_200, changed: 3, took_us: 2_340 };
    assert_eq!(
        line(rpki),
        "00:00:00.000Z  rpki: 1 record came, 2 went; of 1,200 paths judged again 3 changed, in 2.3 ms"
    );
    let irr = EventBody::Irr {
        peer: "ix-neighbour".into(),
        state: siskin_api::IrrSetState::Kept,
        text: "AS-EXAMPLE: connection refused".into(),
    };
    assert_eq!(line(irr), "00:00:00.000Z  irr ix-neighbour: kept: AS-EXAMPLE: connection refused");
    let limit = EventBody::Limit {
        peer: "transit-a".into(),
        family: siskin_net::Family::Ipv6,
        state: siskin_api::LimitState::Warning,
        text: "81 % of 1,000".into(),
    };
    assert_eq!(line(limit), "00:00:00.000Z  limit transit-a IPv6: warning: 81 % of 1,000");
    let drain = |peer: Option<&str>, drained| EventBody::Drain { peer: peer.map(str::to_owned), drained };
    assert_eq!(line(drain(None, true)), "00:00:00.000Z  router: drained");
    assert_eq!(line(drain(Some("tor-left"), false)), "00:00:00.000Z  peer tor-left: announces again");
}

#[test]
fn as_numbers_are_read_with_and_without_letters() {
    use clap::Parser;
    let check = |asn: &str| Arguments::try_parse_from(["siskin", "rpki", "check", "192.0.2.0/24", asn]);
    for good in ["64496", "AS64496", "as64496", "4294967295"] {
        assert!(check(good).is_ok(), "{good}");
    }
    for bad in ["AS", "+64496", "AS-EXAMPLE", "4294967296", "\u{e4}\u{e4}"] {
        assert!(check(bad).unwrap_err().to_string().contains("an AS number is expected"), "{bad}");
    }
}

#[test]
fn numbers_and_times_read_well() {
    use crate::words::{duration, number};
    assert_eq!(["0", "12", "999", "1,000", "1,234,567"], [0, 12, 999, 1000, 1_234_567].map(number)[..]);
    let times = [0, 59, 60, 61, 3600, 3661, 86_403, 93_784].map(duration);
    let short = [0, 999, 1_000, 2_349, 999_999, 1_450_000].map(crate::words::microseconds);
    assert_eq!(short, ["0 µs", "999 µs", "1.0 ms", "2.3 ms", "999.9 ms", "1.4 s"]);
    assert_eq!(times, ["0s", "59s", "1m", "1m 1s", "1h", "1h 1m", "1d", "1d 2h"]);
}

#[test]
fn a_peers_text_cannot_reach_the_terminal() {
    let mut peer: siskin_api::PeerDetail = fixture!("peer");
    peer.summary.last_error.as_mut().unwrap().text = Some("\x1b[2Jgone\u{9b}31m".into());
    peer.summary.description = Some("\x1b]0;title\x07".into());
    let text = peers::render_one(&peer, PLAIN);
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    peer.summary.state = PeerState::Idle;
    let text = peers::render_list(&vec![peer.summary], PLAIN);
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
}

/// The reference has a heading for every command, and every example in it parses.
#[test]
fn the_reference_has_every_command() {
    use clap::{CommandFactory, Parser};
    let reference = include_str!("../../../../docs/cli.md");
    for command in Arguments::command().get_subcommands() {
        let heading = format!("## siskin {}", command.get_name());
        assert!(reference.lines().any(|l| l == heading), "docs/cli.md lacks {heading}");
        for action in command.get_subcommands() {
            let form = format!("siskin {} {}", command.get_name(), action.get_name());
            assert!(reference.contains(&form), "docs/cli.md lacks {form}");
        }
    }
    let mut examples = 0;
    let mut in_example = false;
    for line in reference.lines() {
        if line.starts_with("```") {
            in_example = line == "```sh";
        } else if in_example && line.starts_with("siskin ") {
            let line =
                line.split(" #").next().unwrap().split(" | ").next().unwrap().split(" > ").next().unwrap();
            let words = line.split_whitespace().map(std::ffi::OsString::from).collect();
            let words = crate::alias::expand(words).unwrap();
            crate::later::refuse(&words).unwrap();
            if let Err(error) = Arguments::try_parse_from(words) {
                panic!("docs/cli.md: {line}: {error}");
            }
            examples += 1;
        }
    }
    assert!(examples > 20);
}
