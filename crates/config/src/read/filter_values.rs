//! Values of the peer keys `rpki`, `max-prefix`, `max-prefix-out` and `irr`.

use std::time::Duration;

use siskin_net::FamilyMap;
use toml::de::DeValue;

use super::peer_values::{DAY, SECOND, empty};
use super::{Section, Value};
use crate::diagnostic::Report;
use crate::model::{AsSet, IrrFilter, IrrSource, LimitAction, Limits, MaxPrefix, MaxPrefixSource, RpkiMode};
use crate::source::Spanned;

/// `rpki` of a peer.
pub(crate) fn rpki_mode(value: Value<'_>, report: &mut Report) -> Option<RpkiMode> {
    if value.is_off() {
        return Some(RpkiMode::Off);
    }
    let words = [
        ("reject-invalid", RpkiMode::RejectInvalid),
        ("require-valid", RpkiMode::RequireValid),
        ("off", RpkiMode::Off),
    ];
    value.word(&words, report)
}

/// `max-prefix` and `max-prefix-out`; off is `Some(None)`.
pub(crate) fn max_prefix(value: Value<'_>, report: &mut Report) -> Option<Option<MaxPrefix>> {
    const RESTART: LimitAction = LimitAction::Restart { after: Duration::from_secs(900) };
    if value.is_off() {
        return Some(None);
    }
    if value.as_text().is_some() {
        value.word(&[("peeringdb", ()), ("off", ())], report)?;
        let source = MaxPrefixSource::PeeringDb(Limits::default());
        return Some(Some(MaxPrefix { source, warn_at: 80, action: RESTART }));
    }
    if !matches!(value.toml, DeValue::Table(_)) {
        return value.expected("a table like { ipv4 = 1000, ipv6 = 200 }, \"peeringdb\" or `false`", report);
    }
    let mut section = Section::new(value, "max-prefix", value.at, report)?;
    let peeringdb = section.get("peeringdb", report, Value::boolean).is_some_and(|p| p.value);
    let accepted = family_limits(&mut section, report);
    let received = match section.sub("received", report) {
        Some(mut received) => {
            let limits = family_limits(&mut received, report);
            received.finish(report);
            limits
        }
        None => FamilyMap::default(),
    };
    let warn_at = section.get("warn-at", report, |v, r| v.integer(1..=100, r));
    let actions = [
        ("warn", LimitAction::Warn),
        ("block", LimitAction::Block),
        ("restart", RESTART),
        ("shutdown", LimitAction::Shutdown),
    ];
    let action = section.get("action", report, |v, r| v.word(&actions, r));
    let after = section.get("restart-after", report, |v, r| v.duration(SECOND..=DAY * 7, r));
    section.finish(report);
    let action = limit_action(action, after, RESTART, report)?;
    let limits = Limits { accepted, received };
    let source = if peeringdb { MaxPrefixSource::PeeringDb(limits) } else { MaxPrefixSource::Limits(limits) };
    if !report.failed() && source == MaxPrefixSource::Limits(Limits::default()) {
        report
            .error(value.at, "no limit is given")
            .label("expected `ipv4`, `ipv6`, `received` or `peeringdb`");
        return None;
    }
    Some(Some(MaxPrefix { source, warn_at: warn_at.map_or(80, |w| w.value), action }))
}

fn family_limits(section: &mut Section<'_>, report: &mut Report) -> FamilyMap<Option<u32>> {
    FamilyMap::from_fn(|family| {
        let limit = section.get(family.name(), report, |v, r| v.integer(1..=u64::from(u32::MAX), r));
        limit.map(|l| l.value)
    })
}

fn limit_action(
    action: Option<Spanned<LimitAction>>,
    after: Option<Spanned<Duration>>,
    default: LimitAction,
    report: &mut Report,
) -> Option<LimitAction> {
    let chosen = action.map_or(default, |a| a.value);
    match (chosen, after) {
        (LimitAction::Restart { .. }, Some(after)) => Some(LimitAction::Restart { after: after.value }),
        (_, Some(after)) => {
            let draft = report
                .error(after.at, "`restart-after` goes with `action = \"restart\"`")
                .label("no session is restarted");
            if let Some(action) = action {
                draft.also(action.at, "the action is another");
            }
            None
        }
        (chosen, None) => Some(chosen),
    }
}

