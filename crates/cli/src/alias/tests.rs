use super::*;

fn expanded(line: &str) -> Result<String, Failure> {
    let words = std::iter::once("siskin").chain(line.split_whitespace()).map(OsString::from).collect();
    let words = expand(words)?;
    Ok(words[1..].iter().map(|w| w.to_str().unwrap()).collect::<Vec<_>>().join(" "))
}

#[test]
fn forms_of_birdc_and_vtysh_become_our_own() {
    for (foreign, own) in [
        ("show protocols", "peers"),
        ("show protocols all transit-a", "peers transit-a"),
        ("show route", "routes"),
        ("show route for 192.0.2.1 all", "routes 192.0.2.1 --detail"),
        ("show route 192.0.2.0/24 primary", "routes 192.0.2.0/24 --best"),
        ("show route in 192.0.2.0/23", "routes 192.0.2.0/23 --longer"),
        ("show route protocol transit-a filtered", "routes --peer transit-a --filtered"),
        ("show route export tor-left", "routes --exported --peer tor-left"),
        ("show route count", "routes --count"),
        ("show status", "status"),
        ("configure check", "config check"),
        ("configure", "config apply"),
        ("disable transit-a", "peer transit-a down"),
        ("reload in transit-a", "peer transit-a refresh-in"),
        ("show bgp summary", "peers"),
        ("show ip bgp summary --json", "peers --json"),
        ("--socket /x show bgp ipv6 unicast summary", "--socket /x peers"),
        ("show bgp neighbors 192.0.2.1 advertised-routes", "routes --exported --peer 192.0.2.1"),
        ("show bgp ipv6 unicast 2001:db8::/32", "routes 2001:db8::/32 --detail --ipv6"),
        ("show ip route 192.0.2.1", "fib 192.0.2.1"),
        ("clear bgp 192.0.2.1 soft in", "peer 192.0.2.1 refresh-in"),
    ] {
        assert_eq!(expanded(foreign).unwrap(), own, "{foreign}");
    }
}

#[test]
fn our_own_words_pass_through() {
    for own in ["peers", "--json routes 192.0.2.0/24", "peer show up", "", "--help"] {
        assert_eq!(expanded(own).unwrap(), own);
    }
}

#[test]
fn what_has_no_counterpart_is_refused() {
    for foreign in ["show ospf", "show route where net ~ x", "show"] {
        assert!(matches!(expanded(foreign), Err(Failure::Usage(_))), "{foreign}");
    }
}

#[test]
fn every_replacement_parses() {
    use clap::Parser;
    for foreign in [
        "show protocols all x",
        "show route for 192.0.2.1 all",
        "show bgp ipv4 summary",
        "restart x",
        "configure",
    ] {
        let words = std::iter::once("siskin").chain(foreign.split(' ')).map(OsString::from).collect();
        crate::args::Arguments::try_parse_from(expand(words).unwrap()).unwrap();
    }
}
