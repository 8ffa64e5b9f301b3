//! The texts a configuration is read from, and places in them.

/// One file: its name as messages show it, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The name.
    pub name: String,
    /// The text.
    pub text: String,
}

/// A span of bytes in one of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Location {
    /// Index into [`Sources`].
    pub(crate) file: usize,
    /// The first byte.
    pub(crate) start: usize,
    /// One past the last byte.
    pub(crate) end: usize,
}

impl Location {
    /// The file as a whole: what is wrong has no line.
    pub(crate) const fn file(file: usize) -> Location {
        Location { file, start: usize::MAX, end: usize::MAX }
    }

    pub(crate) const fn is_whole_file(self) -> bool {
        self.start == usize::MAX
    }
}

/// A value with the place it was written at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) at: Location,
}

/// All files of one configuration; the first is the main one.
#[derive(Default)]
pub(crate) struct Sources {
    files: Vec<SourceFile>,
    /// The byte offset of every line's start, by file.
    lines: Vec<Vec<usize>>,
}

impl Sources {
    pub(crate) fn new(files: Vec<SourceFile>) -> Sources {
        let starts = |file: &SourceFile| {
            std::iter::once(0).chain(file.text.match_indices('\n').map(|(at, _)| at + 1)).collect()
        };
        let lines = files.iter().map(starts).collect();
        Sources { files, lines }
    }

    pub(crate) fn files(&self) -> &[SourceFile] {
        &self.files
    }

    pub(crate) fn name(&self, file: usize) -> &str {
        self.files.get(file).map_or("", |f| &f.name)
    }

    pub(crate) fn text(&self, file: usize) -> &str {
        self.files.get(file).map_or("", |f| &f.text)
    }

    /// The text of a span; empty if there is none.
    pub(crate) fn slice(&self, at: Location) -> &str {
        self.text(at.file).get(at.start..at.end).unwrap_or_default()
    }

    /// Line and column in characters, both from 1; zeros for the whole file.
    pub(crate) fn line_column(&self, at: Location) -> (u32, u32) {
        let Some(lines) = self.lines.get(at.file).filter(|_| !at.is_whole_file()) else { return (0, 0) };
        let line = lines.partition_point(|start| *start <= at.start);
        let line_start = lines.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let before = self.text(at.file).get(line_start..at.start).unwrap_or_default();
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (number(line), number(before.chars().count() + 1))
    }

    /// `siskin.toml:88`.
    pub(crate) fn file_line(&self, at: Location) -> String {
        format!("{}:{}", self.name(at.file), self.line_column(at).0)
    }
}
