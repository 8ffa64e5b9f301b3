//! Routes that the kernel refused: why, and when to try again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::place::Place;
use crate::error::KernelError;
use foldhash::{HashMap, HashSet};

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(60);
/// Texts kept once for all routes that share them. The kernel has few; beyond this they are stored for each.
const TEXTS: usize = 256;

#[derive(Debug)]
struct Failure {
    error: KernelError,
    attempts: u8,
    due: Instant,
}

/// The refused routes.
#[derive(Debug, Default)]
pub(super) struct Failures {
    by_place: HashMap<Place, Failure>,
    texts: HashSet<Arc<str>>,
    /// Not later than the first that is due.
    next_due: Option<Instant>,
}

impl Failures {
    /// Records a refusal; the wait doubles with each in a row.
    pub(super) fn record(&mut self, place: Place, error: KernelError, now: Instant) {
        let text = self.texts.get(&error.text).cloned().unwrap_or_else(|| {
            if self.texts.len() < TEXTS {
                self.texts.insert(error.text.clone());
            }
            error.text
        });
        let attempts = self.by_place.get(&place).map_or(0, |f| f.attempts);
        let due = now + (FIRST_RETRY * (1 << attempts.min(6))).min(LAST_RETRY);
        let error = KernelError { errno: error.errno, text };
        self.by_place.insert(place, Failure { error, attempts: attempts.saturating_add(1), due });
        self.next_due = Some(self.next_due.map_or(due, |next| next.min(due)));
    }

    pub(super) fn get(&self, place: Place) -> Option<&KernelError> {
        self.by_place.get(&place).map(|f| &f.error)
    }

    pub(super) fn forget(&mut self, place: Place) {
        if !self.by_place.is_empty() {
            self.by_place.remove(&place);
        }
    }

    /// The prefixes to try again now. They stay recorded, so that the next wait is longer.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Place> {
        if self.next_due.is_none_or(|next| next > now) {
            return Vec::new();
        }
        let mut due = Vec::new();
        let mut next_due: Option<Instant> = None;
        for (place, failure) in &mut self.by_place {
            if failure.due <= now {
                due.push(*place);
                // The try itself sets the next date; this one only keeps it from being due again meanwhile.
                failure.due = now + LAST_RETRY;
            }
            next_due = Some(next_due.map_or(failure.due, |next| next.min(failure.due)));
        }
        self.next_due = next_due;
        due
    }

    /// Makes everything due: something changed that may have been the cause.
    pub(super) fn hurry(&mut self, now: Instant) {
        for failure in self.by_place.values_mut() {
            failure.due = now;
        }
        self.next_due = (!self.by_place.is_empty()).then_some(now);
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.next_due
    }
}

#[cfg(test)]
mod tests;
