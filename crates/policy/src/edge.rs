//! The built-in edge policy: the lists that are shipped, and what a peer's role means on import and on export.
//!
//! The policies of roles are texts of the rule language, compiled as the operator's own are: what `siskin policy show`
//! prints is what runs. [`checks`] has the texts of the checks made before policy. A peer's AS number may be written
//! into its export policy, so peers differ in theirs; the import policy is one for each role.
//!
//! Communities, with OWN for our AS number: `OWN:0:*` says where a route came from and is believed from inside our AS
//! alone; `OWN:1:*`, `OWN:2:*` and `OWN:301-303:*` ask for something and are heeded on own and customers' routes alone
//! (RFC 8195 section 4). What this leaves out: who is asked for them (the configuration) and OTC (RFC 9234), which the
//! checks before policy see to whatever the policy.

pub mod checks;

use std::ops::RangeInclusive;

use siskin_bgp::attr::LargeCommunity;
use siskin_net::{Asn, Role};

use crate::CommunityValue;

/// Prefixes that must not be seen on the internet: patterns, each with all that lies within. IPv6: everything outside
/// 2000::/3, and in it what is reserved, for documentation or no longer used.
pub const BOGON_PREFIXES: &[&str] = &[
    "0.0.0.0/8+",
    "10.0.0.0/8+",
    "100.64.0.0/10+",
    "127.0.0.0/8+",
    "169.254.0.0/16+",
    "172.16.0.0/12+",
    "192.0.0.0/24+",
    "192.0.2.0/24+",
    "192.88.99.0/24+",
    "192.168.0.0/16+",
    "198.18.0.0/15+",
    "198.51.100.0/24+",
    "203.0.113.0/24+",
    "224.0.0.0/3+",
    "::/8+",
    "64:ff9b::/96+",
    "100::/8+",
    "200::/7+",
    "400::/6+",
    "800::/5+",
    "1000::/4+",
    "2001::/33+",
    "2001:0:8000::/33+",
    "2001:2::/48+",
    "2001:3::/32+",
    "2001:10::/28+",
    "2001:20::/28+",
    "2001:db8::/32+",
    "2002::/16+",
    "3ffe::/16+",
    "4000::/3+",
    "5f00::/8+",
    "6000::/3+",
    "8000::/3+",
    "a000::/3+",
    "c000::/3+",
    "e000::/4+",
    "f000::/5+",
    "f800::/6+",
    "fc00::/7+",
    "fe80::/10+",
    "fec0::/10+",
    "ff00::/8+",
];

/// AS numbers that nobody may use on the internet, as inclusive ranges: 0 (RFC 7607), AS_TRANS (RFC 6793), those for
/// documentation (RFC 5398), for private use (RFC 6996), the last of each width (RFC 7300), and a block IANA reserves.
pub const BOGON_ASNS: &[(u32, u32)] = &[
    (0, 0),
    (23456, 23456),
    (64496, 64511),
    (64512, 65534),
    (65535, 65535),
    (65536, 65551),
    (65552, 131_071),
    (4_200_000_000, 4_294_967_294),
    (4_294_967_295, 4_294_967_295),
];

/// AS numbers that buy transit from nobody: a peer or customer with one of them behind it leaks ('peerlock lite').
pub const TRANSIT_ASNS: &[u32] = &[
    174, 701, 702, 1239, 1299, 2914, 3257, 3320, 3356, 3491, 3549, 3561, 4134, 5511, 6453, 6461, 6762, 6830,
    7018,
];

/// The lengths of IPv4 prefixes that the internet carries.
pub const PREFIX_LENGTHS_V4: RangeInclusive<u8> = 8..=24;

/// The lengths of IPv6 prefixes that the internet carries.
pub const PREFIX_LENGTHS_V6: RangeInclusive<u8> = 12..=48;

/// The longest AS path that is taken.
pub const MAX_PATH_LEN: u32 = 100;

/// What of ours stands in the rules. Made from an AS number alone, it has what is shipped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Own {
    /// Our AS number.
    pub asn: Asn,
    /// The large community that asks for a route to be dropped, as BLACKHOLE does.
    pub blackhole: LargeCommunity,
}

impl From<Asn> for Own {
    fn from(asn: Asn) -> Own {
        Own { asn, blackhole: blackhole_community(asn) }
    }
}

/// The large community that asks for a route to be dropped where no other is configured: `OWN:1:666`.
#[must_use]
pub const fn blackhole_community(own: Asn) -> LargeCommunity {
    LargeCommunity(own.0, 1, 666)
}

