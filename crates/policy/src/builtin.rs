//! Names for every reason a route can be accepted or refused: the built-in ones, and the rules of policies.

use std::fmt;

/// The rule that decided. Values below 64 are a [`Builtin`] reason; the others are rules of the
/// [`PolicySet`](crate::PolicySet) that gave them out, which alone can describe them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct RuleId(pub u32);

impl RuleId {
    /// The first id that belongs to a rule of a policy.
    pub const FIRST_OF_POLICIES: RuleId = RuleId(64);

    /// The built-in reason it stands for, if it does.
    #[must_use]
    pub fn builtin(self) -> Option<Builtin> {
        Builtin::ALL.iter().copied().find(|b| *b as u32 == self.0)
    }
}

impl From<Builtin> for RuleId {
    fn from(reason: Builtin) -> RuleId {
        RuleId(reason as u32)
    }
}

macro_rules! builtins {
    ($($variant:ident = $value:literal, $name:literal, $text:literal;)*) => {
        /// Reasons that are in no configuration: checks made before policy, and what holds where no rule decides.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        #[repr(u32)]
        pub enum Builtin {
            $(#[doc = $text] $variant = $value,)*
        }

        impl Builtin {
            /// All of them, in order of their numbers.
            pub const ALL: &'static [Builtin] = &[$(Builtin::$variant),*];

            /// The short name, for tables, JSON and metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Builtin::$variant => $name,)* }
            }

            /// The reason in words.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Builtin::$variant => $text,)* }
            }
        }
    };
}

builtins! {
    AcceptAll = 0, "accept-all", "everything is accepted";
    RejectAll = 1, "reject-all", "everything is rejected";
    NoPolicy = 2, "no-policy", "an external peer without a policy takes and gives nothing (RFC 8212)";
    DefaultReject = 3, "default-reject", "no rule of the policy decided";
    AsLoop = 4, "as-loop", "our own AS number is in the AS path";
    FirstAs = 5, "first-as", "the AS path does not begin with the peer's AS number";
    OriginatorLoop = 6, "originator-loop", "ORIGINATOR_ID is our own identifier";
    ClusterLoop = 7, "cluster-loop", "our own cluster id is in CLUSTER_LIST";
    OwnNextHop = 8, "own-next-hop", "the next hop is one of our own addresses";
    Martian = 9, "martian", "the prefix or its next hop must never be routed";
    TreatAsWithdraw = 10, "treat-as-withdraw", "the UPDATE was malformed (RFC 7606)";
    SplitHorizon = 11, "split-horizon", "the route was learned from this peer";
    NoReflection = 12, "no-reflection", "routes of internal peers are not passed to internal peers (RFC 4456)";
    NoExport = 13, "no-export", "the community NO_EXPORT keeps the route inside the AS (RFC 1997)";
    NoAdvertise = 14, "no-advertise", "the community NO_ADVERTISE keeps the route here (RFC 1997)";
    RoleLeak = 15, "role-leak", "the roles forbid it: it would be a route leak (RFC 9234)";
    MaxPrefix = 16, "max-prefix", "the peer's prefix limit is reached";
    FamilyNotNegotiated = 17, "family-not-negotiated", "the session does not carry this address family";
    NoNextHop = 18, "no-next-hop", "there is no next hop of ours that the peer could use";
    BogonPrefix = 19, "bogon-prefix", "the prefix is in a block that must not be seen on the internet";
    BogonAsn = 20, "bogon-asn", "an AS number that nobody may use is in the AS path";
    PrefixLength = 21, "prefix-length", "the prefix is longer or shorter than the internet carries";
    PathLength = 22, "path-length", "the AS path is too long";
    OwnPrefix = 23, "own-prefix", "the prefix is one of our own";
    NextHop = 24, "next-hop", "the next hop is not the peer";
    TransitAsn = 25, "transit-asn", "an AS that buys transit from nobody is in the AS path";
    NeverViaRouteServer = 26, "never-via-route-server", "an AS that is never behind a route server is in the AS path";
    Blocklist = 27, "blocklist", "the prefix or an AS number of the path is blocked";
    RpkiInvalid = 28, "rpki-invalid", "RPKI origin validation says invalid (RFC 6811)";
    RpkiNotValid = 29, "rpki-not-valid", "no VRP covers the prefix, and this peer's routes must be RPKI valid";
    RpkiGate = 30, "rpki-gate", "RPKI data are not there yet";
    AspaInvalid = 31, "aspa-invalid", "the ASPA records contradict the AS path";
    Irr = 32, "irr", "the prefix is not in the peer's IRR set";
    IrrOrigin = 33, "irr-origin", "the origin AS is not a member of the peer's IRR set";
    IrrMissing = 34, "irr-missing", "there is no IRR set for the peer yet";
    Blackhole = 35, "blackhole", "BLACKHOLE is for host routes inside the peer's own set (RFC 7999)";
    Drain = 36, "drain", "the peer or the router is drained (RFC 8326)";
    MaxPrefixOut = 37, "max-prefix-out", "the limit of prefixes sent to the peer is reached";
}

impl fmt::Display for Builtin {
    /// `as-loop: our own AS number is in the AS path`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name(), self.text())
    }
}
