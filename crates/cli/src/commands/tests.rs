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
fn numbers_and_times_read_well() {
    use crate::words::{duration, number};
    assert_eq!(["0", "12", "999", "1,000", "1,234,567"], [0, 12, 999, 1000, 1_234_567].map(number)[..]);
    let times = [0, 59, 60, 61, 3600, 3661, 86_403, 93_784].map(duration);
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