/// `irr` of a peer; off is `Some(None)`.
pub(crate) fn irr(value: Value<'_>, report: &mut Report) -> Option<Option<IrrFilter>> {
    if value.is_off() {
        return Some(None);
    }
    if !matches!(value.toml, DeValue::Table(_)) {
        return value.expected("a table like { as-set = \"AS-EXAMPLE\" } or `false`", report);
    }
    let mut section = Section::new(value, "irr", value.at, report)?;
    let as_set = section.get("as-set", report, as_sets);
    let has_as_set = section.entry("as-set").is_some();
    let max_length = match section.sub("max-length", report) {
        Some(mut lengths) => {
            let map = FamilyMap::from_fn(|family| {
                let max = u64::from(family.max_len());
                lengths.get(family.name(), report, |v, r| v.integer(1..=max, r)).map(|l| l.value)
            });
            lengths.finish(report);
            map
        }
        None => FamilyMap::default(),
    };
    let extra = section.get("extra", report, |v, r| v.list("prefixes", r, Value::prefix));
    let sources = section.get("sources", report, registry_sources);
    let accept_rpki_valid = section.get("accept-rpki-valid", report, Value::boolean);
    let check_origin = section.get("check-origin", report, Value::boolean);
    section.finish(report);
    if !has_as_set {
        report
            .error(value.at, "`irr` needs an `as-set`")
            .label("no `as-set` here")
            .help("as-set = \"auto\" takes the one the peer's PeeringDB record names");
    }
    Some(Some(IrrFilter {
        as_set: as_set?.value,
        max_length,
        extra: extra.map_or_else(Vec::new, |list| list.value.into_iter().map(|p| p.value).collect()),
        sources: sources.map(|s| s.value),
        accept_rpki_valid: accept_rpki_valid.is_some_and(|a| a.value),
        check_origin: check_origin.is_some_and(|c| c.value),
    }))
}

fn as_sets(value: Value<'_>, report: &mut Report) -> Option<IrrSource> {
    if value.as_text() == Some("auto") {
        return Some(IrrSource::Auto);
    }
    if value.as_text().is_some() {
        return as_set(value, report).map(|set| IrrSource::Sets(vec![set]));
    }
    let sets = value.list("as-sets", report, as_set)?;
    if sets.is_empty() {
        empty(value, "as-sets", "nothing would be accepted", report);
        return None;
    }
    Some(IrrSource::Sets(sets.into_iter().map(|set| set.value).collect()))
}

/// A set's name after RFC 2622 section 5: parts joined by colons, each `AS-…` or an AS number, one at least a set
/// unless it is a number alone.
fn as_set(value: Value<'_>, report: &mut Report) -> Option<AsSet> {
    value.parsed("an as-set", report, |text| {
        let upper = text.to_ascii_uppercase();
        let (source, name) = match upper.split_once("::") {
            Some((source, name)) => (Some(source.to_owned()), name),
            None => (None, upper.as_str()),
        };
        let word =
            |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        let part = |t: &str| word(t) && (t.starts_with("AS-") && t.len() > 3 || number_of(t));
        let is_set = name.split(':').any(|t| t.starts_with("AS-")) || number_of(name);
        if source.as_deref().is_none_or(word) && name.split(':').all(part) && is_set {
            Ok(AsSet { source: source.clone(), name: name.to_owned() })
        } else {
            Err("expected a name like AS-EXAMPLE, RIPE::AS-EXAMPLE or AS64500:AS-CUSTOMERS")
        }
    })
}

fn number_of(text: &str) -> bool {
    text.strip_prefix("AS").is_some_and(|n| n.parse::<u32>().is_ok())
}

/// A list of registry databases, in capitals.
pub(crate) fn registry_sources(value: Value<'_>, report: &mut Report) -> Option<Vec<String>> {
    let list = value.list("registry sources", report, |v, r| {
        v.parsed("a registry source", r, |text| {
            let fits =
                !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
            if fits { Ok(text.to_ascii_uppercase()) } else { Err("expected a name like RIPE") }
        })
    })?;
    if list.is_empty() {
        empty(value, "sources", "nobody would be asked", report);
        return None;
    }
    Some(list.into_iter().map(|source| source.value).collect())
}
