//! The text of the rules: what is the same whatever VMs there are.
//!
//! A port's frames go to the chain of its domain, `d0` and so on, and from there by kind. Every way ends in `accept` or in
//! the chain of a [`Reason`]; a frame too short to be read matches nothing on its way and is dropped at the end.

use std::fmt::Write;

use siskin_net::{Family, Prefix};

use super::elements::integer;
use super::{DomainView, Reason, Set};
use crate::claims::Guard;

/// Before everybody else at the hook: `ebtables`, `br_netfilter` and connection tracking begin at -300.
const PRIORITY: i32 = -350;
/// ARP, and neighbour discovery, that one port may send.
const LIMIT: &str = "limit rate over 10/second burst 20 packets";
/// Ports counted for one reason at the most.
const MOST_PORTS: u32 = 16_384;
/// Link-local addresses remembered at the most, and how long after they were last used. When the memory is full,
/// addresses that are not in it are believed.
const MOST_LOCALS: u32 = 65_535;
const LOCALS_TIME: &str = "2m";

/// The chains that do not depend on a domain, without the sets.
pub(super) fn shared() -> String {
    let mut text = String::new();
    for reason in Reason::ALL {
        let (chain, set) = (reason.counter(), reason.by_port());
        let _ = writeln!(
            text,
            "  chain {chain} {{\n    counter name {chain} update @{set} {{ iifname }} drop\n  }}"
        );
    }
    text += SHARED;
    text
}

/// Link-local addresses: first come, by MAC address, and not for the router's. `local_source` and `local_target` return
/// what they allow; a target is remembered like a source, for duplicate address detection comes before any other use.
const SHARED: &str = "  chain local_source {
    @nh,64,128 @router_ipv6 goto drop_gateway_address
    @nh,64,128 . ether saddr @locals update @locals { @nh,64,128 . ether saddr } update @taken_locals { @nh,64,128 } return
    @nh,64,128 @taken_locals goto drop_link_local
    update @locals { @nh,64,128 . ether saddr } update @taken_locals { @nh,64,128 }
  }
  chain local_target {
    @th,64,128 @router_ipv6 goto drop_gateway_address
    @th,64,128 . ether saddr @locals update @locals { @th,64,128 . ether saddr } update @taken_locals { @th,64,128 } return
    @th,64,128 @taken_locals goto drop_link_local
    update @locals { @th,64,128 . ether saddr } update @taken_locals { @th,64,128 }
  }
  chain local_data {
    @nh,64,128 @router_ipv6 goto drop_gateway_address
    @nh,64,128 . ether saddr @locals accept
    @nh,64,128 @taken_locals goto drop_link_local
    accept
  }
  chain rarp {
    update @arp_rate { iifname limit rate over 10/second burst 20 packets } goto drop_arp_nd_rate
    accept
  }
";

/// The sets, without their elements: those of owners come from [`Set`].
pub(super) fn dynamic_sets() -> String {
    let mut text = String::new();
    let locals = format!("size {MOST_LOCALS}; flags dynamic,timeout; timeout {LOCALS_TIME};");
    let rate = format!("size {MOST_PORTS}; flags dynamic,timeout; timeout 1m;");
    let _ = writeln!(text, "  set locals {{ typeof @nh,64,128 . ether saddr; {locals} }}");
    let _ = writeln!(text, "  set taken_locals {{ typeof @nh,64,128; {locals} }}");
    let _ = writeln!(text, "  set arp_rate {{ type ifname; {rate} }}");
    let _ = writeln!(text, "  set nd_rate {{ type ifname; {rate} }}");
    text
}

/// How a set of one reason's counts by port begins.
pub(super) fn by_port_set(reason: Reason) -> String {
    format!("  set {} {{ type ifname; size {MOST_PORTS}; flags dynamic; counter;", reason.by_port())
}

/// How a set of owners begins.
pub(super) fn owner_set(set: Set) -> String {
    let noun = if set == Set::Ports { "map" } else { "set" };
    format!("  {noun} {} {{ {};", set.name(), set.kind())
}

/// The hook that all ports of bridges share.
pub(super) fn bridge_hook() -> String {
    // The second is for the one kind of frame that a bridge learns from without showing it to the first.
    format!(
        "  chain prerouting {{\n    type filter hook prerouting priority {PRIORITY}; policy accept;\n    \
         iifname vmap @ports\n  }}\n  chain to_bridge {{\n    type filter hook input priority {PRIORITY}; policy \
         accept;\n    ether daddr & ff:ff:ff:ff:ff:f0 == 01:80:c2:00:00:00 iifname vmap @ports\n  }}\n"
    )
}

