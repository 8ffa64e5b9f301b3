//! One list and what answers do to it. The promise of the crate is kept here: only a believable answer, or the operator,
//! replaces what is in force. Time is an argument.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use siskin_net::{Asn, Prefix};

use crate::{Answer, FetchError, Part, State};

/// Below this many entries a list may lose any number but the last: half of three is no sign of anything.
const SMALL: usize = 10;

/// The entries of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    /// Prefixes of one family.
    Prefixes(Arc<[Prefix]>),
    /// AS numbers.
    Members(Arc<[Asn]>),
}

impl Data {
    pub(crate) fn len(&self) -> usize {
        match self {
            Data::Prefixes(list) => list.len(),
            Data::Members(list) => list.len(),
        }
    }

    /// No entries, of the kind that `part` has.
    pub(crate) fn empty(part: Part) -> Data {
        match part {
            Part::Prefixes(_) => Data::Prefixes(Arc::new([])),
            Part::Members => Data::Members(Arc::new([])),
        }
    }
}

/// Entries and when they were fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Good {
    /// The entries.
    pub(crate) data: Data,
    /// When.
    pub(crate) fetched: SystemTime,
}

/// One list of one set.
#[derive(Clone, Debug)]
pub(crate) struct List {
    part: Part,
    /// What is in force.
    good: Option<Good>,
    /// An answer that cannot be believed without the operator.
    candidate: Option<Good>,
    state: State,
    last_attempt: Option<SystemTime>,
    /// Whether the disk was asked for it.
    pub(crate) loaded: bool,
    /// Whether the disk lacks what is in force.
    pub(crate) unsaved: bool,
}

impl List {
    pub(crate) fn new(part: Part) -> List {
        List {
            part,
            good: None,
            candidate: None,
            state: State::Missing { reason: "not asked yet".into() },
            last_attempt: None,
            loaded: false,
            unsaved: false,
        }
    }

    pub(crate) fn good(&self) -> Option<&Good> {
        self.good.as_ref()
    }

    /// How many entries the doubtful answer has, if there is one.
    pub(crate) fn offered(&self) -> Option<usize> {
        self.candidate.as_ref().map(|candidate| candidate.data.len())
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    pub(crate) fn last_attempt(&self) -> Option<SystemTime> {
        self.last_attempt
    }

    /// What the disk had, and why it had nothing if it should have had something.
    pub(crate) fn load(&mut self, found: Result<Option<Good>, String>, refresh: Duration, now: SystemTime) {
        self.loaded = true;
        match found {
            Ok(Some(good)) => {
                let age = now.duration_since(good.fetched).unwrap_or_default();
                self.state = if age <= refresh + refresh / 10 {
                    State::Fresh
                } else {
                    State::Kept { reason: "from disk, not asked again yet".into() }
                };
                self.good = Some(good);
            }
            Ok(None) => {}
            Err(reason) => self.state = State::Missing { reason },
        }
    }

    /// An answer of the server. Returns whether what is in force is of another time or content now.
    pub(crate) fn answer(&mut self, answer: Answer, now: SystemTime) -> bool {
        self.last_attempt = Some(now);
        let found = !matches!(answer, Answer::NotFound);
        let data = match answer {
            Answer::Prefixes(list) => Data::Prefixes(list),
            Answer::Members(list) => Data::Members(list),
            Answer::NotFound => Data::empty(self.part),
        };
        let new = Good { data, fetched: now };
        match doubt(self.good.as_ref().map(|g| g.data.len()), found.then_some(new.data.len())) {
            None => {
                self.good = Some(new);
                self.candidate = None;
                self.state = State::Fresh;
                self.unsaved = true;
                true
            }
            Some(reason) if self.good.is_some() => {
                self.candidate = Some(new);
                self.state = State::Alarm { reason };
                false
            }
            Some(reason) => {
                self.state = State::Missing { reason };
                false
            }
        }
    }

    /// The server could not be asked, or failed. An alarm stays one: its cause is still there.
    pub(crate) fn fail(&mut self, error: &FetchError, now: SystemTime) {
        self.last_attempt = Some(now);
        let reason = error.to_string();
        match (&self.state, &self.good) {
            (State::Alarm { .. }, _) => {}
            (_, Some(_)) => self.state = State::Kept { reason },
            (_, None) => self.state = State::Missing { reason },
        }
    }

    /// Puts the doubtful answer in force; the numbers of entries before and after, or `None` if there is no such answer.
    pub(crate) fn accept(&mut self) -> Option<(usize, usize)> {
        let candidate = self.candidate.take()?;
        let from = self.good.as_ref().map_or(0, |g| g.data.len());
        let to = candidate.data.len();
        self.good = Some(candidate);
        self.state = State::Fresh;
        self.unsaved = true;
        Some((from, to))
    }
}

/// Why an answer must not replace a list by itself. `old`: entries in force; `new`: entries of the answer, `None` for `D`.
fn doubt(old: Option<usize>, new: Option<usize>) -> Option<String> {
    match (old, new) {
        (None, None) => Some("the registry says there is no such set (D)".into()),
        (None | Some(0), _) => None,
        (Some(_), None) => Some("the registry says there is no such set (D)".into()),
        (Some(old), Some(0)) => Some(format!("shrank from {} to none", grouped(old))),
        (Some(old), Some(new)) => (old >= SMALL && new < old - old / 2)
            .then(|| format!("shrank from {} to {}", grouped(old), grouped(new))),
    }
}

/// `11204` as `11,204`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
