//! Policy rules: made, mended, adopted and removed, and nobody else's touched.

use crate::world::{World, ip, prefix};
use siskin_fib::{FibConfig, PolicyRule};
use siskin_net::Family;

fn rule(from: &str) -> PolicyRule {
    let from = prefix(from);
    PolicyRule {
        family: from.family(),
        priority: 1000,
        from: Some(from),
        to: None,
        iif: None,
        fwmark: None,
        table: 1000,
    }
}

/// Everything a rule can say.
fn rules() -> Vec<PolicyRule> {
    let marked = PolicyRule {
        family: Family::Ipv4,
        from: None,
        to: Some(prefix("198.51.100.0/24")),
        iif: Some("a0".into()),
        fwmark: Some((0x10, 0xff)),
        table: 254,
        priority: 2000,
    };
    vec![rule("203.0.113.0/24"), rule("2001:db8:1::/48"), marked]
}

fn ours(family: &str) -> Vec<String> {
    let text = ip(&format!("{family} rule show"));
    text.lines()
        .filter(|l| l.contains("proto 201"))
        .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn rules_are_made_mended_and_removed() {
    let mut world = World::new();
    ip("rule add from 192.0.2.0/24 table 77 priority 500");
    world.fib.set_rules(rules());
    world.write();
    let four = [
        "1000: from 203.0.113.0/24 lookup 1000 proto 201",
        "2000: from all to 198.51.100.0/24 fwmark 0x10/0xff iif a0 lookup main proto 201",
    ];
    let six = ["1000: from 2001:db8:1::/48 lookup 1000 proto 201"];
    assert_eq!((ours("-4"), ours("-6")), (four.map(str::to_owned).to_vec(), six.map(str::to_owned).to_vec()));

    ip("rule del priority 1000");
    ip("-6 rule flush");
    ip("rule add from 203.0.113.9 table 9 priority 9 protocol 201");
    assert_eq!((ours("-4").len(), ours("-6").len()), (2, 0));
    world.settle();
    assert_eq!((ours("-4"), ours("-6")), (four.map(str::to_owned).to_vec(), six.map(str::to_owned).to_vec()));
    assert_eq!(world.fib.write(1).retry_after, None, "nothing is left to do");

    world.fib.set_rules([rule("203.0.113.0/24")]);
    world.write();
    assert_eq!((ours("-4"), ours("-6")), (vec![four[0].to_owned()], vec![]));
    assert!(ip("rule show").contains("from 192.0.2.0/24 lookup 77"), "not ours");
    assert_eq!(world.fib.flush(), 0);
    assert_eq!(ours("-4"), Vec::<String>::new());
    assert!(ip("rule show").contains("from 192.0.2.0/24 lookup 77"));
}

#[test]
fn a_restart_keeps_what_is_wanted_still() {
    let mut world = World::new();
    world.fib.set_rules(rules());
    world.write();
    let before = (ours("-4"), ours("-6"));
    drop(world);
    let mut world = World::open(FibConfig::default());
    world.write();
    assert_eq!((ours("-4"), ours("-6")), before, "nobody has said yet what is wanted");
    world.fib.set_rules([rule("2001:db8:1::/48"), rule("0.0.0.0/0")]);
    world.write();
    assert_eq!(ours("-6"), before.1);
    assert_eq!(ours("-4"), ["1000: from all lookup 1000 proto 201"]);
    world.write();
    assert_eq!(ours("-4").len(), 1);
}
