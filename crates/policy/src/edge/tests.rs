//! The policies of roles, who sent it by to whom it goes, and the texts of the checks.

use std::net::IpAddr;
use std::sync::Arc;

use siskin_bgp::PathAttributes;
use siskin_bgp::attr::{AsPath, Community};
use siskin_net::{Family, Prefix, RouteSource};

use super::*;
use crate::*;

const OWN: Asn = Asn(64500);
const MARK: siskin_bgp::attr::LargeCommunity = blackhole_community(OWN);
const ROLES: [Role; 5] =
    [Role::Provider, Role::Peer, Role::RouteServer, Role::Customer, Role::RouteServerClient];

fn compile(rules: Vec<String>) -> Arc<Compiled> {
    let rules = rules.into_iter().map(|text| RuleSource { text, location: "built in".to_owned() });
    let source = PolicySource { name: "edge".to_owned(), rules: rules.collect() };
    let set = PolicySet::compile(vec![source], &Sets::default()).unwrap();
    assert_eq!(set.warnings(), []);
    set.get("edge").unwrap()
}

/// The policies of roles are shown as they are written.
fn compile_normal(rules: Vec<String>) -> Arc<Compiled> {
    let normal: Vec<String> = rules.iter().map(|rule| normalize(rule).unwrap()).collect();
    assert_eq!(rules, normal);
    compile(rules)
}

fn has(attributes: &PathAttributes, community: &str) -> bool {
    community.parse::<CommunityValue>().unwrap().is_in(attributes)
}

fn with(communities: &[&str]) -> PathAttributes {
    let mut attributes = PathAttributes::originated("192.0.2.1".parse().unwrap());
    attributes.as_path = AsPath::from_sequence([Asn(64499)]);
    communities.iter().for_each(|c| c.parse::<CommunityValue>().unwrap().add_to(&mut attributes));
    attributes
}

/// Where a route entered, in another AS's eyes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Entry {
    /// We make it ourselves, here.
    Here,
    /// A peer of this role, here.
    Peer(Role),
    /// A peer of our own AS, with this informational community or none.
    Inside(Option<u32>),
}

fn run(policy: &Compiled, from: Entry, mut attributes: PathAttributes) -> Verdict {
    let peer = |role| Some(PeerView { name: "p", asn: Asn(64499), role });
    let (source, peer) = match from {
        Entry::Here => (RouteSource::Originate, None),
        Entry::Peer(role) => (RouteSource::Bgp, peer(Some(role))),
        Entry::Inside(_) => (RouteSource::Bgp, peer(None)),
    };
    if let Entry::Inside(Some(number)) = from {
        let community: CommunityValue = format!("{OWN}:0:{number}").parse().unwrap();
        community.add_to(&mut attributes);
    }
    let prefix = "192.0.2.0/24".parse().unwrap();
    evaluate(policy, RouteView { prefix, attributes: &attributes, source, peer }, &NoFacts)
}

/// What import made of a route from a peer of this role.
fn imported(role: Role, communities: &[&str]) -> PathAttributes {
    let policy = compile_normal(import_rules(role, OWN, None));
    assert!(!policy.depends_on_prefix(), "one run serves a whole UPDATE");
    let verdict = run(&policy, Entry::Peer(role), with(communities));
    assert_eq!(verdict.outcome, Outcome::Accept);
    verdict.attributes.unwrap()
}

