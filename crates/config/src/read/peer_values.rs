//! Values of peer keys that have forms of their own: read here into what they mean, whatever the form. Those of
//! filters and limits are in `filter_values`.

use std::ops::RangeInclusive;
use std::time::Duration;

use siskin_net::{Asn, Family, FamilySet, Role};
use toml::de::DeValue;

use super::value::usable_asn;
use super::{Section, Value};
use crate::diagnostic::Report;
use crate::model::{AddPath, AddPathSend, AsnRule, Bfd, Communities, GracefulRestart};

/// `role`. The words of other programs are known well enough to be corrected.
pub(crate) fn role(value: Value<'_>, report: &mut Report) -> Option<Role> {
    let ours = match value.as_text() {
        Some("upstream" | "transit") => "provider",
        Some("downstream" | "client") => "customer",
        Some("rs") => "route-server",
        Some("rs-client") => "route-server-client",
        _ => return value.word(&ROLES, report),
    };
    report
        .error(value.at, format!("\"{}\" is not known here", value.as_text().unwrap_or_default()))
        .label("no role of RFC 9234")
        .help(format!("the word is \"{ours}\": what the peer is to us"));
    None
}

/// The words of `role`.
const ROLES: [(&str, Role); 5] = [
    ("provider", Role::Provider),
    ("customer", Role::Customer),
    ("peer", Role::Peer),
    ("route-server", Role::RouteServer),
    ("route-server-client", Role::RouteServerClient),
];

/// The word of a role.
pub(crate) fn role_name(role: Role) -> &'static str {
    ROLES.iter().find(|(_, known)| *known == role).map_or("role", |(name, _)| *name)
}

const FAMILIES: [(&str, Family); 2] = [("ipv4-unicast", Family::Ipv4), ("ipv6-unicast", Family::Ipv6)];

/// `families` as read: which, and whether an IPv6 next hop for IPv4 was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawFamilies {
    pub(crate) set: FamilySet,
    pub(crate) extended_next_hop: bool,
}

/// `ttl-security` as read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TtlSecurity {
    Off,
    /// As many hops as `multihop` says, else one.
    On,
    Hops(u8),
}

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// `asn`: a number, `"external"`, `"internal"`, or a list of numbers and ranges.
pub(crate) fn asn_rule(value: Value<'_>, report: &mut Report) -> Option<AsnRule> {
    match (value.toml, value.as_text()) {
        (_, Some("external")) => Some(AsnRule::External),
        (_, Some("internal")) => Some(AsnRule::Internal),
        (DeValue::Array(_), _) => {
            let ranges = value.list("AS numbers and ranges", report, asn_range)?;
            if ranges.is_empty() {
                empty(value, "AS numbers", "nobody would match", report);
                return None;
            }
            let mut ranges: Vec<_> = ranges.into_iter().map(|r| r.value).collect();
            ranges.sort_by_key(|range| *range.start());
            Some(AsnRule::OneOf(ranges))
        }
        (DeValue::Integer(_), _) => value.asn(report).map(AsnRule::Is),
        (_, Some(text)) if text.parse::<Asn>().is_ok() => value.asn(report).map(AsnRule::Is),
        (_, Some(text)) => {
            let near = crate::suggest::nearest(text, ["external", "internal"]);
            let help = match near {
                Some(word) => Some(format!("did you mean \"{word}\"?")),
                None if text.contains('-') => Some(format!("a range stands in a list: [\"{text}\"]")),
                None => None,
            };
            report
                .error(value.at, format!("\"{text}\" is no AS number"))
                .label("expected a number, \"external\", \"internal\" or a list like [\"65101-65199\"]")
                .maybe_help(help);
            None
        }
        _ => value.expected("an AS number, \"external\", \"internal\" or a list", report),
    }
}

/// Reports a list without members; one whose members were all wrong is reported already.
pub(super) fn empty(value: Value<'_>, what: &str, label: &str, report: &mut Report) {
    if matches!(value.toml, DeValue::Array(array) if array.is_empty()) {
        report.error(value.at, format!("the list of {what} is empty")).label(label);
    }
}

