//! Where text goes and how it may look.

use std::cell::Cell;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::failure::Failure;

/// How text may look, and what "now" is for ages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// Whether colours are welcome.
    pub(crate) color: bool,
    /// Whether a person looks on: then marks are explained.
    pub(crate) person: bool,
    /// Seconds of Unix time.
    pub(crate) now: u64,
}

/// What a piece of text says about itself by its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Tone {
    /// As any text.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Not as it should be.
    Bad,
    /// Worth a look.
    Warn,
    /// Of less interest.
    Dim,
    /// A heading.
    Bold,
}

impl Look {
    /// The text in its tone.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Warn => "33",
            Tone::Dim => "2",
            Tone::Bold => "1",
        };
        if !self.color || text.is_empty() {
            return text.to_owned();
        }
        let mut painted = String::with_capacity(text.len() + 8);
        // Writing to a string does not fail.
        let _ = write!(painted, "\x1b[{code}m{text}\x1b[0m");
        painted
    }
}

/// Standard output and standard error.
#[derive(Debug)]
pub(crate) struct Output {
    json: Cell<bool>,
    look: Look,
}

impl Output {
    /// The process's own: colours on a terminal alone, and none with `NO_COLOR`.
    pub(crate) fn standard() -> Output {
        let person = std::io::stdout().is_terminal();
        let color = person && colors_welcome();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        Output { json: Cell::new(false), look: Look { color, person, now } }
    }

    /// From here on programs read.
    pub(crate) fn set_json(&self, json: bool) {
        self.json.set(json);
    }

    /// Whether programs read.
    pub(crate) fn is_json(&self) -> bool {
        self.json.get()
    }

    /// How text may look.
    pub(crate) fn look(&self) -> Look {
        self.look
    }

    /// Whether standard error may be coloured.
    pub(crate) fn color_complaints(&self) -> bool {
        std::io::stderr().is_terminal() && colors_welcome()
    }

    /// Prints text as it is.
    pub(crate) fn text(&self, text: &str) -> Result<(), Failure> {
        self.bytes(text.as_bytes())
    }

    /// Prints octets as they are.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|_| Failure::Closed)
    }

    /// Prints what the API answered, as it came, and a line break.
    pub(crate) fn answer(&self, answer: &[u8]) -> Result<(), Failure> {
        self.bytes(&[answer, b"\n"].concat())
    }

    /// Prints one JSON value and a line break.
    pub(crate) fn json<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        let mut text = serde_json::to_vec(value)
            .map_err(|e| Failure::Negative(Some(format!("the answer has no JSON form: {e}"))))?;
        text.push(b'\n');
        self.bytes(&text)
    }

    /// Tells the operator what went wrong.
    pub(crate) fn complain(&self, text: &str) {
        self.complain_raw(&format!("siskin: {}\n", crate::words::clean(text)));
    }

    /// Writes to standard error; there is nobody to tell if that fails.
    pub(crate) fn complain_raw(&self, text: &str) {
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}

/// `NO_COLOR` with any value but an empty one says no.
fn colors_welcome() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}