#[test]
fn import_by_role() {
    for (role, preference, origin) in [
        (Role::Provider, 80, 101),
        (Role::RouteServer, 90, 102),
        (Role::Peer, 100, 102),
        (Role::Customer, 200, 103),
        (Role::RouteServerClient, 200, 102),
    ] {
        let forged = ["64500:0:100", "64500:0:103", "64500:1:200", "64500:2:1", "64499:0:1", "64500:7"];
        let attributes = imported(role, &forged);
        assert_eq!(attributes.local_pref, Some(preference), "{role:?}");
        for number in [100, 101, 102, 103] {
            assert_eq!(has(&attributes, &format!("64500:0:{number}")), number == origin, "{role:?} {number}");
        }
        let below = matches!(role, Role::Customer | Role::RouteServerClient);
        assert_eq!(has(&attributes, "64500:1:200"), below, "{role:?}");
        assert_eq!(has(&attributes, "64500:2:1"), below, "{role:?}");
        assert!(has(&attributes, "64499:0:1") && has(&attributes, "64500:7"), "{role:?}");
        assert_eq!(imported(role, &["graceful-shutdown"]).local_pref, Some(0), "{role:?}");
        let own_key = compile_normal(import_rules(role, OWN, Some(123)));
        let preferred = |communities: &[&str]| {
            run(&own_key, Entry::Peer(role), with(communities)).attributes.unwrap().local_pref
        };
        assert_eq!(preferred(&[]), Some(123), "{role:?}");
        assert_eq!(preferred(&["graceful-shutdown"]), Some(0), "{role:?}");
    }
}

#[test]
fn export_by_role_and_origin() {
    use Entry::*;
    let ours =
        [Here, Inside(Some(100)), Inside(Some(103)), Peer(Role::Customer), Peer(Role::RouteServerClient)];
    let others = [
        Peer(Role::Provider),
        Peer(Role::Peer),
        Peer(Role::RouteServer),
        Inside(None),
        Inside(Some(101)),
        Inside(Some(102)),
    ];
    for role in ROLES {
        let below = matches!(role, Role::Customer | Role::RouteServerClient);
        for peer in [None, Some(Asn(64499))] {
            let policy = compile_normal(export_rules(role, OWN, peer));
            assert!(!policy.depends_on_prefix());
            for from in ours {
                assert_eq!(run(&policy, from, with(&[])).outcome, Outcome::Accept, "{from:?} to {role:?}");
            }
            for from in others {
                let accepted = run(&policy, from, with(&[])).outcome == Outcome::Accept;
                assert_eq!(accepted, below, "{from:?} to {role:?}");
            }
            for from in ours.into_iter().chain(others) {
                for mark in ["blackhole", "64500:1:666"] {
                    let outcome = run(&policy, from, with(&[mark])).outcome;
                    assert_eq!(outcome, Outcome::Reject, "{mark} {from:?} to {role:?}");
                }
            }
        }
    }
}

/// The AS numbers that export put before a route, or none if it was not sent.
fn sent(role: Role, peer: Option<Asn>, from: Entry, communities: &[&str]) -> Option<usize> {
    let policy = compile_normal(export_rules(role, OWN, peer));
    let verdict = run(&policy, from, with(communities));
    if verdict.outcome == Outcome::Reject {
        return None;
    }
    let attributes = verdict.attributes.unwrap_or_else(|| with(communities));
    for action in ["64500:1:*", "64500:2:*", "64500:301-303:*"] {
        let pattern: CommunityPattern = action.parse().unwrap();
        let left = attributes.large_communities.iter().any(|c| pattern.matches(CommunityValue::Large(*c)));
        assert!(!left, "{action} is nobody else's business");
    }
    Some(attributes.as_path.count(OWN))
}

#[test]
fn action_communities_on_own_and_customer_routes() {
    let customer = Entry::Peer(Role::Customer);
    let peer = Some(Asn(64499));
    for role in ROLES {
        let number = match role {
            Role::Provider => 200,
            Role::Peer | Role::RouteServer => 201,
            Role::Customer | Role::RouteServerClient => 202,
        };
        for from in [customer, Entry::Here, Entry::Inside(Some(103))] {
            for asked in [200, 201, 202] {
                let went = sent(role, None, from, &[&format!("64500:1:{asked}")]);
                assert_eq!(went.is_none(), asked == number, "{asked} from {from:?} to {role:?}");
            }
            assert_eq!(sent(role, peer, from, &["64500:2:64499"]), None);
            assert_eq!(sent(role, peer, from, &["64500:2:64498"]), Some(0));
            assert_eq!(sent(role, None, from, &["64500:2:64499"]), Some(0));
            for (communities, times) in [
                (&["64500:1:301"][..], 1),
                (&["64500:1:302"], 2),
                (&["64500:1:303"], 3),
                (&["64500:303:64499"], 3),
                (&["64500:303:64498"], 0),
                (&["64500:1:301", "64500:302:64499"], 2),
                (&["64500:1:303", "64500:301:64499"], 3),
                (&["64500:1:301", "64500:1:302", "64500:1:303"], 3),
            ] {
                assert_eq!(sent(role, peer, from, communities), Some(times), "{communities:?} to {role:?}");
            }
        }
    }
}