/// The LOCAL_PREF of routes from such a peer: customers before lateral peers before providers.
#[must_use]
pub const fn local_pref(role: Role) -> u32 {
    match role {
        Role::Provider => 80,
        Role::RouteServer => 90,
        Role::Peer => 100,
        Role::Customer | Role::RouteServerClient => 200,
    }
}

/// The third number of the informational community that says where a route came from; 100 is for our own.
const fn informational(role: Role) -> u32 {
    match role {
        Role::Provider => 101,
        Role::Peer | Role::RouteServer | Role::RouteServerClient => 102,
        Role::Customer => 103,
    }
}

/// The rules that a role's import policy has. `peer_local_pref` is the peer's own key `local-pref`, which wins over the
/// role's.
#[must_use]
pub fn import_rules(role: Role, own: impl Into<Own>, peer_local_pref: Option<u32>) -> Vec<String> {
    let Own { asn: own, .. } = own.into();
    let stripped = match role {
        Role::Customer | Role::RouteServerClient => format!("{own}:0:*"),
        Role::Provider | Role::Peer | Role::RouteServer => format!("{own}:*:*"),
    };
    let preference = peer_local_pref.unwrap_or(local_pref(role));
    let origin = informational(role);
    vec![
        format!("remove community {stripped}"),
        format!("set local-pref {preference}"),
        "set local-pref 0 if community has graceful-shutdown".to_owned(),
        format!("add community {own}:0:{origin}"),
        "accept".to_owned(),
    ]
}

/// The rules that go before [`import_rules`] where a peer may send BLACKHOLE (RFC 7999 section 3.2): the kernel drops
/// what is sent there, and nobody outside our AS hears of it.
#[must_use]
pub fn blackhole_import_rules(own: impl Into<Own>) -> Vec<String> {
    let marks = blackhole_communities(own.into().blackhole);
    vec![
        format!("set next-hop blackhole if community has [{marks}]"),
        format!("add community no-export if community has [{marks}]"),
    ]
}

/// The communities that mark a route to be dropped.
fn blackhole_communities(own: LargeCommunity) -> String {
    format!("{}, blackhole", CommunityValue::Large(own))
}

/// The rules that a role's export policy has. `peer` is the AS number of the peer, if it is known: only then can
/// communities name it. What is learned from internal peers is judged by the informational
/// community it was given where it entered.
#[must_use]
pub fn export_rules(role: Role, own: impl Into<Own>, peer: Option<Asn>) -> Vec<String> {
    let Own { asn: own, blackhole } = own.into();
    let marks = blackhole_communities(blackhole);
    let foreign = format!(
        "source = bgp and not peer-role = customer and not peer-role = route-server-client \
         and not community has [{own}:0:100, {own}:0:103]"
    );
    let actions = format!("{own}:1:*, {own}:2:*, {own}:301-303:*");
    let mut rules = vec![format!("reject \"blackhole routes stay inside\" if community has [{marks}]")];
    let (number, whom) = match role {
        Role::Provider => (200, "to providers"),
        Role::Peer | Role::RouteServer => (201, "to peers"),
        Role::Customer | Role::RouteServerClient => (202, "to customers"),
    };
    match role {
        Role::Provider | Role::Peer | Role::RouteServer => {
            rules.push(format!("reject \"neither our own nor a customer's\" if {foreign}"));
        }
        // Those whose requests are not heeded lose them first, so that the rules below need not ask.
        Role::Customer | Role::RouteServerClient => {
            rules.push(format!("remove community {actions} if {foreign}"));
        }
    }
    rules.push(format!("reject \"not {whom}, by request\" if community has {own}:1:{number}"));
    if let Some(peer) = peer {
        rules.push(format!("reject \"not to AS{peer}, by request\" if community has {own}:2:{peer}"));
    }
    rules.extend((1..=3).rev().map(|times| prepend_rule(own, peer, times)));
    rules.push(format!("remove community {actions}"));
    rules.push("accept".to_owned());
    rules
}

/// Prepends as often as asked; where more is asked as well, that alone counts.
fn prepend_rule(own: Asn, peer: Option<Asn>, times: u32) -> String {
    let asked = |times: u32| {
        let to_peer = peer.map(|peer| format!("{own}:{}:{peer}", 300 + times));
        [Some(format!("{own}:1:{}", 300 + times)), to_peer].into_iter().flatten()
    };
    let has = |communities: Vec<String>| match communities.as_slice() {
        [one] => format!("community has {one}"),
        all => format!("community has [{}]", all.join(", ")),
    };
    let more: Vec<String> = (times + 1..=3).flat_map(asked).collect();
    let unless = if more.is_empty() { String::new() } else { format!(" and not {}", has(more)) };
    format!("prepend {own} x{times} if {}{unless}", has(asked(times).collect()))
}

#[cfg(test)]
mod tests;
