//! The attribute table: one row an attribute. RFC 4271 section 5 gives flags and who may send it, RFC 7606 sections 3
//! and 7 what follows from each fault; an attribute that needs more than a row does not exist.

use siskin_net::NextHop;

use super::{Aggregator, AsPath, Disposition, PathAttributes, mp, values};
use crate::wire::{DecodeContext, Reach, Unreach};

/// The flags an attribute has, and what they mean (RFC 4271 section 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Category {
    /// Known to all speakers.
    WellKnown,
    /// Passed on by those who do not know it.
    OptionalTransitive,
    /// Dropped by those who do not know it.
    OptionalNonTransitive,
}

/// Optional: not all speakers know it.
pub(crate) const OPTIONAL: u8 = 0x80;
/// Transitive: passed on, known or not.
pub(crate) const TRANSITIVE: u8 = 0x40;
/// Partial: somebody on the way did not know it.
pub(crate) const PARTIAL: u8 = 0x20;
/// The length has two octets.
pub(crate) const EXTENDED_LENGTH: u8 = 0x10;

impl Category {
    /// The flags octet, without Partial and Extended Length.
    pub(crate) const fn flags(self) -> u8 {
        match self {
            Category::WellKnown => TRANSITIVE,
            Category::OptionalTransitive => OPTIONAL | TRANSITIVE,
            Category::OptionalNonTransitive => OPTIONAL,
        }
    }
}

/// Between whom an attribute may pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scope {
    /// Any two speakers.
    Any,
    /// Speakers of one AS: from an external peer it is discarded unread, to one it is not sent.
    Internal,
    /// From a speaker of two-octet AS numbers alone (RFC 6793): from any other it is discarded unread.
    TwoOctet,
    /// Nobody, for lack of a use here: it is discarded unread, whoever sends it.
    Nobody,
}

/// What an attribute's value has wrong with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Problem {
    /// For the log.
    pub(crate) text: &'static str,
    /// What follows, where it is not what the row says.
    pub(crate) disposition: Option<Disposition>,
}

impl Problem {
    /// A problem the row has the answer to.
    pub(crate) const fn new(text: &'static str) -> Problem {
        Problem { text, disposition: None }
    }

    /// A problem with an answer of its own.
    pub(crate) const fn with(text: &'static str, disposition: Disposition) -> Problem {
        Problem { text, disposition: Some(disposition) }
    }
}

/// What the attributes of one UPDATE have said so far.
pub(crate) struct Gathered {
    pub(crate) attributes: PathAttributes,
    pub(crate) next_hop: Option<NextHop>,
    pub(crate) as4_path: Option<AsPath>,
    pub(crate) as4_aggregator: Option<Aggregator>,
    pub(crate) reach: Option<Reach>,
    pub(crate) unreach: Option<Unreach>,
    /// The UPDATE has NLRI outside MP_REACH_NLRI: only then NEXT_HOP has a meaning (RFC 4760 section 3).
    pub(crate) has_nlri: bool,
}

/// Reads a value into what was gathered.
pub(crate) type Decode = fn(&mut Gathered, &[u8], &DecodeContext) -> Result<(), Problem>;
/// Appends the value; `false`, and nothing appended: these attributes have none.
pub(crate) type Encode = fn(&PathAttributes, &mut Vec<u8>) -> bool;

/// All there is to know of an attribute.
pub(crate) struct Row {
    pub(crate) code: u8,
    pub(crate) name: &'static str,
    pub(crate) category: Category,
    pub(crate) scope: Scope,
    /// It is checked, and passed on as an unknown one is.
    pub(crate) carried: bool,
    /// An UPDATE that announces something must have it.
    pub(crate) mandatory: bool,
    pub(crate) decode: Decode,
    /// Into the four-octet form that tables keep; `None`: made when a message is written.
    pub(crate) encode: Option<Encode>,
    /// Wrong Optional or Transitive flag (RFC 7606 section 3 (c)).
    pub(crate) on_flags: Disposition,
    /// Malformed value (RFC 7606 section 7).
    pub(crate) on_value: Disposition,
    /// It came before (RFC 7606 section 3 (g)).
    pub(crate) on_repeat: Disposition,
}

use Category::{OptionalNonTransitive, OptionalTransitive, WellKnown};
use Disposition::{DisableFamily, DiscardAttribute, ResetSession, TreatAsWithdraw};
use Scope::{Any, Internal, Nobody, TwoOctet};

