//! `[[rule]]`.

use siskin_net::Prefix;
use toml::de::DeValue;

use super::peer::interface;
use super::sections::{Key, missing, table};
use crate::diagnostic::Report;
use crate::model::Mark;
use crate::read::{Section, Value};
use crate::source::Location;

/// One `[[rule]]`.
pub(crate) struct RawRule {
    pub(crate) at: Location,
    pub(crate) from: Key<Prefix>,
    pub(crate) to: Key<Prefix>,
    pub(crate) iif: Key<String>,
    pub(crate) fwmark: Key<Mark>,
    pub(crate) table: Key<u32>,
    pub(crate) priority: Key<u32>,
    /// A condition stands there, right or wrong.
    pub(crate) has_condition: bool,
}

impl RawRule {
    pub(crate) fn read_all(value: Value<'_>, report: &mut Report) -> Vec<RawRule> {
        if matches!(value.toml, DeValue::Table(_)) {
            report
                .error(value.at, "`rule` is a list of tables")
                .label("a single table")
                .help("write [[rule]] with double brackets");
            return Vec::new();
        }
        let list = value.list("tables", report, |value, report| {
            let mut section = Section::new(value, "[rule]", value.at, report)?;
            let raw = RawRule {
                at: value.at,
                from: section.get("from", report, Value::prefix),
                to: section.get("to", report, Value::prefix),
                iif: section.get("iif", report, interface),
                fwmark: section.get("fwmark", report, mark),
                table: section.get("table", report, table),
                priority: section.get("priority", report, |v, r| v.integer(1..=u64::from(u32::MAX), r)),
                has_condition: ["from", "to", "iif", "fwmark"].iter().any(|key| section.entry(key).is_some()),
            };
            missing(&mut section, &["table"], report);
            section.finish(report);
            Some(raw)
        });
        list.unwrap_or_default().into_iter().map(|raw| raw.value).collect()
    }
}

/// A mark: a number, or `"MARK/MASK"` as `ip rule` takes it.
fn mark(value: Value<'_>, report: &mut Report) -> Option<Mark> {
    if matches!(value.toml, DeValue::Integer(_)) {
        let value = value.integer(0..=u64::from(u32::MAX), report)?;
        return Some(Mark { value, mask: u32::MAX });
    }
    value.parsed("a mark", report, |text| {
        let (value, mask) = text.split_once('/').map_or((text, None), |(value, mask)| (value, Some(mask)));
        let number = |text: &str| match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        };
        let mask = mask.map_or(Some(u32::MAX), number);
        match (number(value), mask) {
            (Some(value), Some(mask)) if value & !mask == 0 => Ok(Mark { value, mask }),
            (Some(_), Some(_)) => Err("the mark has bits outside its mask"),
            _ => Err("expected a number, like 0x10, or with a mask, like 0x10/0xff"),
        }
    })
}
