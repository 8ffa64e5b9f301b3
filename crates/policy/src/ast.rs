//! Rules as a tree. One tree serves twice: as parsed, where sets and policies are [`Name`]s ([`Parsed`]), and as
//! compiled, where they are what the names stand for (`Bound`, in `compiled`).

use std::fmt;
use std::hash::Hash;

use siskin_bgp::attr::Origin;
use siskin_net::{Asn, BgpIdentifier, Family, Role, RouteSource};

use crate::as_path_regex::AsPathRegex;
use crate::numbers::AsnSet;
use crate::{Aspa, CommunityPattern, CommunityValue, NextHopAction, PrefixPattern, Rpki, Span};

/// How a tree refers to what stands outside the rule.
pub(crate) trait Stage {
    /// A set of prefixes.
    type Prefixes: Clone + PartialEq + Eq + Hash + fmt::Debug;
    /// A set of communities.
    type Communities: Clone + PartialEq + Eq + Hash + fmt::Debug;
    /// Another policy.
    type Policy: Clone + PartialEq + Eq + Hash + fmt::Debug;
}

/// The tree as the text has it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Parsed;

impl Stage for Parsed {
    type Prefixes = PrefixList;
    type Communities = Vec<CommunityItem>;
    type Policy = Name;
}

/// A name as written, with where it stands; equal names are equal wherever they stand.
#[derive(Clone, Debug, Eq)]
pub(crate) struct Name {
    pub(crate) text: String,
    /// How many bytes of the rule were left where it begins: parsers see only what is left.
    pub(crate) left: usize,
    /// How many bytes it takes, quotes included.
    pub(crate) width: usize,
}

impl Name {
    /// Where it stands in a rule of `len` bytes.
    pub(crate) fn span(&self, len: usize) -> Span {
        let start = len.saturating_sub(self.left);
        Span { start, end: start.saturating_add(self.width) }
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Hash for Name {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// What stands after `prefix in`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum PrefixList {
    Set(Name),
    Literals(Vec<PrefixPattern>),
}

/// What stands after `community has` and `remove community`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum CommunityItem {
    Pattern(CommunityPattern),
    Set(Name),
}

/// An action, and when it is taken.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Rule<S: Stage> {
    pub(crate) action: Action<S>,
    pub(crate) condition: Option<Condition<S>>,
}

/// What a rule does.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Action<S: Stage> {
    Accept,
    Reject(Option<String>),
    SetNumber(Number, u32),
    SetOrigin(Origin),
    /// The kernel's table.
    SetTable(u32),
    SetNextHop(NextHopAction),
    AddCommunities(Vec<CommunityValue>),
    RemoveCommunities(S::Communities),
    Prepend {
        asn: Asn,
        times: u8,
    },
    Call(S::Policy),
}

/// The attributes that are one number, and what is counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Number {
    LocalPref,
    Med,
    Weight,
    PrefixLen,
    AsPathLen,
}

impl Number {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Number::LocalPref => "local-pref",
            Number::Med => "med",
            Number::Weight => "weight",
            Number::PrefixLen => "prefix.len",
            Number::AsPathLen => "as-path.len",
        }
    }
}

/// How two numbers are compared.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Comparison {
    /// The signs, longer ones first so that the first that fits is meant.
    pub(crate) const SIGNS: &'static [(&'static str, Comparison)] = &[
        ("!=", Comparison::NotEqual),
        ("<=", Comparison::AtMost),
        (">=", Comparison::AtLeast),
        ("=", Comparison::Equal),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ];

    /// The one that holds where this one does not.
    pub(crate) const fn opposite(self) -> Comparison {
        match self {
            Comparison::Equal => Comparison::NotEqual,
            Comparison::NotEqual => Comparison::Equal,
            Comparison::Less => Comparison::AtLeast,
            Comparison::AtMost => Comparison::Greater,
            Comparison::Greater => Comparison::AtMost,
            Comparison::AtLeast => Comparison::Less,
        }
    }

    pub(crate) const fn holds(self, left: u32, right: u32) -> bool {
        match self {
            Comparison::Equal => left == right,
            Comparison::NotEqual => left != right,
            Comparison::Less => left < right,
            Comparison::AtMost => left <= right,
            Comparison::Greater => left > right,
            Comparison::AtLeast => left >= right,
        }
    }
}

/// Which AS numbers of a path are asked about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum AsnField {
    /// Any of them: `as-path has`.
    Anywhere,
    /// `origin-as`.
    Origin,
    /// `neighbor-as`.
    Neighbor,
}

/// When a rule applies.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Condition<S: Stage> {
    /// At least two, none of them an `And` unless it stood in parentheses.
    And(Vec<Condition<S>>),
    /// At least two, none of them an `Or` unless it stood in parentheses.
    Or(Vec<Condition<S>>),
    Not(Box<Condition<S>>),
    PrefixIn(S::Prefixes),
    NextHopIn(S::Prefixes),
    CommunityHas(S::Communities),
    Compare(Number, Comparison, u32),
    AsPath(AsPathRegex),
    Asn(AsnField, AsnSet),
    Family(Family),
    Origin(Origin),
    Source(RouteSource),
    Peer(Name),
    PeerRole(Role),
    /// `otc`: there is one; `otc = N`: it is N.
    Otc(Option<Asn>),
    OriginatorId(BgpIdentifier),
    /// CLUSTER_LIST holds this cluster id.
    ClusterHas(BgpIdentifier),
    Rpki(Rpki),
    Aspa(Aspa),
    Irr(Irr),
}

/// What is asked of the IRR set of the peer that a route came from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Irr {
    /// It allows the prefix, from its origin.
    Match,
    /// One of its prefixes covers the prefix.
    Covers,
    /// The origin is a member.
    Origin,
}

impl Irr {
    pub(crate) const WORDS: &'static [(&'static str, Irr)] =
        &[("match", Irr::Match), ("covers", Irr::Covers), ("origin", Irr::Origin)];
}

pub(crate) const FAMILIES: &[(&str, Family)] = &[("ipv4", Family::Ipv4), ("ipv6", Family::Ipv6)];

/// Tables that have a name in every kernel.
pub(crate) const TABLES: &[(&str, u32)] = &[("main", 254), ("default", 253)];

pub(crate) const ORIGINS: &[(&str, Origin)] =
    &[("igp", Origin::Igp), ("egp", Origin::Egp), ("incomplete", Origin::Incomplete)];

pub(crate) const SOURCES: &[(&str, RouteSource)] = &[
    (RouteSource::Bgp.name(), RouteSource::Bgp),
    (RouteSource::Originate.name(), RouteSource::Originate),
    (RouteSource::Connected.name(), RouteSource::Connected),
    (RouteSource::Static.name(), RouteSource::Static),
    (RouteSource::Kernel.name(), RouteSource::Kernel),
    (RouteSource::HostRoute.name(), RouteSource::HostRoute),
];

pub(crate) const ROLES: &[(&str, Role)] = &[
    ("provider", Role::Provider),
    ("customer", Role::Customer),
    ("peer", Role::Peer),
    ("route-server", Role::RouteServer),
    ("route-server-client", Role::RouteServerClient),
];

/// The word of a value in one of the tables above.
pub(crate) fn word_of<T: PartialEq>(table: &[(&'static str, T)], value: &T) -> &'static str {
    table.iter().find(|(_, v)| v == value).map_or("?", |(word, _)| word)
}
