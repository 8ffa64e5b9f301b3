//! What is wrong with an attribute, and what follows from it (RFC 7606 section 2).

use std::fmt;

/// What an UPDATE's faults lead to; the worst of all is the message's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Disposition {
    /// Nothing was wrong, or nothing that matters.
    #[default]
    Accept,
    /// The attribute is dropped, the rest of the message stands.
    DiscardAttribute,
    /// The announced prefixes count as withdrawn.
    TreatAsWithdraw,
    /// The address family is ignored from now on, its routes are dropped.
    DisableFamily,
    /// The session ends with a NOTIFICATION.
    ResetSession,
}

impl Disposition {
    /// The name used in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Disposition::Accept => "accept",
            Disposition::DiscardAttribute => "attribute-discard",
            Disposition::TreatAsWithdraw => "treat-as-withdraw",
            Disposition::DisableFamily => "disable-family",
            Disposition::ResetSession => "session-reset",
        }
    }
}

/// One fault, for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The attribute's type code; 0: the message's own fields.
    pub code: u8,
    /// The attribute's name.
    pub name: &'static str,
    /// What is wrong with it.
    pub text: &'static str,
    /// What followed.
    pub disposition: Disposition,
    /// The attribute's value, or its first octets ([`Fault::EXCERPT`]).
    pub excerpt: Vec<u8>,
}

impl Fault {
    /// How many octets an excerpt has at most.
    pub const EXCERPT: usize = 32;

    pub(crate) fn new(
        (code, name): (u8, &'static str),
        text: &'static str,
        disposition: Disposition,
        octets: &[u8],
    ) -> Fault {
        let excerpt = octets.get(..Self::EXCERPT).unwrap_or(octets).to_vec();
        Fault { code, name, text, disposition, excerpt }
    }
}

impl fmt::Display for Fault {
    /// `COMMUNITIES (8): length is no multiple of 4: treat-as-withdraw [fde80064fd]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}: {} [", self.name, self.code, self.text, self.disposition.name())?;
        for octet in &self.excerpt {
            write!(f, "{octet:02x}")?;
        }
        f.write_str("]")
    }
}