fn asn_range(value: Value<'_>, report: &mut Report) -> Option<RangeInclusive<Asn>> {
    let Some((low, high)) = value.as_text().and_then(|text| text.split_once('-')) else {
        return value.asn(report).map(|asn| asn..=asn);
    };
    match (low.trim().parse::<Asn>(), high.trim().parse::<Asn>()) {
        (Ok(low), Ok(high)) if low <= high => {
            usable_asn(low, value.at, report)?;
            Some(low..=high)
        }
        (Ok(low), Ok(high)) => {
            report
                .error(value.at, "the range is empty")
                .label("the first number is greater than the last")
                .help(format!("did you mean \"{high}-{low}\"?"));
            None
        }
        _ => {
            report.error(value.at, "this is no range of AS numbers").label("expected \"65101-65199\"");
            None
        }
    }
}

/// `families`: a list of names, or a table with a table of options each.
pub(crate) fn families(value: Value<'_>, report: &mut Report) -> Option<RawFamilies> {
    let mut extended_next_hop = false;
    let set: FamilySet = if let DeValue::Table(_) = value.toml {
        let mut section = Section::new(value, "families", value.at, report)?;
        let mut set = FamilySet::EMPTY;
        for (name, family) in FAMILIES {
            let Some(mut options) = section.sub(name, report) else { continue };
            set = set.with(family);
            let next_hop =
                options.get("next-hop", report, |v, r| v.word(&[("ipv6", true), ("default", false)], r));
            if family == Family::Ipv4 {
                extended_next_hop = next_hop.is_some_and(|n| n.value);
            }
            options.finish(report);
        }
        section.finish(report);
        set
    } else {
        let list = value.list("address families", report, |v, r| v.word(&FAMILIES, r))?;
        list.into_iter().map(|family| family.value).collect()
    };
    if set.is_empty() {
        empty(value, "address families", "a session needs at least one", report);
        if matches!(value.toml, DeValue::Table(table) if table.is_empty()) {
            report.error(value.at, "a session needs at least one address family").label("none is here");
        }
        return None;
    }
    Some(RawFamilies { set, extended_next_hop })
}

/// `default-originate`: `true` (both families), `false`, or a list of families.
pub(crate) fn default_originate(value: Value<'_>, report: &mut Report) -> Option<FamilySet> {
    match value.toml {
        DeValue::Boolean(true) => Some(FamilySet::BOTH),
        DeValue::Boolean(false) => Some(FamilySet::EMPTY),
        DeValue::Array(_) => {
            let list = value.list("address families", report, |v, r| v.word(&FAMILIES, r))?;
            Some(list.into_iter().map(|family| family.value).collect())
        }
        _ => value.expected("`true`, `false` or a list of address families", report),
    }
}

/// `multihop`: `true` (a TTL of 64), `false` (the default of the kind of peer), or a TTL.
pub(crate) fn multihop(value: Value<'_>, report: &mut Report) -> Option<Option<u8>> {
    match value.toml {
        DeValue::Boolean(on) => Some(on.then_some(64)),
        DeValue::Integer(_) => value.integer(1..=255, report).map(Some),
        _ => value.expected("`true`, `false` or a number of hops", report),
    }
}

/// `ttl-security`: `true`, `false`, or how many hops away the peer may be.
pub(crate) fn ttl_security(value: Value<'_>, report: &mut Report) -> Option<TtlSecurity> {
    match value.toml {
        DeValue::Boolean(true) => Some(TtlSecurity::On),
        DeValue::Boolean(false) => Some(TtlSecurity::Off),
        DeValue::Integer(_) => value.integer(1..=254, report).map(TtlSecurity::Hops),
        _ => value.expected("`true`, `false` or a number of hops", report),
    }
}

/// `hold-time`: zero, or 3 s to 65,535 s (RFC 4271 section 4.2), whole seconds.
pub(crate) fn hold_time(value: Value<'_>, report: &mut Report) -> Option<Duration> {
    let hold_time = value.duration(Duration::ZERO..=Duration::from_secs(65_535), report)?;
    if hold_time.subsec_nanos() != 0 {
        report.error(value.at, "the Hold Time is whole seconds on the wire").label("not whole seconds");
        return None;
    }
    if matches!(hold_time.as_secs(), 1 | 2) {
        report
            .error(value.at, "the Hold Time must be zero or at least 3 seconds (RFC 4271)")
            .label("too short")
            .help("\"0s\" switches keepalives off; \"3s\" is the shortest");
        return None;
    }
    Some(hold_time)
}

/// `password`: 1 to 80 octets.
pub(crate) fn password(value: Value<'_>, report: &mut Report) -> Option<String> {
    let text = value.text("a password", report)?;
    if text.len() > 80 {
        report
            .error(value.at, "a TCP MD5 key has at most 80 octets")
            .label(format!("this one has {}", text.len()));
        return None;
    }
    Some(text)
}

