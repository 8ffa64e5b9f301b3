//! The value of each attribute, decode and encode side by side. Flags, lengths' framing and what follows from a fault
//! are the table's and the UPDATE's; here is only what the octets mean. The encoded form is the one tables keep: four-octet
//! AS numbers.

use siskin_net::{Asn, BgpIdentifier};
use smallvec::SmallVec;

use super::table::{Gathered, Problem};
use super::{
    Aggregator, AsPath, AsPathError, Community, Disposition, ExtendedCommunity, LargeCommunity, Origin,
    PathAttributes,
};
use crate::wire::DecodeContext;

type Outcome = Result<(), Problem>;

/// Exactly `N` octets.
fn exactly<const N: usize>(value: &[u8], text: &'static str) -> Result<[u8; N], Problem> {
    value.try_into().map_err(|_| Problem::new(text))
}

fn four(value: &[u8]) -> Result<u32, Problem> {
    exactly(value, "length is not 4").map(u32::from_be_bytes)
}

/// A non-empty run of `N`-octet elements.
fn elements<const N: usize>(
    value: &[u8],
    text: &'static str,
) -> Result<impl Iterator<Item = [u8; N]>, Problem> {
    match value.as_chunks::<N>() {
        (chunks @ [_, ..], []) => Ok(chunks.iter().copied()),
        _ => Err(Problem::new(text)),
    }
}

/// Sorted and distinct, as sets are kept.
fn set<A: smallvec::Array<Item: Ord>>(items: impl Iterator<Item = A::Item>) -> SmallVec<A> {
    let mut set: SmallVec<A> = items.collect();
    if !set.is_sorted() {
        set.sort_unstable();
    }
    set.dedup();
    set
}

/// Appends a value that may be absent.
fn put<const N: usize>(octets: Option<[u8; N]>, out: &mut Vec<u8>) -> bool {
    octets.inspect(|octets| out.extend_from_slice(octets)).is_some()
}

/// Appends the elements of a list that is not sent when it is empty.
fn put_all<const N: usize>(elements: impl ExactSizeIterator<Item = [u8; N]>, out: &mut Vec<u8>) -> bool {
    let present = elements.len() > 0;
    elements.for_each(|element| out.extend_from_slice(&element));
    present
}

pub(super) fn origin(to: &mut Gathered, value: &[u8], _: &DecodeContext) -> Outcome {
    to.attributes.origin = match exactly(value, "length is not 1")? {
        [0] => Origin::Igp,
        [1] => Origin::Egp,
        [2] => Origin::Incomplete,
        _ => return Err(Problem::new("undefined value")),
    };
    Ok(())
}

pub(super) fn put_origin(from: &PathAttributes, out: &mut Vec<u8>) -> bool {
    out.push(from.origin as u8);
    true
}

fn path_problem(error: AsPathError) -> Problem {
    Problem::new(match error {
        AsPathError::Kind => "unknown segment type",
        AsPathError::Empty => "empty segment",
        AsPathError::Truncated => "segment overruns the attribute",
        AsPathError::Zero => "AS 0 in the path",
    })
}

pub(super) fn as_path(to: &mut Gathered, value: &[u8], ctx: &DecodeContext) -> Outcome {
    let path = if ctx.four_octet_as { AsPath::from_wire(value) } else { AsPath::from_two_octet_wire(value) };
    let path = path.map_err(path_problem)?;
    if ctx.external && path.has_confederation() {
        return Err(Problem::new("confederation segment from an external peer"));
    }
    to.attributes.as_path = path;
    Ok(())
}

pub(super) fn put_as_path(from: &PathAttributes, out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(from.as_path.as_wire());
    true
}

pub(super) fn as4_path(to: &mut Gathered, value: &[u8], _: &DecodeContext) -> Outcome {
    let path = AsPath::from_wire(value).map_err(path_problem)?;
    // RFC 6793 section 3: confederation segments do not belong here and are dropped.
    to.as4_path = Some(path.without_confederation());
    Ok(())
}

pub(super) fn med(to: &mut Gathered, value: &[u8], _: &DecodeContext) -> Outcome {
    to.attributes.med = Some(four(value)?);
    Ok(())
}

pub(super) fn put_med(from: &PathAttributes, out: &mut Vec<u8>) -> bool {
    put(from.med.map(u32::to_be_bytes), out)
}

pub(super) fn local_pref(to: &mut Gathered, value: &[u8], _: &DecodeContext) -> Outcome {
    to.attributes.local_pref = Some(four(value)?);
    Ok(())
}

pub(super) fn put_local_pref(from: &PathAttributes, out: &mut Vec<u8>) -> bool {
    put(from.local_pref.map(u32::to_be_bytes), out)
}

pub(super) fn atomic_aggregate(to: &mut Gathered, value: &[u8], _: &DecodeContext) -> Outcome {
    let [] = exactly(value, "length is not 0")?;
    to.attributes.atomic_aggregate = true;
    Ok(())
}

pub(super) fn put_atomic_aggregate(from: &PathAttributes, _: &mut Vec<u8>) -> bool {
    from.atomic_aggregate
}

pub(super) fn aggregator(to: &mut Gathered, value: &[u8], ctx: &DecodeContext) -> Outcome {
    let aggregator = if ctx.four_octet_as {
        four_octet_aggregator(value)?
    } else {
        let [a, b, identifier @ ..] = exactly::<6>(value, "length is not 6")?;
        let asn = Asn(u32::from(u16::from_be_bytes([a, b])));
        Aggregator { asn, identifier: BgpIdentifier(u32::from_be_bytes(identifier)) }
    };
    to.attributes.aggregator = Some(of_somebody(aggregator)?);
    Ok(())
}

