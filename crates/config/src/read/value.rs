//! One TOML value and its place: read as what a key expects, or reported.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use siskin_net::{Asn, ParsePrefixError, Prefix};
use siskin_policy::CommunityValue;
use toml::de::DeValue;

use super::literal;
use crate::diagnostic::Report;
use crate::model::Communities;
use crate::source::{Location, Spanned};
use crate::{duration, suggest};

/// The most members of any list.
const MAX_LIST: usize = 1_000_000;

/// A value of the file.
#[derive(Clone, Copy)]
pub(crate) struct Value<'t> {
    pub(crate) toml: &'t DeValue<'t>,
    pub(crate) at: Location,
}

impl<'t> Value<'t> {
    pub(crate) fn new(spanned: &'t toml::Spanned<DeValue<'t>>, file: usize) -> Value<'t> {
        let span = spanned.span();
        Value { toml: spanned.get_ref(), at: Location { file, start: span.start, end: span.end } }
    }

    /// Reports that something else was expected here.
    pub(crate) fn expected<T>(self, what: &str, report: &mut Report) -> Option<T> {
        report
            .error(self.at, format!("expected {what}, found {}", self.found()))
            .label(format!("expected {what}"));
        None
    }

    fn found(self) -> String {
        match self.toml {
            DeValue::String(text) if text.is_empty() => "an empty string".to_owned(),
            DeValue::String(_) => "a string".to_owned(),
            DeValue::Integer(_) => "an integer".to_owned(),
            DeValue::Float(_) => "a floating-point number".to_owned(),
            DeValue::Boolean(value) => format!("`{value}`"),
            DeValue::Datetime(_) => "a date".to_owned(),
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        }
    }

    /// The text, if it is a string; nothing is reported.
    pub(crate) fn as_text(self) -> Option<&'t str> {
        match self.toml {
            DeValue::String(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is `false` or `"off"`: how a key that takes more is switched off.
    pub(crate) fn is_off(self) -> bool {
        matches!(self.toml, DeValue::Boolean(false)) || self.as_text() == Some("off")
    }

    pub(crate) fn boolean(self, report: &mut Report) -> Option<bool> {
        match self.toml {
            DeValue::Boolean(value) => Some(*value),
            _ => self.expected("`true` or `false`", report),
        }
    }

    pub(crate) fn text(self, what: &str, report: &mut Report) -> Option<String> {
        match self.as_text() {
            Some(text) if !text.is_empty() => Some(text.to_owned()),
            _ => self.expected(what, report),
        }
    }

    /// A whole number within `range`.
    pub(crate) fn integer<T: TryFrom<u64>>(
        self,
        range: RangeInclusive<u64>,
        report: &mut Report,
    ) -> Option<T> {
        let (low, high) = (*range.start(), *range.end());
        let what = format!("a whole number from {low} to {high}");
        let DeValue::Integer(integer) = self.toml else { return self.expected(&what, report) };
        let number = i128::from_str_radix(integer.as_str(), integer.radix()).ok();
        match number.and_then(|n| u64::try_from(n).ok()).filter(|n| range.contains(n)) {
            Some(number) => T::try_from(number).ok(),
            None => {
                report.error(self.at, format!("expected {what}")).label("out of range");
                None
            }
        }
    }

    /// The elements of a list, each read by `read`; those that fail are reported and left out.
    pub(crate) fn list<T>(
        self,
        what: &str,
        report: &mut Report,
        mut read: impl FnMut(Value<'t>, &mut Report) -> Option<T>,
    ) -> Option<Vec<Spanned<T>>> {
        let DeValue::Array(array) = self.toml else {
            if self.as_text().is_some() {
                let text = report.sources().slice(self.at).to_owned();
                report
                    .error(self.at, format!("expected a list of {what}, found a string"))
                    .label("expected a list")
                    .help(format!("write [{text}]"));
                return None;
            }
            return self.expected(&format!("a list of {what}"), report);
        };
        if array.len() > MAX_LIST {
            report.error(self.at, format!("the list has {} members; {MAX_LIST} are allowed", array.len()));
            return None;
        }
        let mut list = Vec::with_capacity(array.len());
        for element in array.iter() {
            let value = Value::new(element, self.at.file);
            if let Some(read) = read(value, report) {
                list.push(Spanned { value: read, at: value.at });
            }
        }
        Some(list)
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(self, words: &[(&'static str, T)], report: &mut Report) -> Option<T> {
        let names = || words.iter().map(|(name, _)| *name);
        let Some(text) = self.as_text() else {
            return self.expected(&alternatives(names()), report);
        };
        if let Some((_, value)) = words.iter().find(|(name, _)| *name == text) {
            return Some(*value);
        }
        let help = suggest::nearest(text, names()).map(|near| format!("did you mean \"{near}\"?"));
        report
            .error(self.at, format!("\"{text}\" is not known here"))
            .label(format!("expected {}", alternatives(names())))
            .maybe_help(help);
        None
    }

    /// A duration within `range`.
    pub(crate) fn duration(self, range: RangeInclusive<Duration>, report: &mut Report) -> Option<Duration> {
        let Some(text) = self.as_text() else {
            let number = match self.toml {
                DeValue::Integer(number) => Some(format!("a unit is needed: \"{number}s\" for seconds")),
                _ => None,
            };
            report
                .error(self.at, format!("expected a duration, found {}", self.found()))
                .label("expected a string like \"90s\"")
                .maybe_help(number);
            return None;
        };
        let Some(value) = duration::parse(text) else {
            let seconds = format!("{text}s");
            let help = duration::parse(&seconds).map(|_| format!("did you mean \"{seconds}\"?"));
            report
                .error(self.at, format!("\"{text}\" is no duration"))
                .label(duration::EXPECTED)
                .maybe_help(help);
            return None;
        };
        if range.contains(&value) {
            return Some(value);
        }
        let (low, high) = (duration::format(*range.start()), duration::format(*range.end()));
        report.error(self.at, format!("expected a duration from {low} to {high}")).label("out of range");
        None
    }

    /// What `parse` makes of the text; its error is the message.
    pub(crate) fn parsed<T, E: std::fmt::Display>(
        self,
        what: &str,
        report: &mut Report,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let Some(text) = self.as_text() else { return self.expected(what, report) };
        match parse(text) {
            Ok(value) => Some(value),
            Err(error) => {
                report.error(self.at, format!("\"{text}\" is not {what}")).label(error.to_string());
                None
            }
        }
    }

    pub(crate) fn address(self, report: &mut Report) -> Option<IpAddr> {
        let address: IpAddr = self.parsed("an IP address", report, |text| {
            text.parse().map_err(|_| match text.split_once('/') {
                Some(_) => "an address without a prefix length is expected",
                None => "expected an address like 192.0.2.1 or 2001:db8::1",
            })
        })?;
        Some(address)
    }

    pub(crate) fn socket_address(self, report: &mut Report) -> Option<SocketAddr> {
        self.parsed("an address with a port (ADDRESS:PORT)", report, |text| {
            text.parse::<SocketAddr>().map_err(|_| "expected ADDRESS:PORT, like 0.0.0.0:179 or [::]:179")
        })
    }

    pub(crate) fn prefix(self, report: &mut Report) -> Option<Prefix> {
        let Some(text) = self.as_text() else { return self.expected("a prefix", report) };
        match text.parse::<Prefix>() {
            Ok(prefix) => Some(prefix),
            Err(error) => {
                prefix_error(self, text, &error, report);
                None
            }
        }
    }

    /// An AS number that may stand in an AS path of today: not 0, AS_TRANS, nor the last of either kind.
    pub(crate) fn asn(self, report: &mut Report) -> Option<Asn> {
        let asn = match self.toml {
            DeValue::Integer(_) => Asn(self.integer(0..=u64::from(u32::MAX), report)?),
            DeValue::String(_) => self.parsed("an AS number", report, str::parse::<Asn>)?,
            _ => return self.expected("an AS number", report),
        };
        usable_asn(asn, self.at, report)
    }

    /// Communities of any kind, without wildcards.
    pub(crate) fn communities(self, report: &mut Report) -> Option<Communities> {
        let list = self.list("communities", report, |value, report| {
            let Some(text) = value.as_text() else { return value.expected("a community", report) };
            match text.parse::<CommunityValue>() {
                Ok(community) => Some(community),
                Err(error) => {
                    let at = within(value.at, text, error.span.start, error.span.end, report);
                    report.error(at, error.message).maybe_help(error.help);
                    None
                }
            }
        })?;
        Some(list.into_iter().map(|community| community.value).collect())
    }
}

/// `"a", "b" or "c"`.
fn alternatives<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let quoted: Vec<String> = names.map(|name| format!("\"{name}\"")).collect();
    match quoted.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => quoted.concat(),
    }
}

/// The place in the file of bytes `start..end` of a string that was decoded from the literal at `at`.
pub(crate) fn within(at: Location, decoded: &str, start: usize, end: usize, report: &Report) -> Location {
    let raw = report.sources().slice(at);
    let start = literal::raw_offset(raw, decoded, start);
    let end = literal::raw_offset(raw, decoded, end).max(start);
    Location { file: at.file, start: at.start + start, end: at.start + end }
}

/// Refuses the numbers no AS may use: 0 (RFC 7607), 23456 (RFC 6793), 65535 and 4294967295 (RFC 7300).
pub(crate) fn usable_asn(asn: Asn, at: Location, report: &mut Report) -> Option<Asn> {
    let why = match asn.0 {
        0 => "AS 0 is reserved (RFC 7607)",
        23456 => "AS 23456 stands for numbers that do not fit two octets (RFC 6793); give the real one",
        65535 | u32::MAX => "the last AS number is reserved (RFC 7300)",
        _ => return Some(asn),
    };
    report.error(at, format!("{asn} is no AS number a speaker can have")).label(why);
    None
}

fn prefix_error(value: Value<'_>, text: &str, error: &ParsePrefixError, report: &mut Report) {
    let help = match error {
        ParsePrefixError::HostBits(meant) => {
            let host = text.split('/').next().and_then(|t| t.parse().ok()).map(Prefix::host);
            Some(match host {
                Some(host) => format!("did you mean \"{meant}\", or the host \"{host}\"?"),
                None => format!("did you mean \"{meant}\"?"),
            })
        }
        ParsePrefixError::Syntax => text
            .parse()
            .ok()
            .map(|address| format!("for this one address write \"{}\"", Prefix::host(address))),
        ParsePrefixError::Length(_) => None,
    };
    let label = match error {
        ParsePrefixError::HostBits(_) => "bits beyond the prefix length are set".to_owned(),
        other => other.to_string(),
    };
    report.error(value.at, format!("\"{text}\" is no prefix")).label(label).maybe_help(help);
}