/// The hook on one interface, as lines after the table. A chain on an interface that is not there is refused.
pub(super) fn interface_hook(index: u32, name: &str) -> String {
    let chain = interface_chain(index);
    format!(
        "add chain netdev siskin {chain} {{ type filter hook ingress device \"{name}\" priority {PRIORITY}; policy \
         accept; }}\nadd rule netdev siskin {chain} iifname vmap @ports\n"
    )
}

/// Takes that hook away, whether or not it went with its interface, as it does in older kernels.
pub(super) fn no_interface_hook(index: u32) -> String {
    let chain = interface_chain(index);
    format!(
        "add chain netdev siskin {chain}\nflush chain netdev siskin {chain}\ndelete chain netdev siskin {chain}\n"
    )
}

/// The chain on an interface.
pub(super) fn interface_chain(index: u32) -> String {
    format!("i{index}")
}

/// The chains of one domain.
pub(super) fn domain(number: usize, domain: &DomainView) -> String {
    Writer { number, domain, text: String::new() }.write()
}

struct Writer<'a> {
    number: usize,
    domain: &'a DomainView,
    text: String,
}

/// An address in a frame, as an expression.
#[derive(Clone, Copy)]
struct Place {
    /// As text that nftables compares with addresses; for the target of neighbour discovery there is none.
    expression: &'static str,
    family: Family,
    reason: Reason,
}

const ARP_SENDER: Place =
    Place { expression: "arp saddr ip", family: Family::Ipv4, reason: Reason::ArpSender };
const ARP_TARGET: Place =
    Place { expression: "arp daddr ip", family: Family::Ipv4, reason: Reason::ArpSender };
const SOURCE: Place = Place { expression: "@nh", family: Family::Ipv6, reason: Reason::NeighborSource };
const TARGET: Place = Place { expression: "@th", family: Family::Ipv6, reason: Reason::NeighborTarget };

impl Place {
    /// The whole address.
    fn whole(self) -> String {
        match self.family {
            Family::Ipv4 => self.expression.to_owned(),
            Family::Ipv6 => format!("{},64,128", self.expression),
        }
    }

    /// Whether the address is in `prefix`.
    fn within(self, prefix: Prefix) -> String {
        match prefix.address() {
            std::net::IpAddr::V4(_) => format!("{} {prefix}", self.expression),
            std::net::IpAddr::V6(address) if prefix.is_host() => {
                format!("{} {}", self.whole(), integer(address))
            }
            std::net::IpAddr::V6(_) if prefix.len() == 0 => String::new(),
            std::net::IpAddr::V6(address) => {
                let len = u32::from(prefix.len());
                let value = address.to_bits().checked_shr(128 - len).unwrap_or(0);
                format!("{},64,{len} {value:#x}", self.expression)
            }
        }
    }
}