/// `add-path`.
pub(crate) fn add_path(value: Value<'_>, report: &mut Report) -> Option<AddPath> {
    const OFF: AddPath = AddPath { receive: false, send: AddPathSend::Off };
    if value.is_off() {
        return Some(OFF);
    }
    if !matches!(value.toml, DeValue::Table(_)) {
        let words = [
            ("receive", AddPath { receive: true, send: AddPathSend::Off }),
            ("send", AddPath { receive: false, send: AddPathSend::All }),
            ("both", AddPath { receive: true, send: AddPathSend::All }),
            ("off", OFF),
        ];
        return value.word(&words, report);
    }
    let mut section = Section::new(value, "add-path", value.at, report)?;
    let receive = section.get("receive", report, Value::boolean).is_some_and(|r| r.value);
    let send = section.get("send", report, |v, r| match v.toml {
        DeValue::Boolean(true) => Some(AddPathSend::All),
        DeValue::Boolean(false) => Some(AddPathSend::Off),
        _ => v.integer(1..=64, r).map(AddPathSend::Best),
    });
    section.finish(report);
    Some(AddPath { receive, send: send.map_or(AddPathSend::Off, |s| s.value) })
}

/// `graceful-restart`; off is `Some(None)`.
pub(crate) fn graceful_restart(value: Value<'_>, report: &mut Report) -> Option<Option<GracefulRestart>> {
    let default = GracefulRestart { time: SECOND * 120, stale: SECOND * 300 };
    match value.toml {
        DeValue::Boolean(on) => Some(on.then_some(default)),
        DeValue::Table(_) => {
            let mut section = Section::new(value, "graceful-restart", value.at, report)?;
            let time = section.get("time", report, |v, r| v.duration(SECOND..=SECOND * 4095, r));
            let stale = section.get("stale", report, |v, r| v.duration(SECOND..=DAY, r));
            section.finish(report);
            Some(Some(GracefulRestart {
                time: time.map_or(default.time, |t| t.value),
                stale: stale.map_or(default.stale, |s| s.value),
            }))
        }
        _ => value.expected("`true`, `false` or a table", report),
    }
}

/// `bfd`; off is `Some(None)`.
pub(crate) fn bfd(value: Value<'_>, report: &mut Report) -> Option<Option<Bfd>> {
    const INTERVALS: RangeInclusive<Duration> = Duration::from_millis(3)..=Duration::from_secs(60);
    let default = Bfd {
        min_tx: Duration::from_millis(50),
        min_rx: Duration::from_millis(50),
        multiplier: 3,
        strict: false,
    };
    match value.toml {
        DeValue::Boolean(on) => Some(on.then_some(default)),
        DeValue::Table(_) => {
            let mut section = Section::new(value, "bfd", value.at, report)?;
            let min_tx = section.get("min-tx", report, |v, r| v.duration(INTERVALS, r));
            let min_rx = section.get("min-rx", report, |v, r| v.duration(INTERVALS, r));
            let multiplier = section.get("multiplier", report, |v, r| v.integer(1..=255, r));
            let strict = section.get("strict", report, Value::boolean);
            section.finish(report);
            Some(Some(Bfd {
                min_tx: min_tx.map_or(default.min_tx, |t| t.value),
                min_rx: min_rx.map_or(default.min_rx, |t| t.value),
                multiplier: multiplier.map_or(default.multiplier, |m| m.value),
                strict: strict.is_some_and(|s| s.value),
            }))
        }
        _ => value.expected("`true`, `false` or a table", report),
    }
}

/// `communities` of a peer: a list (added to what is given), or `{ import = […], export = […] }`.
pub(crate) fn communities(value: Value<'_>, report: &mut Report) -> Option<(Communities, Communities)> {
    if !matches!(value.toml, DeValue::Table(_)) {
        return Some((Communities::default(), value.communities(report)?));
    }
    let mut section = Section::new(value, "communities", value.at, report)?;
    let import = section.get("import", report, Value::communities);
    let export = section.get("export", report, Value::communities);
    section.finish(report);
    Some((import.map(|c| c.value).unwrap_or_default(), export.map(|c| c.value).unwrap_or_default()))
}

/// `allow-own-as`: how often; `true` is once.
pub(crate) fn allow_own_as(value: Value<'_>, report: &mut Report) -> Option<u8> {
    match value.toml {
        DeValue::Boolean(on) => Some(u8::from(*on)),
        _ => value.integer(0..=10, report),
    }
}
