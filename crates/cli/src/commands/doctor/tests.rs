use std::collections::BTreeMap;

use serde_json::json;

use super::*;

const PLAIN: Look = Look { color: false, person: false, now: 0 };

fn config(keys: &str) -> Config {
    let text = format!(
        "[router]\nasn = 64500\n[host-routes.vmbr1]\nprefixes = [\"198.51.100.0/24\", \"2001:db8:100::/56\"]\n\
         gateway = {{ ipv4 = \"169.254.0.1\", ipv6 = \"fe80::1\" }}\n{keys}\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("siskin.toml");
    std::fs::write(&file, text).unwrap();
    siskin_config::load(&file).unwrap().config
}

/// A host on which everything is as it should be.
fn healthy() -> Host {
    let parameters = [
        ("net/ipv4/ip_forward", "1"),
        ("net/ipv4/conf/vmbr1/forwarding", "1"),
        ("net/ipv4/conf/all/rp_filter", "0"),
        ("net/ipv4/conf/vmbr1/rp_filter", "1"),
        ("net/ipv4/conf/eth0/rp_filter", "0"),
        ("net/ipv4/conf/default/rp_filter", "0"),
        ("net/ipv4/conf/all/proxy_arp", "0"),
        ("net/ipv6/conf/vmbr1/accept_ra", "0"),
        ("net/ipv6/conf/tap1/disable_ipv6", "1"),
        ("net/ipv4/neigh/default/gc_thresh3", "32768"),
    ];
    Host {
        links: vec![
            json!({"ifname": "eth0", "flags": ["UP"]}),
            json!({"ifname": "vmbr1", "flags": ["UP"], "address": "02:00:a9:fe:00:01",
                "inet6_addr_gen_mode": "none", "linkinfo": {"info_kind": "bridge", "info_data":
                {"mcast_snooping": 0, "stp_state": 0, "forward_delay": 0, "no_linklocal_learn": 1}}}),
            json!({"ifname": "tap1", "master": "vmbr1",
                "linkinfo": {"info_kind": "tun", "info_slave_data": {"isolated": true}}}),
        ],
        addresses: vec![json!({"ifname": "vmbr1", "addr_info": [
            {"local": "169.254.0.1", "prefixlen": 32}, {"local": "fe80::1", "prefixlen": 64, "nodad": true}]})],
        sinks: vec![
            json!({"dst": "198.51.100.0/24"}),
            json!({"dst": "2001:db8::/32"}),
            json!({"dst": "default"}),
        ],
        parameters: Some(parameters.map(|(k, v)| (k.to_owned(), v.to_owned())).into()),
    }
}

const FULL: &str = "filter = true\nbridge-mac = \"02:00:a9:fe:00:01\"";

fn found(config: &Config, host: &Host) -> Vec<String> {
    let line = |f: &Finding| {
        let commands: Vec<String> = f.mends.iter().map(Mend::command).collect();
        format!("{}: {} {} -> {} [{}]", f.interface, f.what, f.now, f.wanted, commands.join("; "))
    };
    checks::all(config, host).iter().map(line).collect()
}

#[test]
fn a_healthy_host_has_no_findings() {
    assert!(found(&config(FULL), &healthy()).is_empty());
    assert_eq!(render(&[], |_| false, PLAIN), "All is as it should be.\n");
    let advice = checks::all(&config(""), &healthy());
    assert!(advice.iter().all(|f| f.advice) && advice.len() == 1, "{advice:?}");
}

#[test]
fn each_thing_that_is_wrong_is_found() {
    type Break = fn(&mut Host);
    let set: fn(&mut Host, &str, &str) = |host, key, value| {
        let parameters: &mut BTreeMap<String, String> = host.parameters.as_mut().unwrap();
        parameters.insert(key.to_owned(), value.to_owned());
    };
    let cases: [(Break, &str); 9] = [
        (|h| h.links.clear(), "vmbr1: the interface not there -> there []"),
        (
            |h| h.links[1]["address"] = json!("52:54:00:00:00:01"),
            "vmbr1: the MAC address 52:54:00:00:00:01 -> 02:00:a9:fe:00:01 [ip link set dev vmbr1 address 02:00:a9:fe:00:01]",
        ),
        (
            |h| h.addresses.clear(),
            "vmbr1: the gateway's address 169.254.0.1 not there -> there [ip addr add 169.254.0.1/32 dev vmbr1]",
        ),
        (
            |h| h.addresses[0]["addr_info"][1]["nodad"] = json!(false),
            "vmbr1: the gateway's address fe80::1 without nodad -> with nodad [ip -6 addr replace fe80::1/64 dev vmbr1 nodad]",
        ),
        (
            |h| h.links[1]["inet6_addr_gen_mode"] = json!("eui64"),
            "vmbr1: addrgenmode eui64 -> none [ip link set dev vmbr1 addrgenmode none]",
        ),
        (
            |h| h.links[1]["linkinfo"]["info_data"]["mcast_snooping"] = json!(1),
            "vmbr1: mcast_snooping 1 -> 0 [ip link set dev vmbr1 type bridge mcast_snooping 0]",
        ),
        (
            |h| h.links[2]["linkinfo"]["info_slave_data"]["isolated"] = json!(false),
            "vmbr1: port tap1 not isolated -> isolated [bridge link set dev tap1 isolated on]",
        ),
        (
            |h| h.sinks[0] = json!({"dst": "192.0.2.0/24"}),
            "vmbr1: an unreachable route for 198.51.100.0/24 not there -> there (or `[[originate]]` it) \
             [ip route add unreachable 198.51.100.0/24 metric 8192]",
        ),
        (|h| h.links[1]["flags"] = json!([]), "vmbr1: the interface down -> up [ip link set dev vmbr1 up]"),
    ];
    for (harm, line) in &cases {
        let mut host = healthy();
        harm(&mut host);
        assert!(
            found(&config(FULL), &host).contains(&(*line).to_owned()),
            "{line} in {:?}",
            found(&config(FULL), &host)
        );
    }
    for (key, value, line) in [
        ("net/ipv4/ip_forward", "0", "vmbr1: ipv4/ip_forward 0 -> 1 [sysctl -w net.ipv4.ip_forward=1]"),
        (
            "net/ipv4/conf/all/proxy_arp",
            "1",
            "vmbr1: ipv4/conf/all/proxy_arp 1 -> 0 [sysctl -w net.ipv4.conf.all.proxy_arp=0]",
        ),
        (
            "net/ipv4/conf/vmbr1/rp_filter",
            "0",
            "vmbr1: ipv4/conf/vmbr1/rp_filter 0 (all 0, own 0) -> 1 [sysctl -w net.ipv4.conf.vmbr1.rp_filter=1]",
        ),
        (
            "net/ipv4/conf/all/rp_filter",
            "2",
            "vmbr1: ipv4/conf/vmbr1/rp_filter 2 (all 2, own 1) -> 1 [sysctl -w net.ipv4.conf.eth0.rp_filter=2; \
             sysctl -w net.ipv4.conf.default.rp_filter=2; sysctl -w net.ipv4.conf.all.rp_filter=0; \
             sysctl -w net.ipv4.conf.vmbr1.rp_filter=1]",
        ),
        (
            "net/ipv4/neigh/default/gc_thresh3",
            "1024",
            "host: ipv4/neigh/default/gc_thresh3 1024 -> 32768 or more [sysctl -w net.ipv4.neigh.default.gc_thresh3=32768]",
        ),
    ] {
        let mut host = healthy();
        set(&mut host, key, value);
        assert_eq!(found(&config(FULL), &host), [line]);
    }
}

#[test]
fn a_dot_in_a_name_is_a_slash_for_sysctl() {
    let mend = Mend::Parameter("net/ipv4/conf/vmbr1.7/rp_filter".into(), "1".into());
    assert_eq!(mend.command(), "sysctl -w net.ipv4.conf.vmbr1/7.rp_filter=1");
}

/// An aggregate that the daemon originates needs no route of the operator.
#[test]
fn an_originated_aggregate_will_do() {
    let mut host = healthy();
    host.sinks.clear();
    let both = "[[originate]]\nprefix = \"198.51.100.0/24\"\nkernel = \"unreachable\"\n\
                [[originate]]\nprefix = \"2001:db8:100::/48\"\n";
    assert!(found(&config(&format!("{FULL}\n{both}")), &host).is_empty());
    let none = both.replace("\"unreachable\"", "\"none\"");
    assert_eq!(found(&config(&format!("{FULL}\n{none}")), &host).len(), 1);
}

/// A pattern's interfaces are looked at one by one, an uplink in the bridge is none of ours, and a VLAN's gateway is on its
/// device.
#[test]
fn the_right_interfaces_are_looked_at() {
    let mut host = healthy();
    let hardware =
        json!({"ifname": "eth1", "master": "vmbr1", "linkinfo": {"info_slave_data": {"isolated": false}}});
    let device = json!({"ifname": "guests", "link": "vmbr1", "flags": ["UP"],
        "linkinfo": {"info_kind": "vlan", "info_data": {"id": 7}}});
    host.links.extend([hardware, device, json!({"ifname": "tap9", "flags": ["UP"]})]);
    assert!(found(&config(FULL), &host).is_empty());
    let domain = |keys: &str| config(keys).host_routes.remove("vmbr1").unwrap();
    assert_eq!(host.interfaces("vmbr1", &domain("")), [("vmbr1", Some("vmbr1"))]);
    assert_eq!(host.interfaces("vmbr1", &domain("vlan = 7")), [("guests", Some("vmbr1"))]);
    assert_eq!(host.interfaces("guests", &domain("")), [("guests", Some("vmbr1"))]);
    assert_eq!(host.interfaces("tap*", &domain("")), [("tap9", None)], "tap1 is the bridge's");
}