/// AS 0 aggregates nothing (RFC 7607 section 2).
fn of_somebody(aggregator: Aggregator) -> Result<Aggregator, Problem> {
    match aggregator.asn {
        Asn(0) => Err(Problem::with("AS 0 (RFC 7607)", Disposition::DiscardAttribute)),
        _ => Ok(aggregator),
    }
}

pub(super) fn put_aggregator(from: &PathAttributes, out: &mut Vec<u8>) -> bool {
    let Some(Aggregator { asn, identifier }) = from.aggregator else { return false };
    out.extend_from_slice(&asn.0.to_be_bytes());
    out.extend_from_slice(&identifier.0.to_be_bytes());
    true
}

pub(super) fn as4_aggregator(to: &mut Gathered, value: &[u8], _: &DecodeContext) -> Outcome {
    to.as4_aggregator = Some(of_somebody(four_octet_aggregator(value)?)?);
    Ok(())
}

fn four_octet_aggregator(value: &[u8]) -> Result<Aggregator, Problem> {
    let [a, b, c, d, identifier @ ..] = exactly::<8>(value, "length is not 8")?;
    let identifier = BgpIdentifier(u32::from_be_bytes(identifier));
    Ok(Aggregator { asn: Asn(u32::from_be_bytes([a, b, c, d])), identifier })
}

pub(super) fn communities(to: &mut Gathered, value: &[u8], _: &DecodeContext) -> Outcome {
    let list = elements::<4>(value, "length is no multiple of 4, or 0")?;
    to.attributes.communities = set(list.map(|octets| Community(u32::from_be_bytes(octets))));
    Ok(())
}

pub(super) fn put_communities(from: &PathAttributes, out: &mut Vec<u8>) -> bool {
    put_all(from.communities.iter().map(|c| c.0.to_be_bytes()), out)
}

pub(super) fn ext_communities(to: &mut Gathered, value: &[u8], _: &DecodeContext) -> Outcome {
    let list = elements::<8>(value, "length is no multiple of 8, or 0")?;
    to.attributes.ext_communities = set(list.map(|octets| ExtendedCommunity(u64::from_be_bytes(octets))));
    Ok(())
}

pub(super) fn put_ext_communities(from: &PathAttributes, out: &mut Vec<u8>) -> bool {
    put_all(from.ext_communities.iter().map(|c| c.0.to_be_bytes()), out)
}

/// RFC 5701, RFC 7606 section 7.15: checked, and passed on as it is.
pub(super) fn ipv6_ext_communities(_: &mut Gathered, value: &[u8], _: &DecodeContext) -> Outcome {
    elements::<20>(value, "length is no multiple of 20, or 0").map(|_| ())
}

/// What has no use here: AIGP (RFC 7311 section 3.1: ignored unless a session asks for it), Prefix-SID (RFC 8669 section
/// 4: discarded unless a session asks for it).
pub(super) fn unread(_: &mut Gathered, _: &[u8], _: &DecodeContext) -> Outcome {
    Ok(())
}

pub(super) fn large_communities(to: &mut Gathered, value: &[u8], _: &DecodeContext) -> Outcome {
    let list = elements::<12>(value, "length is no multiple of 12, or 0")?;
    to.attributes.large_communities = set(list.map(|[a, b, c, d, e, f, g, h, i, j, k, l]| {
        let part = u32::from_be_bytes;
        LargeCommunity(part([a, b, c, d]), part([e, f, g, h]), part([i, j, k, l]))
    }));
    Ok(())
}

pub(super) fn put_large_communities(from: &PathAttributes, out: &mut Vec<u8>) -> bool {
    for LargeCommunity(a, b, c) in &from.large_communities {
        [a, b, c].into_iter().for_each(|part| out.extend_from_slice(&part.to_be_bytes()));
    }
    !from.large_communities.is_empty()
}

pub(super) fn originator_id(to: &mut Gathered, value: &[u8], _: &DecodeContext) -> Outcome {
    to.attributes.originator_id = Some(BgpIdentifier(four(value)?));
    Ok(())
}

pub(super) fn put_originator_id(from: &PathAttributes, out: &mut Vec<u8>) -> bool {
    put(from.originator_id.map(|id| id.0.to_be_bytes()), out)
}

pub(super) fn cluster_list(to: &mut Gathered, value: &[u8], _: &DecodeContext) -> Outcome {
    let list = elements::<4>(value, "length is no multiple of 4, or 0")?;
    to.attributes.cluster_list = list.map(u32::from_be_bytes).collect();
    Ok(())
}

pub(super) fn put_cluster_list(from: &PathAttributes, out: &mut Vec<u8>) -> bool {
    put_all(from.cluster_list.iter().map(|id| id.to_be_bytes()), out)
}

pub(super) fn otc(to: &mut Gathered, value: &[u8], _: &DecodeContext) -> Outcome {
    match four(value)? {
        0 => Err(Problem::new("AS 0 (RFC 7607)")),
        asn => {
            to.attributes.otc = Some(Asn(asn));
            Ok(())
        }
    }
}

pub(super) fn put_otc(from: &PathAttributes, out: &mut Vec<u8>) -> bool {
    put(from.otc.map(|asn| asn.0.to_be_bytes()), out)
}
