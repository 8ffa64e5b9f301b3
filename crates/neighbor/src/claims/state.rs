//! The states a claim can be in, and what each means for the kernel and for BGP.

use std::fmt;

use siskin_net::IfIndex;

use crate::Mac;

/// Where an owner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Its port; `None`: it came from a previous run and has not been heard yet.
    pub port: Option<IfIndex>,
    /// Its MAC address.
    pub mac: Mac,
}

/// Who else claims the address of a contested claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rival {
    /// The owner's MAC address on another port of ours; it gets the address if the owner is silent.
    Here(Binding),
    /// Another router, for another MAC address; we yield to it if the owner is silent.
    Elsewhere,
}

/// Where a frozen address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// Here, and announced.
    Here,
    /// Withdrawn a moment ago in favour of another router; the neighbour entry is still there.
    Leaving,
    /// With another router.
    Away,
}

/// What a claim is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Declared, or released by the operator: its VM is not here, or was not heard yet.
    Standby {
        /// Not to be asked for: only what the VM says by itself counts.
        quiet: bool,
    },
    /// Its VM asks whether the address is free (duplicate address detection); not ours to announce yet.
    Candidate {
        /// Probes sent since it may answer.
        probes: u8,
    },
    /// A previous run left it: in the kernel, and in BGP as soon as its interface has a live port.
    Unverified {
        /// Whether a live port was seen.
        announced: bool,
        /// Probes sent.
        probes: u8,
    },
    /// Alive and announced.
    Active,
    /// Announced, silent for a while, and being probed.
    Verify {
        /// Probes sent and not answered.
        probes: u8,
    },
    /// Announced, and claimed by somebody else: the owner is asked first.
    Contested {
        /// Probes sent and not answered.
        probes: u8,
        /// Who gets it if the owner is silent.
        rival: Rival,
    },
    /// Withdrawn in favour of another router, but still bound to its owner here.
    Moved {
        /// The neighbour entry is still in the kernel, until the other router's route has taken the place of ours;
        /// what the owner says now may be from before.
        lingering: bool,
        /// Probes sent since: an owner that answers is here, whatever the other router says. One more than
        /// `probe_count`: it did not.
        probes: u8,
    },
    /// Withdrawn, but still bound to its owner.
    Gone,
    /// It moved too often: it stays where it is, and claims change nothing.
    Frozen {
        /// Where that is.
        stand: Stand,
    },
}

/// The names of the states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateName {
    /// [`State::Standby`].
    Standby,
    /// [`State::Candidate`].
    Candidate,
    /// [`State::Unverified`].
    Unverified,
    /// [`State::Active`].
    Active,
    /// [`State::Verify`].
    Verify,
    /// [`State::Contested`].
    Contested,
    /// [`State::Moved`].
    Moved,
    /// [`State::Gone`].
    Gone,
    /// [`State::Frozen`].
    Frozen,
}

impl StateName {
    /// All of them.
    pub const ALL: [StateName; 9] = [
        StateName::Standby,
        StateName::Candidate,
        StateName::Unverified,
        StateName::Active,
        StateName::Verify,
        StateName::Contested,
        StateName::Moved,
        StateName::Gone,
        StateName::Frozen,
    ];

    /// The word used in tables, JSON and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            StateName::Standby => "standby",
            StateName::Candidate => "candidate",
            StateName::Unverified => "unverified",
            StateName::Active => "active",
            StateName::Verify => "verify",
            StateName::Contested => "contested",
            StateName::Moved => "moved",
            StateName::Gone => "gone",
            StateName::Frozen => "frozen",
        }
    }
}

impl fmt::Display for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl State {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> StateName {
        match self {
            State::Standby { .. } => StateName::Standby,
            State::Candidate { .. } => StateName::Candidate,
            State::Unverified { .. } => StateName::Unverified,
            State::Active => StateName::Active,
            State::Verify { .. } => StateName::Verify,
            State::Contested { .. } => StateName::Contested,
            State::Moved { .. } => StateName::Moved,
            State::Gone => StateName::Gone,
            State::Frozen { .. } => StateName::Frozen,
        }
    }

    /// Whether the neighbour entry is in the kernel.
    #[must_use]
    pub const fn in_kernel(self) -> bool {
        match self {
            State::Standby { .. } | State::Candidate { .. } | State::Gone => false,
            State::Frozen { stand: Stand::Away } => false,
            State::Moved { lingering, .. } => lingering,
            State::Unverified { .. } | State::Active | State::Verify { .. } | State::Contested { .. } => true,
            State::Frozen { stand: Stand::Here | Stand::Leaving } => true,
        }
    }

    /// Whether the address is announced.
    #[must_use]
    pub const fn announced(self) -> bool {
        match self {
            State::Standby { .. } | State::Candidate { .. } | State::Moved { .. } | State::Gone => false,
            State::Frozen { stand } => matches!(stand, Stand::Here),
            State::Unverified { announced, .. } => announced,
            State::Active | State::Verify { .. } | State::Contested { .. } => true,
        }
    }

    /// Whether its VM counts as here: in the kernel, and not on its way out.
    #[must_use]
    pub const fn is_here(self) -> bool {
        self.announced() || matches!(self, State::Unverified { .. })
    }
}