#[test]
fn nobody_else_is_heeded() {
    for from in [Entry::Peer(Role::Peer), Entry::Inside(Some(101)), Entry::Inside(None)] {
        let asked = ["64500:1:202", "64500:2:64499", "64500:1:303", "64500:303:64499"];
        assert_eq!(sent(Role::Customer, Some(Asn(64499)), from, &asked), Some(0), "{from:?}");
    }
    let customer = compile_normal(export_rules(Role::Customer, OWN, None));
    let kept = run(&customer, Entry::Inside(Some(101)), with(&["64499:1:200"]));
    assert_eq!(kept.attributes, None, "where it came from stays visible, as do others' communities");
}

#[test]
fn blackhole_import() {
    let mut rules = blackhole_import_rules(OWN);
    rules.extend(import_rules(Role::Customer, OWN, None));
    let policy = compile_normal(rules);
    for mark in ["blackhole", "64500:1:666"] {
        let verdict = run(&policy, Entry::Peer(Role::Customer), with(&[mark]));
        assert_eq!(verdict.next_hop, NextHopAction::Blackhole);
        assert!(has(&verdict.attributes.unwrap(), "no-export"));
    }
    let own = Own { asn: OWN, blackhole: siskin_bgp::attr::LargeCommunity(64500, 66, 6) };
    let mut rules = blackhole_import_rules(own);
    rules.extend(import_rules(Role::Customer, own, None));
    let (another, export) = (compile_normal(rules), compile_normal(export_rules(Role::Peer, own, None)));
    for (mark, next_hop) in
        [("64500:66:6", NextHopAction::Blackhole), ("64500:1:666", NextHopAction::Default)]
    {
        let from = Entry::Peer(Role::Customer);
        assert_eq!(run(&another, from, with(&[mark])).next_hop, next_hop, "{mark}");
        let exported = run(&export, from, with(&[mark])).outcome == Outcome::Accept;
        assert_eq!(exported, next_hop == NextHopAction::Default, "{mark}");
    }
    let plain = run(&policy, Entry::Peer(Role::Customer), with(&[]));
    assert_eq!(plain.next_hop, NextHopAction::Default);
    assert!(!has(&plain.attributes.unwrap(), "no-export"));
}

#[test]
fn the_shipped_lists() {
    let bogons: Vec<PrefixPattern> = BOGON_PREFIXES.iter().map(|text| text.parse().unwrap()).collect();
    assert!(bogons.iter().all(|p| p.lengths() == (p.prefix().len(), p.prefix().family().max_len())));
    let bogons: PrefixSet = bogons.into_iter().collect();
    let bogon = |text: &str| bogons.contains(text.parse().unwrap());
    for text in
        ["10.1.0.0/16", "192.0.0.0/24", "240.0.0.0/4", "2001:db8:1::/48", "2002::/16", "fd00::/8", "4000::/3"]
    {
        assert!(bogon(text), "{text}");
    }
    for text in
        ["8.8.8.0/24", "192.0.1.0/24", "0.0.0.0/0", "::/0", "2001:500::/32", "2600::/12", "2001:4860::/32"]
    {
        assert!(!bogon(text), "{text}");
    }
    assert!(BOGON_ASNS.iter().all(|(first, last)| first <= last));
    assert!(BOGON_ASNS.is_sorted() && TRANSIT_ASNS.is_sorted());
    assert_eq!(local_pref(Role::RouteServer), 90);
}

