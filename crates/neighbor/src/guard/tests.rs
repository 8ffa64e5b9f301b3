//! The text against golden files, and differences of it. That the kernel takes it, and what it then drops, is tested in
//! `tests/kernel/filter.rs`.

use super::*;

/// Two ports with owners, one without; one domain is a routed tap.
fn view() -> View {
    let port = |index, name: &str, owners: &[(&str, &str)]| PortView {
        index,
        name: name.into(),
        owners: owners.iter().map(|(m, a)| (m.parse().unwrap(), a.parse().unwrap())).collect(),
    };
    let gateway =
        Gateway { ipv4: Some("169.254.0.1".parse().unwrap()), ipv6: Some("fe80::1".parse().unwrap()) };
    let prefixes = ["198.51.100.0/24", "2001:db8:100::/56"];
    View {
        domains: vec![
            DomainView {
                name: "vmbr1".into(),
                hook: Hook::Bridge,
                bridge: Some("vmbr1".into()),
                guard: Guard::Pinned,
                isolate: true,
                gateway,
                mac: Some("02:00:a9:fe:00:01".parse().unwrap()),
                prefixes: prefixes.iter().map(|p| p.parse().unwrap()).collect(),
                declared: vec![("52:00:00:00:00:07".parse().unwrap(), "198.51.100.7".parse().unwrap())],
                ports: vec![
                    port(
                        4,
                        "tap1",
                        &[("52:00:00:00:00:01", "198.51.100.1"), ("52:00:00:00:00:01", "2001:db8:100::1")],
                    ),
                    port(5, "tap2", &[("52:00:00:00:00:02", "198.51.100.2")]),
                    port(6, "tap3", &[]),
                ],
                unplaced: Vec::new(),
            },
            DomainView {
                name: "tap9".into(),
                hook: Hook::Netdev,
                bridge: None,
                guard: Guard::Provisioned,
                isolate: true,
                gateway,
                mac: Some("02:00:a9:fe:00:09".parse().unwrap()),
                prefixes: vec!["203.0.113.0/24".parse().unwrap()],
                declared: vec![("52:00:00:00:00:09".parse().unwrap(), "203.0.113.9".parse().unwrap())],
                ports: vec![port(9, "tap9", &[("52:00:00:00:00:09", "203.0.113.9")])],
                unplaced: Vec::new(),
            },
        ],
        own: vec!["10.0.0.10".parse().unwrap(), "2001:db8::10".parse().unwrap()],
        tagged: Vec::new(),
    }
}

/// Compares with a file of `tests/`; `SISKIN_BLESS=1` writes it.
fn golden(file: &str, text: &str) {
    let path = format!("{}/src/guard/tests/{file}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("SISKIN_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap(), "{file}");
}

#[test]
fn the_whole_ruleset() {
    golden("whole.nft", &Ruleset::of(&view()).change_from(&Ruleset::default(), &Counts::default()));
}

#[test]
fn nothing_changes_nothing() {
    let ruleset = Ruleset::of(&view());
    assert_eq!(ruleset.change_from(&ruleset, &Counts::default()), "");
    assert!(!ruleset.replaces(&ruleset));
}

#[test]
fn a_claim_is_a_few_elements() {
    let before = Ruleset::of(&view());
    let mut after = view();
    after.domains[0].ports[2].owners =
        vec![("52:00:00:00:00:03".parse().unwrap(), "198.51.100.3".parse().unwrap())];
    assert_eq!(
        Ruleset::of(&after).change_from(&before, &Counts::default()),
        "add element bridge siskin bound { \"tap3\" }\n\
         add element bridge siskin port_mac { \"tap3\" . 52:00:00:00:00:03 }\n\
         add element bridge siskin port_ipv4 { \"tap3\" . 198.51.100.3 }\n\
         add element bridge siskin taken_mac { 52:00:00:00:00:03 }\n\
         add element bridge siskin taken_ipv4 { 198.51.100.3 }\n\
         add element netdev siskin taken_mac { 52:00:00:00:00:03 }\n\
         add element netdev siskin taken_ipv4 { 198.51.100.3 }\n"
    );
}

