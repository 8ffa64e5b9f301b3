//! Policy rules of ours (`[[rule]]`): made, watched, and taken away by our protocol number, which other rules do not have.

use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

use siskin_net::{Family, Prefix};

use super::Fib;
use crate::PROTOCOL;
use crate::channel::Channel;
use crate::error::FibError;
use crate::wire::batch::Batch;
use crate::wire::rule::{self, KernelRule, PolicyRule};

/// How soon a refused rule is tried again.
const RETRY: Duration = Duration::from_secs(10);
/// How many requests go together.
const BATCHED: usize = 256;

/// The rules of ours.
#[derive(Debug, Default)]
pub(super) struct Rules {
    wanted: BTreeSet<PolicyRule>,
    /// Nobody has said so far which rules are wanted: those of a previous run stay.
    told: bool,
    /// The kernel's rules may not be as wanted: look from then on.
    look_at: Option<Instant>,
}

impl Rules {
    /// A rule with our number came or went, not by us; or such news may have been lost.
    pub(super) fn doubt(&mut self) {
        if self.told {
            self.look_at = Some(Instant::now());
        }
    }

    pub(super) fn next_look(&self) -> Option<Instant> {
        self.look_at
    }

    /// Makes the kernel's rules of our protocol those that are wanted, if that is in doubt.
    ///
    /// # Errors
    /// When the kernel's rules cannot be read, or the exchange failed.
    pub(super) fn tend(&mut self, now: Instant, channel: &mut Channel, batch: &mut Batch) -> io::Result<()> {
        if self.look_at.is_none_or(|at| at > now) {
            return Ok(());
        }
        self.look_at = Some(now + RETRY);
        let (present, strange) = read(channel).map_err(io::Error::other)?;
        if strange > 0 {
            tracing::debug!(strange, "rules with our protocol number that are not of our making stay");
        }
        let gone: Vec<&PolicyRule> = present.difference(&self.wanted).collect();
        send(channel, batch, &gone, rule::remove, "removing")?;
        let missing: Vec<&PolicyRule> = self.wanted.difference(&present).collect();
        if send(channel, batch, &missing, rule::add, "adding")? {
            self.look_at = None;
        }
        Ok(())
    }

    /// Removes all.
    ///
    /// # Errors
    /// As of [`Rules::tend`].
    pub(super) fn flush(&mut self, channel: &mut Channel, batch: &mut Batch) -> io::Result<()> {
        self.wanted.clear();
        self.look_at = Some(Instant::now());
        self.tend(Instant::now(), channel, batch)
    }
}

/// Sends a request for each rule; `false` if the kernel refused one.
fn send(
    channel: &mut Channel,
    batch: &mut Batch,
    rules: &[&PolicyRule],
    put: fn(&mut Batch, &PolicyRule, u8),
    action: &str,
) -> io::Result<bool> {
    let mut accepted = true;
    for part in rules.chunks(BATCHED) {
        channel.prepare(batch);
        part.iter().for_each(|rule| put(batch, rule, PROTOCOL));
        channel.exchange(batch, |number, error| {
            accepted = false;
            tracing::warn!(rule = ?part.get(number), %error, "{action} a policy rule");
        })?;
        tracing::info!(rules = part.len(), "{action} policy rules");
    }
    Ok(accepted)
}

/// The kernel's rules of our protocol, and how many of them are of a kind that we do not make.
fn read(channel: &mut Channel) -> Result<(BTreeSet<PolicyRule>, usize), FibError> {
    let mut found = (BTreeSet::new(), 0);
    for family in Family::ALL {
        let build = |batch: &mut Batch| rule::dump(batch, family);
        let begin = |found: &mut (BTreeSet<PolicyRule>, usize)| found.0.retain(|r| r.family != family);
        channel.dump("reading policy rules", build, &mut found, begin, |found, message| {
            match KernelRule::decode(message).filter(|r| r.protocol == PROTOCOL) {
                Some(KernelRule { rule: Some(rule), .. }) => {
                    found.0.insert(rule);
                }
                Some(_) => found.1 += 1,
                None => {}
            }
        })?;
    }
    Ok(found)
}

impl Fib {
    /// Sets the policy rules that are wanted from now on; [`Fib::write`] makes it so, and again whenever somebody else
    /// takes one away. Rules of our protocol that are not among them are removed, those of a previous run too.
    pub fn set_rules(&mut self, rules: impl IntoIterator<Item = PolicyRule>) {
        // A prefix of length 0 is no condition, and the kernel shows none.
        let all = |prefix: Option<Prefix>| prefix.filter(|p| p.len() > 0);
        let plain = |r: PolicyRule| PolicyRule { from: all(r.from), to: all(r.to), ..r };
        self.rules.wanted = rules.into_iter().map(plain).collect();
        self.rules.told = true;
        self.rules.doubt();
    }
}