/// A route that no check objects to.
fn clean() -> PathAttributes {
    let mut attributes = with(&[]);
    attributes.as_path = AsPath::from_sequence([Asn(1000), Asn(2000)]);
    attributes.next_hop = siskin_net::NextHop::new("198.18.0.7".parse().unwrap());
    attributes
}

struct Answers {
    irr: bool,
    rpki: Rpki,
}

impl Facts for Answers {
    fn rpki(&self, _: Prefix, _: Option<Asn>) -> Option<Rpki> {
        Some(self.rpki)
    }
    fn aspa(&self, _: &AsPath, _: Option<PeerView<'_>>) -> Option<Aspa> {
        Some(if self.irr { Aspa::Valid } else { Aspa::Invalid })
    }
    fn irr(&self, _: &str, _: Prefix, _: Option<Asn>) -> Option<bool> {
        Some(self.irr)
    }
    fn irr_covers(&self, _: &str, _: Prefix) -> Option<bool> {
        Some(self.irr)
    }
    fn irr_origin(&self, _: &str, _: Option<Asn>) -> Option<bool> {
        Some(self.irr)
    }
}

const GOOD: Answers = Answers { irr: true, rpki: Rpki::Valid };
const BAD: Answers = Answers { irr: false, rpki: Rpki::Invalid };

/// Whether the rules, and nothing after them, reject the route; each must say its check's name.
fn rejects(
    name: &str,
    rules: Vec<String>,
    prefix: &str,
    attributes: &PathAttributes,
    facts: &Answers,
) -> bool {
    assert!(rules.iter().all(|rule| rule.starts_with(&format!("reject \"{name}\""))), "{rules:?}");
    let policy = compile(rules.into_iter().chain(["accept".to_owned()]).collect());
    let peer = PeerView { name: "p", asn: Asn(1000), role: Some(Role::Customer) };
    let route =
        RouteView { prefix: prefix.parse().unwrap(), attributes, source: RouteSource::Bgp, peer: Some(peer) };
    evaluate(&policy, route, facts).outcome == Outcome::Reject
}

