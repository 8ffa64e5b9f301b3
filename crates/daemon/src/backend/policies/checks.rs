//! The built-in rules of a peer as texts of the rule language, with what an operator should know of each.

use siskin_api::PolicyCheck;
use siskin_config::{Checks, Peer, PeerKind, RpkiMode};
use siskin_net::{Asn, Family};
use siskin_policy::{Builtin, edge};
use siskin_rib::ImportProfile;

/// One rule: its name, its texts (none where it has no parameters now), and a note.
fn check(
    reason: Builtin,
    on: bool,
    texts: impl IntoIterator<Item = String>,
    note: Option<String>,
) -> PolicyCheck {
    let texts: Vec<String> = texts.into_iter().collect();
    let rule = match texts.as_slice() {
        [] => format!("reject \"{}\"", reason.name()),
        texts => texts.join("\n"),
    };
    PolicyCheck { name: reason.name().into(), rule, on, note }
}

fn pairs<'a>(ranges: impl IntoIterator<Item = &'a std::ops::RangeInclusive<Asn>>) -> Vec<(u32, u32)> {
    ranges.into_iter().map(|range| (range.start().0, range.end().0)).collect()
}

/// The checks of import in the order they are made.
pub(super) fn import(config: &Peer, import: &ImportProfile) -> Vec<PolicyCheck> {
    let checks = &config.routes.checks;
    let mut list = of_protocol(config, import);
    list.extend(of_paths(checks, import));
    list.extend(of_prefixes(config, import));
    list
}

fn of_protocol(config: &Peer, import: &ImportProfile) -> Vec<PolicyCheck> {
    let external = import.external;
    vec![
        check(
            Builtin::AsLoop,
            true,
            edge::checks::as_loop_rule(&import.local_asns, import.allow_own_as),
            None,
        ),
        check(
            Builtin::FirstAs,
            import.enforce_first_as && external,
            [edge::checks::first_as_rule(import.asn)],
            None,
        ),
        check(Builtin::OriginatorLoop, true, [edge::checks::originator_loop_rule(import.identifier)], None),
        check(Builtin::ClusterLoop, true, [edge::checks::cluster_loop_rule(import.cluster_id)], None),
        check(Builtin::OwnNextHop, true, edge::checks::own_next_hop_rules(&import.own_addresses), None),
        check(Builtin::Martian, true, [edge::checks::martian_rule()], None),
        check(
            Builtin::RoleLeak,
            config.routes.checks.role_leak && config.session.role.is_some(),
            config.session.role.and_then(|role| edge::checks::role_leak_rule(role, import.asn)),
            config.session.role.is_none().then(|| "the peer has no role".into()),
        ),
    ]
}

fn of_paths(checks: &Checks, import: &ImportProfile) -> Vec<PolicyCheck> {
    let shy = &import.facts.never_via_route_servers;
    let blocked = checks.blocklist.as_deref();
    let blocked_asns: Vec<(u32, u32)> =
        blocked.map(|list| list.asns.iter().map(|asn| (asn.0, asn.0)).collect()).unwrap_or_default();
    let bogons = checks.bogon_asns.as_deref().map(pairs).unwrap_or_default();
    let transit = checks.transit_asns.as_deref().map(|ranges| expanded(ranges)).unwrap_or_default();
    vec![
        check(Builtin::NextHop, checks.next_hop, import.address.and_then(edge::checks::next_hop_rule), None),
        check(Builtin::BogonAsn, !bogons.is_empty(), edge::checks::bogon_asn_rules(&bogons), None),
        check(
            Builtin::PathLength,
            checks.path_length.is_some(),
            checks.path_length.map(edge::checks::path_length_rule),
            None,
        ),
        check(
            Builtin::TransitAsn,
            !transit.is_empty(),
            edge::checks::transit_asn_rules(&transit, import.asn),
            None,
        ),
        check(
            Builtin::NeverViaRouteServer,
            checks.never_via_route_server,
            [],
            Some(match shy {
                Some(_) => "with the AS numbers that PeeringDB lists".to_owned(),
                None => "PeeringDB has not listed any AS number yet".to_owned(),
            }),
        ),
        check(
            Builtin::Blocklist,
            blocked.is_some(),
            edge::checks::blocklist_rules(
                blocked.map(|list| &*list.prefixes).unwrap_or_default(),
                &blocked_asns,
            ),
            None,
        ),
        check(
            Builtin::AspaInvalid,
            checks.aspa,
            [edge::checks::aspa_rule()],
            import.facts.aspas.is_none().then(|| "there are no ASPA records".into()),
        ),
    ]
}