/// A row as most are: withdraw on a wrong flag or value, drop a second one.
const fn row(
    code: u8,
    name: &'static str,
    category: Category,
    decode: Decode,
    encode: Option<Encode>,
) -> Row {
    Row {
        code,
        name,
        category,
        scope: Any,
        carried: false,
        mandatory: false,
        decode,
        encode,
        on_flags: TreatAsWithdraw,
        on_value: TreatAsWithdraw,
        on_repeat: DiscardAttribute,
    }
}

#[rustfmt::skip]
static ROWS: [Row; 20] = [
    Row { mandatory: true, ..row(1, "ORIGIN", WellKnown, values::origin, Some(values::put_origin)) },
    Row { mandatory: true, ..row(2, "AS_PATH", WellKnown, values::as_path, Some(values::put_as_path)) },
    row(3, "NEXT_HOP", WellKnown, mp::next_hop, None),
    row(4, "MULTI_EXIT_DISC", OptionalNonTransitive, values::med, Some(values::put_med)),
    Row { scope: Internal, ..row(5, "LOCAL_PREF", WellKnown, values::local_pref, Some(values::put_local_pref)) },
    Row { on_value: DiscardAttribute, ..row(6, "ATOMIC_AGGREGATE", WellKnown, values::atomic_aggregate, Some(values::put_atomic_aggregate)) },
    Row { on_value: DiscardAttribute, ..row(7, "AGGREGATOR", OptionalTransitive, values::aggregator, Some(values::put_aggregator)) },
    row(8, "COMMUNITIES", OptionalTransitive, values::communities, Some(values::put_communities)),
    Row { scope: Internal, ..row(9, "ORIGINATOR_ID", OptionalNonTransitive, values::originator_id, Some(values::put_originator_id)) },
    Row { scope: Internal, ..row(10, "CLUSTER_LIST", OptionalNonTransitive, values::cluster_list, Some(values::put_cluster_list)) },
    Row { on_value: DisableFamily, on_repeat: ResetSession, ..row(14, "MP_REACH_NLRI", OptionalNonTransitive, mp::reach, None) },
    Row { on_value: DisableFamily, on_repeat: ResetSession, ..row(15, "MP_UNREACH_NLRI", OptionalNonTransitive, mp::unreach, None) },
    row(16, "EXTENDED_COMMUNITIES", OptionalTransitive, values::ext_communities, Some(values::put_ext_communities)),
    Row { scope: TwoOctet, on_value: DiscardAttribute, ..row(17, "AS4_PATH", OptionalTransitive, values::as4_path, None) },
    Row { scope: TwoOctet, on_value: DiscardAttribute, ..row(18, "AS4_AGGREGATOR", OptionalTransitive, values::as4_aggregator, None) },
    Row { carried: true, ..row(25, "IPV6_EXTENDED_COMMUNITIES", OptionalTransitive, values::ipv6_ext_communities, None) },
    Row { scope: Nobody, ..row(26, "AIGP", OptionalNonTransitive, values::unread, None) },
    row(32, "LARGE_COMMUNITY", OptionalTransitive, values::large_communities, Some(values::put_large_communities)),
    row(35, "ONLY_TO_CUSTOMER", OptionalTransitive, values::otc, Some(values::put_otc)),
    Row { scope: Nobody, ..row(40, "PREFIX_SID", OptionalTransitive, values::unread, None) },
];

/// Where the row of a code stands in `ROWS`; beyond its end: nowhere.
static INDEX: [u8; 256] = index();

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "evaluated by the compiler"
)]
const fn index() -> [u8; 256] {
    let mut index = [u8::MAX; 256];
    let mut i = 0;
    while i < ROWS.len() {
        index[ROWS[i].code as usize] = i as u8;
        i += 1;
    }
    index
}

/// The row of a type code.
pub(crate) fn find(code: u8) -> Option<&'static Row> {
    ROWS.get(usize::from(*INDEX.get(usize::from(code))?))
}

/// All rows, by code.
pub(crate) fn rows() -> &'static [Row] {
    &ROWS
}

/// The name of an attribute we know; `None` of any other.
#[must_use]
pub fn attribute_name(code: u8) -> Option<&'static str> {
    find(code).map(|row| row.name)
}

/// Whether an attribute has a field of its own, or none because it is never kept; all others stand in
/// [`PathAttributes::unknown`].
#[must_use]
pub fn is_known(code: u8) -> bool {
    find(code).is_some_and(|row| !row.carried)
}