/// A check's rules, a clean route that they let pass, and changes of it that they do not.
#[test]
fn checks_of_attributes() {
    type Change = fn(&mut PathAttributes);
    let own = [OWN, Asn(64501)];
    let path = |asns: &[u32]| AsPath::from_sequence(asns.iter().copied().map(Asn));
    let address: IpAddr = "198.18.0.7".parse().unwrap();
    let own_addresses: [IpAddr; 1] = ["198.18.0.1".parse().unwrap()];
    let cases: Vec<(&str, Vec<String>, Change)> = vec![
        ("as-loop", checks::as_loop_rule(&own, 0).into_iter().collect(), |a| {
            a.as_path = a.as_path.prepended(Asn(64501), 1);
        }),
        ("first-as", vec![checks::first_as_rule(Asn(1000))], |a| {
            a.as_path = a.as_path.prepended(Asn(3000), 1);
        }),
        ("originator-loop", vec![checks::originator_loop_rule("192.0.2.9".parse().unwrap())], |a| {
            a.originator_id = Some("192.0.2.9".parse().unwrap());
        }),
        ("cluster-loop", vec![checks::cluster_loop_rule(7)], |a| a.cluster_list.push(7)),
        ("own-next-hop", checks::own_next_hop_rules(&own_addresses), |a| {
            a.next_hop = siskin_net::NextHop::new("198.18.0.1".parse().unwrap());
        }),
        ("martian", vec![checks::martian_rule()], |a| {
            a.next_hop = siskin_net::NextHop::new("127.0.0.1".parse().unwrap());
        }),
        ("role-leak", checks::role_leak_rule(Role::Customer, Asn(1000)).into_iter().collect(), |a| {
            a.otc = Some(Asn(1000));
        }),
        ("role-leak", checks::role_leak_rule(Role::Peer, Asn(1000)).into_iter().collect(), |a| {
            a.otc = Some(Asn(2000));
        }),
        ("bogon-asn", checks::bogon_asn_rules(BOGON_ASNS), |a| {
            a.as_path = a.as_path.prepended(Asn(64999), 1);
        }),
        ("path-length", vec![checks::path_length_rule(MAX_PATH_LEN)], |a| {
            a.as_path = a.as_path.prepended(Asn(1000), 99);
        }),
        ("next-hop", checks::next_hop_rule(address).into_iter().collect(), |a| {
            a.next_hop = siskin_net::NextHop::new("198.18.0.8".parse().unwrap());
        }),
        ("transit-asn", checks::transit_asn_rules(TRANSIT_ASNS, Asn(174)), |a| {
            a.as_path = a.as_path.prepended(Asn(3356), 1);
        }),
        ("never-via-route-server", checks::never_via_route_server_rules(&[5, 6]), |a| {
            a.as_path = a.as_path.prepended(Asn(6), 1);
        }),
        ("blocklist", checks::blocklist_rules(&["8.8.8.0/24+".parse().unwrap()], &[(7, 9)]), |a| {
            a.as_path = a.as_path.prepended(Asn(8), 1);
        }),
        ("blackhole", vec![checks::blackhole_rule(MARK, true)], |a| {
            "blackhole".parse::<CommunityValue>().unwrap().add_to(a);
        }),
    ];
    for (name, rules, change) in cases {
        let mut attributes = clean();
        assert!(!rejects(name, rules.clone(), "192.88.98.0/24", &attributes, &GOOD), "{name}: clean");
        change(&mut attributes);
        assert!(rejects(name, rules, "192.88.98.0/24", &attributes, &GOOD), "{name}: changed");
    }
    let mut loops = clean();
    for (times, allowed, rejected) in [(1, 1, false), (2, 1, true), (2, 2, false), (3, 2, true)] {
        loops.as_path = path(&[1000, 2000]).prepended(OWN, times);
        let rules = checks::as_loop_rule(&own, allowed).into_iter().collect();
        assert_eq!(
            rejects("as-loop", rules, "192.0.2.0/24", &loops, &GOOD),
            rejected,
            "{times} of {allowed}"
        );
    }
    loops.as_path = path(&[64501, 1000, 64500, 2000]);
    let rules = checks::as_loop_rule(&own, 1).into_iter().collect();
    assert!(rejects("as-loop", rules, "192.0.2.0/24", &loops, &GOOD), "apart");
    let mut lateral = clean();
    lateral.otc = Some(Asn(1000));
    let rules = checks::role_leak_rule(Role::Peer, Asn(1000)).into_iter().collect();
    assert!(!rejects("role-leak", rules, "192.0.2.0/24", &lateral, &GOOD), "set by the peer itself");
    let mut cogent = clean();
    cogent.as_path = path(&[174, 2000]);
    let rules = checks::transit_asn_rules(TRANSIT_ASNS, Asn(174));
    assert!(!rejects("transit-asn", rules, "192.0.2.0/24", &cogent, &GOOD), "the peer itself");
    assert_eq!(checks::as_loop_rule(&[], 0), None);
    assert_eq!(checks::next_hop_rule("fe80::1".parse().unwrap()), None);
    let mut six = clean();
    six.next_hop = siskin_net::NextHop::new("2001:db8::1".parse().unwrap());
    for (peer, rejected) in [("198.18.0.7", false), ("2001:db8::1", false), ("2001:db8::2", true)] {
        let rules = checks::next_hop_rule(peer.parse().unwrap()).into_iter().collect();
        assert_eq!(rejects("next-hop", rules, "2600::/32", &six, &GOOD), rejected, "{peer}");
    }
    assert_eq!(checks::role_leak_rule(Role::Provider, Asn(1)), None);
}

