//! One TOML table being read: each key is asked for once, what nobody asked for is an unknown key.

use toml::de::{DeTable, DeValue};

use super::Value;
use crate::diagnostic::Report;
use crate::source::{Location, Spanned};
use crate::suggest;

/// A table of the file, and which of its keys have been asked for.
pub(crate) struct Section<'t> {
    table: &'t DeTable<'t>,
    /// How one would write the table's name: `peer.transit-a`; empty: the top of the file.
    pub(crate) place: String,
    /// Where its name stands.
    pub(crate) at: Location,
    known: Vec<&'static str>,
}

impl<'t> Section<'t> {
    /// The top of a file.
    pub(crate) fn top(table: &'t DeTable<'t>, file: usize) -> Section<'t> {
        Section { table, place: String::new(), at: Location::file(file), known: Vec::new() }
    }

    /// A value that must be a table. `at` is where its name stands.
    pub(crate) fn new(
        value: Value<'t>,
        place: impl Into<String>,
        at: Location,
        report: &mut Report,
    ) -> Option<Section<'t>> {
        match value.toml {
            DeValue::Table(table) => Some(Section { table, place: place.into(), at, known: Vec::new() }),
            _ => value.expected("a table", report),
        }
    }

    /// A key's place and value, if the table has it.
    pub(crate) fn entry(&mut self, key: &'static str) -> Option<(Location, Value<'t>)> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let (name, value) = self.table.get_key_value(key)?;
        Some((self.key_location(name.span()), Value::new(value, self.at.file)))
    }

    fn key_location(&self, span: std::ops::Range<usize>) -> Location {
        Location { file: self.at.file, start: span.start, end: span.end }
    }

    /// Reads a key; `None` if it is absent or wrong (then reported).
    pub(crate) fn get<T>(
        &mut self,
        key: &'static str,
        report: &mut Report,
        read: impl FnOnce(Value<'t>, &mut Report) -> Option<T>,
    ) -> Option<Spanned<T>> {
        let (_, value) = self.entry(key)?;
        Some(Spanned { value: read(value, report)?, at: value.at })
    }

    /// Reads a key that is a table.
    pub(crate) fn sub(&mut self, key: &'static str, report: &mut Report) -> Option<Section<'t>> {
        let (at, value) = self.entry(key)?;
        let place = if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) };
        Section::new(value, place, at, report)
    }

    /// All keys of a table whose keys are names the user chose: each name with its place and value.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&'t str, Location, Value<'t>)> + use<'t> {
        let file = self.at.file;
        self.table.iter().map(move |(name, value)| {
            let span = name.span();
            let at = Location { file, start: span.start, end: span.end };
            (name.get_ref().as_ref(), at, Value::new(value, file))
        })
    }

    /// The table's own place, for messages: `in [peer.transit-a]`.
    pub(crate) fn title(&self) -> String {
        if self.place.starts_with('{') {
            return format!("in {}", self.place);
        }
        if self.place.is_empty() {
            "outside of any section".to_owned()
        } else {
            format!("in [{}]", self.place)
        }
    }

    /// Reports every key that was not asked for.
    pub(crate) fn finish(self, report: &mut Report) {
        for (name, value) in self.table {
            if self.known.iter().any(|known| *known == name.get_ref()) {
                continue;
            }
            let name_text = name.get_ref();
            let is_section = self.place.is_empty() && matches!(value.get_ref(), DeValue::Table(_));
            let (noun, message) = if is_section {
                ("section", format!("unknown section [{name_text}]"))
            } else {
                ("key", format!("unknown key `{name_text}` {}", self.title()))
            };
            let help = suggest::help(name_text, self.known.iter().copied(), "known here");
            report
                .error(self.key_location(name.span()), message)
                .label(format!("no such {noun}"))
                .maybe_help(help);
        }
    }
}
