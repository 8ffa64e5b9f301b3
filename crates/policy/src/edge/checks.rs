//! The checks made before policy, as texts of the rule language: what `siskin policy show` prints of them.
//!
//! The checks themselves are not compiled from these texts, for speed; each text says, of any route, what its check
//! says, and names it in its `reject "…"`. Lists that do not fit into one rule become several. Left out are checks that
//! only say that data are missing: such a thing cannot be asked in the language.

use std::fmt::Display;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use siskin_bgp::attr::LargeCommunity;
use siskin_net::{Asn, BgpIdentifier, Family, Prefix, Role};

use super::blackhole_communities;
use crate::numbers::Range;
use crate::{Builtin, PrefixPattern};

/// The longest list of one rule, in bytes: well below what the language allows.
const MAX_LIST: usize = 32_768;

fn reject(check: Builtin, condition: impl Display) -> String {
    format!("reject \"{}\" if {condition}", check.name())
}

/// A rule for each part of the list that fits; `condition` gets the part in brackets.
fn reject_each<T: Display>(
    check: Builtin,
    items: impl IntoIterator<Item = T>,
    condition: impl Fn(&str) -> String,
) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for item in items {
        match parts.last_mut().filter(|part| part.len() < MAX_LIST) {
            Some(part) => part.push_str(&format!(", {item}")),
            None => parts.push(item.to_string()),
        }
    }
    parts.iter().map(|part| reject(check, condition(&format!("[{part}]")))).collect()
}

fn bracketed<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    format!("[{}]", items.join(", "))
}

fn ranges(asns: &[(u32, u32)]) -> impl Iterator<Item = String> {
    asns.iter().map(|(first, last)| Range { first: *first, last: *last }).map(|range| match range.single() {
        Some(asn) => asn.to_string(),
        None => format!("{}-{}", range.first, range.last),
    })
}

/// `as-loop`: one of our AS numbers stands in the path more often than `allowed`. `None` without an AS number.
#[must_use]
pub fn as_loop_rule(own: &[Asn], allowed: u8) -> Option<String> {
    if own.is_empty() {
        return None;
    }
    if allowed == 0 {
        return Some(reject(Builtin::AsLoop, format!("as-path has {}", bracketed(own))));
    }
    let numbers: Vec<String> = own.iter().map(Asn::to_string).collect();
    let one = format!("({})", numbers.join("|"));
    // Each further one may follow at once: the boundary before it was taken already.
    let expression = format!("_{one}_{}", format!("(.*_)?{one}_").repeat(usize::from(allowed)));
    Some(reject(Builtin::AsLoop, format!("as-path ~ \"{expression}\"")))
}

/// `first-as`: the path of an external peer does not begin with its AS number.
#[must_use]
pub fn first_as_rule(peer: Asn) -> String {
    reject(Builtin::FirstAs, format!("not neighbor-as = {peer}"))
}

/// `originator-loop`: we sent it first (RFC 4456 section 8).
#[must_use]
pub fn originator_loop_rule(own: BgpIdentifier) -> String {
    reject(Builtin::OriginatorLoop, format!("originator-id = {own}"))
}

/// `cluster-loop`: it went through our cluster already (RFC 4456 section 8).
#[must_use]
pub fn cluster_loop_rule(own: u32) -> String {
    reject(Builtin::ClusterLoop, format!("cluster-list has {}", BgpIdentifier(own)))
}

/// `own-next-hop`: one of these, our addresses, is the next hop.
#[must_use]
pub fn own_next_hop_rules(addresses: &[IpAddr]) -> Vec<String> {
    let hosts = addresses.iter().copied().map(Prefix::host);
    reject_each(Builtin::OwnNextHop, hosts, |list| format!("next-hop in {list}"))
}

/// `martian`: the prefix or the next hop must never be routed.
#[must_use]
pub fn martian_rule() -> String {
    const PREFIXES: &str = "0.0.0.0/8+, 127.0.0.0/8+, 224.0.0.0/4+, ::/127+, fe80::/10+, ff00::/8+";
    const NEXT_HOPS: &str =
        "0.0.0.0/32, 127.0.0.0/8, 224.0.0.0/4, 255.255.255.255/32, ::/128, ::1/128, ff00::/8";
    reject(Builtin::Martian, format!("prefix in [{PREFIXES}] or next-hop in [{NEXT_HOPS}]"))
}

/// `role-leak`: OTC forbids that this peer sends the route (RFC 9234 section 5). `None` for roles that may send any.
#[must_use]
pub fn role_leak_rule(role: Role, peer: Asn) -> Option<String> {
    match role {
        Role::Customer | Role::RouteServerClient => Some(reject(Builtin::RoleLeak, "otc")),
        Role::Peer => Some(reject(Builtin::RoleLeak, format!("otc and not otc = {peer}"))),
        Role::Provider | Role::RouteServer => None,
    }
}

/// `bogon-prefix`: one of the patterns matches.
#[must_use]
pub fn bogon_prefix_rules(bogons: &[PrefixPattern]) -> Vec<String> {
    reject_each(Builtin::BogonPrefix, bogons, |list| format!("prefix in {list}"))
}

/// `bogon-asn`: a number of one of the ranges, both ends included, is in the path.
#[must_use]
pub fn bogon_asn_rules(bogons: &[(u32, u32)]) -> Vec<String> {
    reject_each(Builtin::BogonAsn, ranges(bogons), |list| format!("as-path has {list}"))
}