#[test]
fn checks_of_prefixes() {
    let lengths = |blackhole| {
        checks::prefix_length_rule(PREFIX_LENGTHS_V4, PREFIX_LENGTHS_V6, blackhole).into_iter().collect()
    };
    let bogons: Vec<PrefixPattern> = BOGON_PREFIXES.iter().map(|text| text.parse().unwrap()).collect();
    let own = ["8.8.0.0/16".parse().unwrap()];
    type Case = (&'static str, Vec<String>, &'static [&'static str], &'static [&'static str]);
    let table: Vec<Case> = vec![
        (
            "prefix-length",
            lengths(None),
            &["9.0.0.0/8", "8.8.8.0/24", "2600::/12", "2600:1::/48"],
            &["8.0.0.0/7", "8.8.8.0/25", "2600::/11", "2600:1::/49", "0.0.0.0/0"],
        ),
        (
            "bogon-prefix",
            checks::bogon_prefix_rules(&bogons),
            &["8.8.8.0/24"],
            &["10.0.0.0/8", "2001:db8::/33"],
        ),
        (
            "own-prefix",
            checks::own_prefix_rules(&own),
            &["8.0.0.0/8", "8.9.0.0/16"],
            &["8.8.0.0/16", "8.8.8.0/24"],
        ),
        (
            "martian",
            vec![checks::martian_rule()],
            &["8.8.8.0/24", "::/0", "0.0.0.0/0"],
            &["0.0.0.0/8", "127.1.0.0/16", "239.0.0.0/8", "::1/128", "fe80::/64", "ff02::/16"],
        ),
        (
            "blocklist",
            checks::blocklist_rules(&["8.8.8.0/24+".parse().unwrap()], &[]),
            &["8.8.0.0/16"],
            &["8.8.8.8/32"],
        ),
    ];
    for (name, rules, good, bad) in table {
        for (prefix, rejected) in good.iter().map(|p| (p, false)).chain(bad.iter().map(|p| (p, true))) {
            assert_eq!(rejects(name, rules.clone(), prefix, &clean(), &GOOD), rejected, "{name} {prefix}");
        }
    }
    let marked = with(&["64500:1:666"]);
    assert!(!rejects("prefix-length", lengths(Some(MARK)), "8.8.8.8/32", &marked, &GOOD), "exempt");
    assert!(rejects("prefix-length", lengths(Some(MARK)), "8.8.8.8/32", &clean(), &GOOD));
    let irr = |blackhole| vec![checks::irr_rule(false, blackhole)];
    assert!(!rejects("irr", irr(Some(MARK)), "8.8.8.8/32", &marked, &BAD), "left to the blackhole check");
    assert!(rejects("irr", irr(None), "8.8.8.8/32", &marked, &BAD));
    for (prefix, facts, rejected) in [
        ("8.8.8.8/32", &GOOD, false),
        ("8.8.8.8/32", &BAD, true),
        ("2600::1/128", &GOOD, false),
        ("8.8.8.0/24", &GOOD, true),
    ] {
        assert_eq!(
            rejects("blackhole", vec![checks::blackhole_rule(MARK, true)], prefix, &marked, facts),
            rejected
        );
        assert!(rejects("blackhole", vec![checks::blackhole_rule(MARK, false)], prefix, &marked, facts));
    }
    let all = |family: Family| 0..=family.max_len();
    assert_eq!(checks::prefix_length_rule(all(Family::Ipv4), all(Family::Ipv6), None), None);
    let one = checks::prefix_length_rule(all(Family::Ipv4), 0..=48, Some(MARK)).unwrap();
    assert!(rejects("prefix-length", vec![one], "2600::/49", &clean(), &GOOD));
}

#[test]
fn checks_by_facts() {
    let not_found = Answers { irr: false, rpki: Rpki::NotFound };
    let valid_alone = Answers { irr: false, rpki: Rpki::Valid };
    let prefix = "8.8.8.0/24";
    let says = |name, rule: &String, facts| rejects(name, vec![rule.clone()], prefix, &clean(), facts);
    for (name, rule, facts, rejected) in [
        ("rpki-invalid", &checks::rpki_rules(false)[0], &BAD, true),
        ("rpki-invalid", &checks::rpki_rules(false)[0], &not_found, false),
        ("rpki-not-valid", &checks::rpki_rules(true)[1], &not_found, true),
        ("rpki-not-valid", &checks::rpki_rules(true)[1], &GOOD, false),
        ("aspa-invalid", &checks::aspa_rule(), &BAD, true),
        ("aspa-invalid", &checks::aspa_rule(), &GOOD, false),
        ("irr", &checks::irr_rule(false, None), &valid_alone, true),
        ("irr", &checks::irr_rule(true, None), &valid_alone, false),
        ("irr", &checks::irr_rule(true, None), &not_found, true),
        ("irr-origin", &checks::irr_origin_rule(), &BAD, true),
        ("irr-origin", &checks::irr_origin_rule(), &GOOD, false),
    ] {
        assert_eq!(says(name, rule, facts), rejected, "{rule}");
    }
    assert_eq!(checks::rpki_rules(false).len(), 1);
}

#[test]
fn long_lists_become_several_rules() {
    let blocked: Vec<PrefixPattern> = (0..20_000u32)
        .map(|i| PrefixPattern::or_longer(Prefix::v4((0x0800_0000 + (i << 8)).into(), 24)))
        .collect();
    let rules = checks::blocklist_rules(&blocked, &[]);
    assert!(rules.len() > 5 && rules.iter().all(|rule| rule.len() < 40_000));
    assert!(rejects("blocklist", rules.clone(), "8.78.31.7/32", &clean(), &GOOD), "the last of them");
    assert!(!rejects("blocklist", rules, "8.78.32.0/24", &clean(), &GOOD));
    assert_eq!(checks::bogon_prefix_rules(&[]), Vec::<String>::new());
    assert_eq!(
        Community::well_known().find(|(name, _)| *name == "blackhole").unwrap().1,
        Community(0xffff_029a)
    );
}

/// The reference names every reason, and has the lists and the policies as they are.
#[test]
fn the_documentation_is_up_to_date() {
    let text = include_str!("../../../../docs/policy.md");
    for builtin in Builtin::ALL {
        assert!(text.contains(&format!("`{}`", builtin.name())), "{builtin}");
    }
    let ranges = BOGON_ASNS.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    let numbers = TRANSIT_ASNS.iter().map(u32::to_string);
    for (title, list) in [
        ("Bogon AS numbers: ", ranges.collect::<Vec<_>>().join(", ")),
        ("AS numbers that buy transit from nobody: ", numbers.collect::<Vec<_>>().join(", ")),
    ] {
        let expected = format!("{title}{list}.");
        assert!(text.contains(&expected), "{expected}");
    }
    let checks = text.split("## Checks before policy").nth(1).unwrap().split("###").next().unwrap();
    let examples = checks.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").nth(2));
    let examples: Vec<&str> = examples.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(examples.len() > 20, "{examples:?}");
    for condition in examples {
        normalize(&format!("reject if {}", condition.replace(" and not …", ""))).unwrap();
    }
    for list in BOGON_PREFIXES.chunks(6) {
        assert!(text.contains(&list.join(" ")), "{}", list.join(" "));
    }
    for rules in [
        import_rules(Role::Provider, OWN, None),
        import_rules(Role::Customer, OWN, None),
        blackhole_import_rules(OWN),
        export_rules(Role::Provider, OWN, Some(Asn(64496))),
        export_rules(Role::Customer, OWN, Some(Asn(64499))),
    ] {
        let block = format!("```policy\n{}\n```", rules.join("\n"));
        assert!(text.contains(&block), "{block}");
    }
}
