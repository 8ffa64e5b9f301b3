//! A table turned into the UPDATEs that a peer would send: routes with equal attributes share messages, IPv4
//! as classic NLRI, IPv6 in MP_REACH_NLRI (RFC 4760), all encoded before the first octet is sent.
//!
//! Groups go out in the order in which the table first shows their attributes, so neighbouring prefixes of
//! one origin stay together as they do on a real session.

use std::net::IpAddr;
use std::path::Path;

use hashbrown::HashMap;
use siskin_net::{Family, Prefix};

use crate::{Result, fail, mrt, wire};

/// Ready-made messages.
#[derive(Debug, Default)]
pub struct Feed {
    /// All messages, one behind the other.
    pub bytes: Vec<u8>,
    /// How many there are.
    pub messages: u64,
    /// IPv4 prefixes in them.
    pub ipv4: u64,
    /// IPv6 prefixes in them.
    pub ipv6: u64,
}

/// What of a table to feed, and under which next hops.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The peer of the table to play, by its AS number.
    pub asn: u32,
    /// NEXT_HOP of IPv4 routes; none: IPv4 routes are left out.
    pub next_hop4: Option<IpAddr>,
    /// Next hop of IPv6 routes; none: IPv6 routes are left out.
    pub next_hop6: Option<IpAddr>,
    /// At most so many routes of each family.
    pub limit: u64,
}

/// The UPDATEs that announce a peer's routes, with an End-of-RIB for each family behind them.
///
/// # Errors
/// When the table cannot be read or an attribute set leaves no room for NLRI.
pub fn announce(path: &Path, options: &Options) -> Result<Feed> {
    let mut feed = Feed::default();
    let mut groups = Groups::default();
    mrt::routes(path, options.asn, |prefix, attributes| {
        let family = prefix.family();
        let count = if family == Family::Ipv4 { &mut feed.ipv4 } else { &mut feed.ipv6 };
        let hop = if family == Family::Ipv4 { options.next_hop4 } else { options.next_hop6 };
        if hop.is_some() && *count < options.limit {
            *count += 1;
            groups.add(prefix, attributes);
        }
        Ok(())
    })?;
    for (family, attributes, nlri) in groups.list {
        match (family, options.next_hop4, options.next_hop6) {
            (Family::Ipv4, Some(hop), _) => feed.ipv4_group(&attributes, hop, &nlri)?,
            (Family::Ipv6, _, Some(hop)) => feed.ipv6_group(&attributes, hop, &nlri)?,
            _ => {}
        }
    }
    if options.next_hop4.is_some() {
        feed.push(&wire::end_of_rib(Family::Ipv4)?);
    }
    if options.next_hop6.is_some() {
        feed.push(&wire::end_of_rib(Family::Ipv6)?);
    }
    Ok(feed)
}

/// The UPDATEs that withdraw what [`announce`] announces.
///
/// # Errors
/// When the table cannot be read.
pub fn withdraw(path: &Path, options: &Options) -> Result<Feed> {
    let mut feed = Feed::default();
    let (mut four, mut six) = (Vec::new(), Vec::new());
    mrt::routes(path, options.asn, |prefix, _| {
        let (list, count, hop) = match prefix.family() {
            Family::Ipv4 => (&mut four, &mut feed.ipv4, options.next_hop4),
            Family::Ipv6 => (&mut six, &mut feed.ipv6, options.next_hop6),
        };
        if hop.is_some() && *count < options.limit {
            *count += 1;
            wire::nlri(list, prefix);
        }
        Ok(())
    })?;
    let room = wire::MAX_MESSAGE - wire::HEADER - 16;
    for chunk in chunks(&four, room) {
        feed.push(&wire::update(chunk, &[], &[])?);
    }
    for chunk in chunks(&six, room) {
        let mut attributes = Vec::new();
        wire::attribute(&mut attributes, 0x80, wire::MP_UNREACH, &[&[0, 2, 1], chunk].concat());
        feed.push(&wire::update(&[], &attributes, &[])?);
    }
    Ok(feed)
}