/// `prefix-length`: the prefix is shorter or longer than allowed. `blackhole`: our community, if the peer may send
/// BLACKHOLE routes; their length is not looked at. `None` if every length is allowed.
#[must_use]
pub fn prefix_length_rule(
    v4: RangeInclusive<u8>,
    v6: RangeInclusive<u8>,
    blackhole: Option<LargeCommunity>,
) -> Option<String> {
    let outside = |family: Family, word: &str, lengths: RangeInclusive<u8>| {
        let too_short = (*lengths.start() > 0).then(|| format!("prefix.len < {}", lengths.start()));
        let too_long = (*lengths.end() < family.max_len()).then(|| format!("prefix.len > {}", lengths.end()));
        match (too_short, too_long) {
            (Some(short), Some(long)) => Some(format!("family = {word} and ({short} or {long})")),
            (one, other) => one.or(other).map(|one| format!("family = {word} and {one}")),
        }
    };
    let either = [outside(Family::Ipv4, "ipv4", v4), outside(Family::Ipv6, "ipv6", v6)];
    let either: Vec<String> = either.into_iter().flatten().collect();
    let condition = match (either.is_empty(), blackhole) {
        (true, _) => return None,
        (false, None) => either.join(" or "),
        (false, Some(own)) => {
            format!("({}) and not community has [{}]", either.join(" or "), blackhole_communities(own))
        }
    };
    Some(reject(Builtin::PrefixLength, condition))
}

/// `path-length`: the path counts more than `max` AS numbers.
#[must_use]
pub fn path_length_rule(max: u32) -> String {
    reject(Builtin::PathLength, format!("as-path.len > {max}"))
}

/// `own-prefix`: the prefix is one of our own or lies within.
#[must_use]
pub fn own_prefix_rules(own: &[Prefix]) -> Vec<String> {
    let patterns = own.iter().copied().map(PrefixPattern::or_longer);
    reject_each(Builtin::OwnPrefix, patterns, |list| format!("prefix in {list}"))
}

/// `next-hop`: the next hop is not the address of the peer. One of the other family cannot be compared, so it passes.
/// `None` of a link-local address, which says nothing of the global one behind it.
#[must_use]
pub fn next_hop_rule(peer: IpAddr) -> Option<String> {
    let other = match peer {
        IpAddr::V6(address) if address.is_unicast_link_local() => return None,
        IpAddr::V6(_) => Family::Ipv4,
        IpAddr::V4(_) => Family::Ipv6,
    };
    let list = bracketed([Prefix::host(peer), Prefix::default_route(other)]);
    Some(reject(Builtin::NextHop, format!("not next-hop in {list}")))
}

/// `transit-asn`: one of these AS numbers is in the path. The peer's own never counts.
#[must_use]
pub fn transit_asn_rules(transit: &[u32], peer: Asn) -> Vec<String> {
    let others = transit.iter().filter(|asn| **asn != peer.0);
    reject_each(Builtin::TransitAsn, others, |list| format!("as-path has {list}"))
}

/// `never-via-route-server`: one of these AS numbers is in the path.
#[must_use]
pub fn never_via_route_server_rules(asns: &[u32]) -> Vec<String> {
    reject_each(Builtin::NeverViaRouteServer, asns, |list| format!("as-path has {list}"))
}

/// `blocklist`: a pattern matches, or a number of one of the ranges is in the path.
#[must_use]
pub fn blocklist_rules(prefixes: &[PrefixPattern], asns: &[(u32, u32)]) -> Vec<String> {
    let mut rules = reject_each(Builtin::Blocklist, prefixes, |list| format!("prefix in {list}"));
    rules.extend(reject_each(Builtin::Blocklist, ranges(asns), |list| format!("as-path has {list}")));
    rules
}

/// `rpki-invalid`, and where nothing but valid routes is taken also `rpki-not-valid`.
#[must_use]
pub fn rpki_rules(require_valid: bool) -> Vec<String> {
    let mut rules = vec![reject(Builtin::RpkiInvalid, "rpki invalid")];
    if require_valid {
        rules.push(reject(Builtin::RpkiNotValid, "rpki not-found"));
    }
    rules
}

/// `aspa-invalid`.
#[must_use]
pub fn aspa_rule() -> String {
    reject(Builtin::AspaInvalid, "aspa invalid")
}

/// `irr`: the peer's IRR set does not allow the prefix; `accept_rpki_valid`: unless RPKI does. `blackhole`: our
/// community, if the peer may send BLACKHOLE routes, which [`blackhole_rule`] judges.
#[must_use]
pub fn irr_rule(accept_rpki_valid: bool, blackhole: Option<LargeCommunity>) -> String {
    let unless_valid = if accept_rpki_valid { " and not rpki valid" } else { "" };
    let unless_blackhole = blackhole
        .map(|own| format!(" and not community has [{}]", blackhole_communities(own)))
        .unwrap_or_default();
    reject(Builtin::Irr, format!("not irr match{unless_valid}{unless_blackhole}"))
}

/// `irr-origin`: the origin AS is not a member of the peer's as-set.
#[must_use]
pub fn irr_origin_rule() -> String {
    reject(Builtin::IrrOrigin, "not irr origin")
}

/// `blackhole`: a route marked to be dropped, by BLACKHOLE or by `own`, that is no host route or lies outside the peer's
/// IRR set. `has_set`: the peer has one; without it no such route is taken.
#[must_use]
pub fn blackhole_rule(own: LargeCommunity, has_set: bool) -> String {
    let marked = format!("community has [{}]", blackhole_communities(own));
    let condition = match has_set {
        false => marked,
        true => format!(
            "{marked} and not (irr covers and \
             (family = ipv4 and prefix.len = 32 or family = ipv6 and prefix.len = 128))"
        ),
    };
    reject(Builtin::Blackhole, condition)
}