/// The elements of a port that goes go with it, and so do its counts: the next VM behind that name starts at zero.
#[test]
fn a_port_that_goes_leaves_nothing() {
    let before = Ruleset::of(&view());
    let mut after = view();
    after.domains[0].ports.remove(1);
    let text = Ruleset::of(&after).change_from(&before, &Counts::default());
    for line in [
        "delete element bridge siskin ports { \"tap2\" : goto d0 }\n",
        "delete element bridge siskin port_ipv4 { \"tap2\" . 198.51.100.2 }\n",
        "delete element netdev siskin taken_ipv4 { 198.51.100.2 }\n",
        "add element bridge siskin by_port_arp_sender { \"tap2\" }\n",
        "delete element bridge siskin by_port_arp_sender { \"tap2\" }\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains("tap1"), "{text}");
}

#[test]
fn the_last_domain_takes_its_table_along() {
    let before = Ruleset::of(&view());
    let mut after = view();
    after.domains.pop();
    let text = Ruleset::of(&after).change_from(&before, &Counts::default());
    assert!(text.ends_with("table netdev siskin\ndelete table netdev siskin\n"), "{text}");
    assert_eq!(
        Ruleset::default().change_from(&before, &Counts::default()),
        "table bridge siskin\ndelete table bridge siskin\ntable netdev siskin\ndelete table netdev siskin\n"
    );
}

/// Other rules replace the table in one transaction, and what was counted goes on.
#[test]
fn a_replaced_table_keeps_its_counts() {
    let before = Ruleset::of(&view());
    let mut after = view();
    after.domains[0].prefixes.pop();
    let counts = Counts {
        reasons: [((Hook::Bridge, Reason::SourceMac), (7, 420))].into(),
        ports: vec![
            PortCount {
                hook: Hook::Bridge,
                port: "tap1".into(),
                reason: Reason::SourceMac,
                packets: 6,
                bytes: 360,
            },
            PortCount {
                hook: Hook::Bridge,
                port: "gone".into(),
                reason: Reason::SourceMac,
                packets: 1,
                bytes: 60,
            },
        ],
    };
    let after = Ruleset::of(&after);
    assert!(after.replaces(&before));
    let text = after.change_from(&before, &counts);
    assert!(
        text.starts_with("table bridge siskin\ndelete table bridge siskin\ntable bridge siskin {\n"),
        "{text}"
    );
    assert!(text.contains("counter drop_source_mac { packets 7 bytes 420 }"), "{text}");
    assert!(text.contains("counter; elements = { \"tap1\" counter packets 6 bytes 360 } }"), "{text}");
    assert!(!text.contains("gone"), "{text}");
    assert!(!text.contains("netdev"), "{text}");
}

/// A name that could be read as more than a name is left out: nothing a link is called ends up as a rule.
#[test]
fn odd_names_are_left_out() {
    let mut odd = view();
    let mut port = odd.domains[0].ports[0].clone();
    port.name = "x\"}flush".into();
    odd.domains[0].ports = vec![port];
    let text = Ruleset::of(&odd).change_from(&Ruleset::default(), &Counts::default());
    assert!(!text.contains("flush"), "{text}");
    assert!(!is_plain_name("tap*") && !is_plain_name("") && is_plain_name("fwpr100p0.7-a"));
}

#[test]
fn open_takes_nothing_from_the_last_to_speak() {
    let mut open = view();
    open.domains.truncate(1);
    open.domains[0].guard = Guard::Open;
    let ruleset = Ruleset::of(&open);
    let taken = ruleset.elements(Hook::Bridge).unwrap().iter().filter(|e| e.set == Set::TakenIpv4).count();
    assert_eq!(taken, 1, "the declared address alone");
    let text = ruleset.change_from(&Ruleset::default(), &Counts::default());
    assert!(!text.contains("iifname @bound"), "{text}");
}

/// What the run before had allowed stays allowed until its owner is heard, on the port it was on.
#[test]
fn addresses_of_a_previous_run_keep_their_port() {
    let before = Ruleset::of(&view());
    let mut started = view();
    let owners = std::mem::take(&mut started.domains[0].ports[0].owners);
    started.domains[0].unplaced = owners.clone();
    started.domains[0]
        .unplaced
        .push(("52:00:00:00:00:99".parse().unwrap(), "198.51.100.99".parse().unwrap()));
    assert_eq!(started.unplaced(), 3);
    let left = before.hooks().map(|hook| (hook, before.elements(hook).unwrap().clone()));
    started.place(&Ruleset::left_behind(left.collect::<Vec<_>>()));
    assert_eq!(started.domains[0].ports[0].owners, owners);
    assert_eq!(started.unplaced(), 1);
}

#[test]
fn flags_follow_ports_and_are_given_back() {
    let mut now = view();
    now.domains[0].guard = Guard::Provisioned;
    let flags = PortFlags::of(&now);
    assert_eq!(
        flags.change_from(&PortFlags::default()),
        [
            "link set dev tap1 isolated on",
            "link set dev tap1 learning off",
            "fdb replace 52:00:00:00:00:01 dev tap1 master static sticky",
            "link set dev tap2 isolated on",
            "link set dev tap2 learning off",
            "fdb replace 52:00:00:00:00:02 dev tap2 master static sticky",
            "link set dev tap3 isolated on",
            "link set dev tap3 learning off",
        ]
    );
    assert!(flags.change_from(&flags).is_empty());
    assert_eq!(
        flags.bridges_from(&PortFlags::default()),
        ["link set dev vmbr1 type bridge no_linklocal_learn 1"]
    );
    assert_eq!(
        PortFlags::default().bridges_from(&flags),
        ["link set dev vmbr1 type bridge no_linklocal_learn 0"]
    );
    let mut moved = now.clone();
    moved.domains[0].ports.remove(1);
    moved.domains[0].ports[1].owners =
        vec![("52:00:00:00:00:02".parse().unwrap(), "198.51.100.2".parse().unwrap())];
    let after = PortFlags::of(&moved);
    assert_eq!(
        after.change_from(&flags),
        ["fdb replace 52:00:00:00:00:02 dev tap3 master static sticky"],
        "a port that went took its flags along"
    );
    assert_eq!(
        PortFlags::default().change_from(&after),
        [
            "link set dev tap1 isolated off",
            "link set dev tap1 learning on",
            "fdb del 52:00:00:00:00:01 dev tap1 master",
            "link set dev tap3 isolated off",
            "link set dev tap3 learning on",
            "fdb del 52:00:00:00:00:02 dev tap3 master",
        ]
    );
    assert_eq!(after.change_from(&PortFlags::of(&View::default())).len(), 6, "and set again when it is back");
}

#[test]
fn reasons_have_names_of_their_own() {
    let names: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|r| r.name()).collect();
    assert_eq!(names.len(), Reason::ALL.len());
}

/// Interfaces of one pattern share their rules, and each comes and goes by itself.
#[test]
fn a_routed_tap_is_a_hook_and_elements() {
    let before = Ruleset::of(&view());
    let mut after = view();
    let mut second = after.domains[1].clone();
    second.name = "tap10".into();
    second.ports[0] = PortView { index: 10, name: "tap10".into(), owners: Vec::new() };
    after.domains.push(second);
    let with_both = Ruleset::of(&after);
    assert!(!with_both.replaces(&before));
    let text = with_both.change_from(&before, &Counts::default());
    assert_eq!(
        text,
        "add element netdev siskin ports { \"tap10\" : goto d0 }\n\
         add chain netdev siskin i10 { type filter hook ingress device \"tap10\" priority -350; policy accept; }\n\
         add rule netdev siskin i10 iifname vmap @ports\n"
    );
    let back = before.change_from(&with_both, &Counts::default());
    assert!(back.contains("flush chain netdev siskin i10\ndelete chain netdev siskin i10\n"), "{back}");
    assert_eq!(with_both.interface_chains(Hook::Netdev).len(), 2);
}
