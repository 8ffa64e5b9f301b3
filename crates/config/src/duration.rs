//! Durations as the file writes them: `"90s"`, `"12h"`, `"1h30m"`, `"50ms"`.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// The longest duration taken: a year.
const MAX_MS: u64 = 366 * 86_400_000;

/// What a duration looks like, for error messages.
pub(crate) const EXPECTED: &str =
    "expected a duration like \"90s\", \"15m\" or \"1h30m\" (units ms, s, m, h, d)";

/// Reads whole numbers, each with its unit; `"0"` needs none.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(unit)?;
        let (_, milliseconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let part = number.parse::<u64>().ok()?.checked_mul(*milliseconds)?;
        total = total.checked_add(part).filter(|t| *t <= MAX_MS)?;
        rest = tail;
    }
    if text.is_empty() { None } else { Some(Duration::from_millis(total)) }
}

/// Writes a duration in the largest unit that needs no fraction, so that [`parse`] reads it again; below a
/// millisecond nothing is shown.
pub(crate) fn format(duration: Duration) -> String {
    let total = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let unit = UNITS.iter().rev().find(|(_, milliseconds)| total != 0 && total.is_multiple_of(*milliseconds));
    match unit {
        Some((name, milliseconds)) => format!("{}{name}", total / milliseconds),
        None => "0s".to_owned(),
    }
}