/// Attribute sets in the order of their first sight, each with its NLRI.
#[derive(Default)]
struct Groups {
    list: Vec<(Family, Vec<u8>, Vec<u8>)>,
    index: HashMap<(Family, Vec<u8>), usize, foldhash::fast::RandomState>,
}

impl Groups {
    fn add(&mut self, prefix: Prefix, attributes: &[u8]) {
        let key = (prefix.family(), attributes.to_vec());
        let at = *self.index.entry(key).or_insert_with(|| {
            self.list.push((prefix.family(), attributes.to_vec(), Vec::new()));
            self.list.len() - 1
        });
        if let Some((_, _, nlri)) = self.list.get_mut(at) {
            wire::nlri(nlri, prefix);
        }
    }
}

impl Feed {
    fn push(&mut self, message: &[u8]) {
        self.bytes.extend(message);
        self.messages += 1;
    }

    fn ipv4_group(&mut self, attributes: &[u8], hop: IpAddr, nlri: &[u8]) -> Result {
        let attributes = rewrite(attributes, Some(&wire::next_hop(hop)), &[])?;
        for chunk in chunks(nlri, room(attributes.len())?) {
            self.push(&wire::update(&[], &attributes, chunk)?);
        }
        Ok(())
    }

    fn ipv6_group(&mut self, attributes: &[u8], hop: IpAddr, nlri: &[u8]) -> Result {
        let rest = rewrite(attributes, None, &[])?;
        for chunk in chunks(nlri, room(rest.len() + 25)?) {
            let reach = [&[0, 2, 1, 16], wire::next_hop(hop).as_slice(), &[0], chunk].concat();
            self.push(&wire::update(&[], &rewrite(attributes, None, &reach)?, &[])?);
        }
        Ok(())
    }
}

/// How many octets of NLRI fit beside so many octets of attributes.
fn room(attributes: usize) -> Result<usize> {
    match (wire::MAX_MESSAGE - wire::HEADER - 4).checked_sub(attributes) {
        Some(room) if room >= 17 => Ok(room),
        _ => fail("an attribute set that fills a whole message"),
    }
}

/// The attributes with another NEXT_HOP (or without one), and MP_REACH_NLRI in front unless `reach` is empty.
fn rewrite(mut attributes: &[u8], hop: Option<&[u8]>, reach: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    if !reach.is_empty() {
        wire::attribute(&mut out, 0x80, wire::MP_REACH, reach);
    }
    while let [flags, kind, rest @ ..] = attributes {
        let (length, rest) = match (flags & 0x10 == 0, rest) {
            (true, [length, rest @ ..]) => (usize::from(*length), rest),
            (false, [high, low, rest @ ..]) => (usize::from(u16::from_be_bytes([*high, *low])), rest),
            _ => return fail("an attribute without its length"),
        };
        let Some((value, after)) = rest.split_at_checked(length) else {
            return fail("an attribute that is cut off");
        };
        match *kind {
            3 => {
                if let Some(hop) = hop {
                    wire::attribute(&mut out, 0x40, 3, hop);
                }
            }
            wire::MP_REACH => {}
            _ => wire::attribute(&mut out, *flags, *kind, value),
        }
        attributes = after;
    }
    Ok(out)
}

/// Cuts NLRI between prefixes into pieces of at most `room` octets.
fn chunks(mut nlri: &[u8], room: usize) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    while !nlri.is_empty() {
        let mut end = 0;
        while let Some(length) = nlri.get(end) {
            let next = end + 1 + usize::from(length.div_ceil(8));
            if next > room && end > 0 {
                break;
            }
            end = next;
        }
        let (piece, rest) = nlri.split_at(end.min(nlri.len()));
        pieces.push(piece);
        nlri = rest;
    }
    pieces
}

#[cfg(test)]
mod tests;