impl Writer<'_> {
    fn write(mut self) -> String {
        self.frame();
        self.arp();
        self.ipv4();
        self.ipv6();
        self.discovery();
        self.text
    }

    fn chain(&mut self, suffix: &str, rules: &[&str]) {
        let number = self.number;
        let _ = writeln!(self.text, "  chain d{number}{suffix} {{");
        for rule in rules.iter().filter(|rule| !rule.is_empty()) {
            let _ = writeln!(self.text, "    {}", rule.replace("$d", &format!("d{number}")));
        }
        self.text += "  }\n";
    }

    /// Tag, MAC address, protocol. Whoever owns nothing yet passes, to make its first claim.
    fn frame(&mut self) {
        let open = self.domain.guard == Guard::Open;
        let unless_open = |rule: &'static str| if open { "" } else { rule };
        self.chain(
            "_known",
            &[
                "ether type vmap { arp : goto $d_arp, ip : goto $d_ip4, ip6 : goto $d_ip6, 0x8035 : goto rarp }",
                "goto drop_protocol",
            ],
        );
        self.chain(
            "",
            &[
                "ether type { 8021q, 8021ad } goto drop_vlan_tag",
                "ether daddr & ff:ff:ff:ff:ff:f0 == 01:80:c2:00:00:00 goto drop_link_control",
                "ether saddr @router_mac goto drop_source_mac",
                "iifname . ether saddr @port_mac goto $d_known",
                unless_open("iifname @bound goto drop_source_mac"),
                unless_open("ether saddr @taken_mac goto drop_source_mac"),
                "goto $d_known",
            ],
        );
    }

    /// What a claim to the address at `place` needs, beside being the port's already; `verdict` if it has that.
    fn claim(&self, place: Place, verdict: &str) -> Vec<String> {
        let (whole, version) = (place.whole(), if place.family == Family::Ipv4 { "ipv4" } else { "ipv6" });
        let mut rules = vec![
            format!("iifname . {whole} @port_{version} {verdict}"),
            format!("{whole} @router_{version} goto drop_gateway_address"),
            format!("ether saddr . {whole} @declared_{version} {verdict}"),
        ];
        if self.domain.guard != Guard::Provisioned {
            rules.push(format!("{whole} @taken_{version} goto {}", place.reason.counter()));
            let prefixes = self.domain.prefixes.iter().filter(|prefix| prefix.family() == place.family);
            rules.extend(
                prefixes.map(|prefix| format!("{} {verdict}", place.within(*prefix)).trim().to_owned()),
            );
        }
        rules.push(format!("goto {}", place.reason.counter()));
        rules
    }

    fn claim_chain(&mut self, suffix: &str, first: &[&str], place: Place, verdict: &str) {
        let claim = self.claim(place, verdict);
        let rules: Vec<&str> = first.iter().copied().chain(claim.iter().map(String::as_str)).collect();
        self.chain(suffix, &rules);
    }

    fn arp(&mut self) {
        self.claim_chain("_probe", &[], ARP_TARGET, "accept");
        let limit = format!("update @arp_rate {{ iifname {LIMIT} }} goto drop_arp_nd_rate");
        let open = self.domain.guard == Guard::Open;
        self.claim_chain(
            "_arp",
            &[
                "arp htype != 1 goto drop_arp_malformed",
                "arp ptype != ip goto drop_arp_malformed",
                "arp hlen != 6 goto drop_arp_malformed",
                "arp plen != 4 goto drop_arp_malformed",
                "arp operation != { request, reply } goto drop_arp_malformed",
                &limit,
                "arp saddr ether @router_mac goto drop_arp_sender",
                if open {
                    ""
                } else {
                    "iifname @bound iifname . arp saddr ether != @port_mac goto drop_arp_sender"
                },
                if open {
                    ""
                } else {
                    "iifname . arp saddr ether != @port_mac arp saddr ether @taken_mac goto drop_arp_sender"
                },
                "arp saddr ip 0.0.0.0 goto $d_probe",
            ],
            ARP_SENDER,
            "accept",
        );
    }

    fn ipv4(&mut self) {
        self.chain(
            "_ip4",
            &[
                "icmp type redirect goto drop_redirect",
                "udp dport 68 goto drop_dhcp_server",
                "iifname . ip saddr @port_ipv4 accept",
                "ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept",
                "goto drop_ipv4_source",
            ],
        );
    }

    fn ipv6(&mut self) {
        self.chain(
            "_ip6_data",
            &[
                "udp dport 546 goto drop_dhcp_server",
                "iifname . @nh,64,128 @port_ipv6 accept",
                "ip6 saddr fe80::/10 goto local_data",
                // Listener reports precede the first address.
                "ip6 saddr :: icmpv6 type { 131, 132, 143 } accept",
                "goto drop_ipv6_source",
            ],
        );
        self.chain(
            "_ip6_first",
            &[
                "meta l4proto ipv6-icmp icmpv6 type 133-137 goto drop_hidden_discovery",
                "meta l4proto ipv6-icmp icmpv6 type 0-255 goto $d_ip6_data",
                "meta l4proto != ipv6-icmp goto $d_ip6_data",
                "goto drop_hidden_discovery",
            ],
        );
        self.chain(
            "_ip6",
            &[
                "frag frag-off 0 goto $d_ip6_first",
                "frag frag-off != 0 goto $d_ip6_data",
                "icmpv6 type 133-137 goto $d_nd",
                // Matches whatever its headers can be followed.
                "meta l4proto 0-255 goto $d_ip6_data",
                "goto drop_hidden_discovery",
            ],
        );
    }

    fn discovery(&mut self) {
        self.claim_chain("_nd_target", &["@th,64,16 & 0xffc0 == 0xfe80 goto local_target"], TARGET, "return");
        self.claim_chain("_nd_source", &["ip6 saddr fe80::/10 goto local_source"], SOURCE, "return");
        let limit = format!("update @nd_rate {{ iifname {LIMIT} }} goto drop_arp_nd_rate");
        self.chain(
            "_nd",
            &[
                "ip6 nexthdr != ipv6-icmp goto drop_hidden_discovery",
                "icmpv6 type nd-router-advert goto drop_router_advertisement",
                "icmpv6 type nd-redirect goto drop_redirect",
                &limit,
                "icmpv6 type nd-router-solicit ip6 saddr :: accept",
                "icmpv6 type nd-neighbor-solicit ip6 saddr :: jump $d_nd_target",
                "icmpv6 type nd-neighbor-solicit ip6 saddr :: accept",
                "jump $d_nd_source",
                "icmpv6 type nd-neighbor-advert jump $d_nd_target",
                "accept",
            ],
        );
    }
}
