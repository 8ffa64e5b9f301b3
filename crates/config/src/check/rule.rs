//! `[[rule]]`.

use super::Checker;
use crate::model::Rule;
use crate::read::raw::RawRule;

/// The place of a rule that names none: well before the kernel's own for `main` (32766).
const PRIORITY: u32 = 1_000;
/// The most rules: the kernel asks them one after the other for each packet.
const MAX_RULES: usize = 10_000;

impl Checker<'_> {
    pub(super) fn rules(&mut self, list: Vec<RawRule>) -> Vec<Rule> {
        if let Some(first) = list.get(MAX_RULES) {
            self.report
                .error(first.at, format!("there are more than {MAX_RULES} rules"))
                .label("the first too many");
            return Vec::new();
        }
        list.into_iter().filter_map(|raw| self.rule(raw)).collect()
    }

    fn rule(&mut self, raw: RawRule) -> Option<Rule> {
        if !raw.has_condition {
            self.report
                .error(raw.at, "a rule needs a condition")
                .label("it would take every packet")
                .help("`from`, `to`, `iif` or `fwmark`; for all packets there is `from = \"0.0.0.0/0\"`");
            return None;
        }
        if let (Some(from), Some(to)) = (&raw.from, &raw.to)
            && from.value.family() != to.value.family()
        {
            self.report
                .error(to.at, "`from` and `to` are of different address families")
                .label("no packet matches both")
                .also(from.at, "the other one");
            return None;
        }
        Some(Rule {
            from: raw.from.map(|p| p.value),
            to: raw.to.map(|p| p.value),
            iif: raw.iif.map(|i| i.value),
            fwmark: raw.fwmark.map(|m| m.value),
            table: raw.table?.value,
            priority: raw.priority.map_or(PRIORITY, |p| p.value),
        })
    }
}