/// Every AS number of short ranges: transit networks are single numbers.
fn expanded(ranges: &[std::ops::RangeInclusive<Asn>]) -> Vec<u32> {
    ranges.iter().flat_map(|range| range.start().0..=range.end().0).take(10_000).collect()
}

fn of_prefixes(config: &Peer, import: &ImportProfile) -> Vec<PolicyCheck> {
    let routes = &config.routes;
    let checks = &routes.checks;
    let blackhole = import.edge.blackhole;
    let own: Vec<_> = checks.own_prefixes.iter().flat_map(|l| l.iter()).map(|p| p.prefix()).collect();
    let bogons = checks.bogon_prefixes.iter().flat_map(|l| l.iter()).copied().collect::<Vec<_>>();
    let lengths = checks.prefix_length.and_then(|lengths| {
        let of = |family: Family| lengths[family].0..=lengths[family].1;
        edge::checks::prefix_length_rule(of(Family::Ipv4), of(Family::Ipv6), blackhole)
    });
    let irr = routes.irr.as_ref();
    let mut registered: Vec<String> =
        irr.map(|irr| edge::checks::irr_rule(irr.accept_rpki_valid, blackhole)).into_iter().collect();
    registered.extend(irr.filter(|irr| irr.check_origin).map(|_| edge::checks::irr_origin_rule()));
    let rpki = match routes.rpki {
        RpkiMode::Off => Vec::new(),
        RpkiMode::RejectInvalid => edge::checks::rpki_rules(false),
        RpkiMode::RequireValid => edge::checks::rpki_rules(true),
    };
    vec![
        check(Builtin::OwnPrefix, !own.is_empty(), edge::checks::own_prefix_rules(&own), None),
        check(Builtin::BogonPrefix, !bogons.is_empty(), edge::checks::bogon_prefix_rules(&bogons), None),
        check(
            Builtin::Blackhole,
            checks.blackhole,
            blackhole.map(|mark| edge::checks::blackhole_rule(mark, irr.is_some())),
            (checks.blackhole && irr.is_none()).then(|| "without `irr` nothing is the peer's own".into()),
        ),
        check(Builtin::PrefixLength, checks.prefix_length.is_some(), lengths, None),
        check(
            Builtin::Irr,
            irr.is_some(),
            registered,
            import.irr.as_ref().map(|irr| match &irr.list {
                Some(list) => {
                    let count = |family: Family| match list.entries[family] {
                        Some(entries) => format!("{entries} {family} prefixes"),
                        None => format!("no {family} list yet"),
                    };
                    format!("{}: {}, {}", irr.label, count(Family::Ipv4), count(Family::Ipv6))
                }
                None => format!("{}: no list yet, so nothing is imported", irr.label),
            }),
        ),
        check(
            Builtin::RpkiInvalid,
            routes.rpki != RpkiMode::Off,
            rpki,
            match (&import.facts.vrps, import.facts.gate_closed) {
                (_, true) => Some("waits for RPKI data".into()),
                (None, false) => Some("there are no VRPs".into()),
                (Some(_), false) => None,
            },
        ),
    ]
}

/// What is refused on the way out before policy is asked.
pub(super) fn export(config: &Peer) -> Vec<PolicyCheck> {
    let external = config.session.kind() == PeerKind::External;
    let role = config.session.role;
    let upward = matches!(
        role,
        Some(siskin_net::Role::Provider | siskin_net::Role::Peer | siskin_net::Role::RouteServer)
    );
    let limited = config.routes.max_prefix_out.is_some();
    vec![
        check(
            Builtin::NoAdvertise,
            true,
            ["reject \"no-advertise\" if community has no-advertise".into()],
            None,
        ),
        check(Builtin::NoExport, external, ["reject \"no-export\" if community has no-export".into()], None),
        check(Builtin::RoleLeak, upward, ["reject \"role-leak\" if otc".into()], None),
        check(Builtin::Drain, config.routes.drain, [], None),
        check(
            Builtin::MaxPrefixOut,
            limited,
            [],
            limited.then(|| "counts what the update group is sent".into()),
        ),
    ]
}
