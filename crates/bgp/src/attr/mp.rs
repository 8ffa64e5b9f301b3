//! Reachability inside attributes: NEXT_HOP (RFC 4271), MP_REACH_NLRI and MP_UNREACH_NLRI (RFC 4760), with the next-hop
//! forms of RFC 2545 (IPv6, with or without a link-local address) and RFC 8950 (IPv4 by way of IPv6). Leaves out the
//! 24 and 48 octet forms of VPN families.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use siskin_net::{Family, NextHop};

use super::Disposition;
use super::table::{Gathered, Problem};
use crate::wire::{DecodeContext, NlriError, Reach, Unreach, decode_nlri};

pub(super) fn next_hop(to: &mut Gathered, value: &[u8], _: &DecodeContext) -> Result<(), Problem> {
    if !to.has_nlri {
        return Ok(());
    }
    let octets: [u8; 4] = value.try_into().map_err(|_| Problem::new("length is not 4"))?;
    to.next_hop = Some(usable(NextHop::new(IpAddr::V4(octets.into())))?);
    Ok(())
}

/// The head of MP_REACH_NLRI and MP_UNREACH_NLRI: the family, if we speak it.
fn family_of(value: &[u8]) -> Result<(Option<Family>, &[u8]), Problem> {
    let (&[afi_high, afi_low, safi], rest) = value
        .split_first_chunk::<3>()
        .ok_or(Problem::with("too short for its address family", Disposition::ResetSession))?;
    Ok((Family::from_wire(u16::from_be_bytes([afi_high, afi_low]), safi), rest))
}

/// What is not negotiated is ignored, and said.
const fn not_negotiated() -> Problem {
    Problem::with("address family not negotiated", Disposition::DiscardAttribute)
}

fn nlri_problem(error: NlriError) -> Problem {
    Problem::new(match error {
        NlriError::Length(_) => "prefix length beyond the family's",
        NlriError::Truncated => "the NLRI end inside a prefix",
    })
}

pub(super) fn reach(to: &mut Gathered, value: &[u8], ctx: &DecodeContext) -> Result<(), Problem> {
    let (family, rest) = family_of(value)?;
    let Some(family) = family.filter(|f| ctx.families.contains(*f)) else { return Err(not_negotiated()) };
    let mut reach = Reach::empty(family);
    let too_short = Problem::new("too short for its next hop");
    let (&length, rest) = rest.split_first().ok_or(too_short)?;
    let (octets, rest) = rest.split_at_checked(usize::from(length)).ok_or(too_short)?;
    // One reserved octet, once the number of SNPAs: ignored.
    let (_, nlri) = rest.split_first().ok_or(too_short)?;
    let next_hop = decode_next_hop(family, octets, ctx).ok_or(Problem::new("next hop of a wrong length"))?;
    decode_nlri(family, nlri, ctx.add_path.contains(family), &mut reach.prefixes, &mut reach.path_ids)
        .map_err(nlri_problem)?;
    reach.next_hop = next_hop;
    to.reach = Some(reach);
    // The NLRI stand by now: an address nobody can send to withdraws them (RFC 4271 section 6.3).
    usable(next_hop).map(|_| ()).map_err(|p| Problem::with(p.text, Disposition::TreatAsWithdraw))
}

pub(super) fn unreach(to: &mut Gathered, value: &[u8], ctx: &DecodeContext) -> Result<(), Problem> {
    let (family, nlri) = family_of(value)?;
    let Some(family) = family.filter(|f| ctx.families.contains(*f)) else { return Err(not_negotiated()) };
    let mut unreach = Unreach::empty(family);
    decode_nlri(family, nlri, ctx.add_path.contains(family), &mut unreach.prefixes, &mut unreach.path_ids)
        .map_err(nlri_problem)?;
    to.unreach = Some(unreach);
    Ok(())
}

/// The next hop of MP_REACH_NLRI; `None`: its length does not fit the family.
fn decode_next_hop(family: Family, octets: &[u8], ctx: &DecodeContext) -> Option<NextHop> {
    let ipv6_allowed = family == Family::Ipv6 || ctx.extended_next_hop;
    if let (Family::Ipv4, Ok(address)) = (family, <[u8; 4]>::try_from(octets)) {
        return Some(NextHop::new(IpAddr::V4(address.into())));
    }
    if !ipv6_allowed {
        return None;
    }
    let (first, second) = octets.split_first_chunk::<16>()?;
    let global = Ipv6Addr::from(*first);
    let link_local = match second {
        [] => None,
        _ => Some(Ipv6Addr::from(<[u8; 16]>::try_from(second).ok()?)).filter(Ipv6Addr::is_unicast_link_local),
    };
    let next_hop = scoped(global, link_local, ctx);
    Some(match global.to_ipv4_mapped() {
        // What a speaker without a global IPv6 address writes means its IPv4 address; the link-local one beside it is
        // reached by IPv6.
        Some(address) if family == Family::Ipv4 => match link_local.filter(|_| ctx.interface != 0) {
            Some(local) => NextHop { address: IpAddr::V6(local), link_local: None, interface: ctx.interface },
            None => NextHop::new(IpAddr::V4(address)),
        },
        _ => next_hop,
    })
}

/// Brings the ways speakers write a link-local next hop into one: alone where there is no global address beside it.
fn scoped(global: Ipv6Addr, link_local: Option<Ipv6Addr>, ctx: &DecodeContext) -> NextHop {
    let interface = ctx.interface;
    match link_local {
        Some(local) if global.is_unspecified() || global.is_unicast_link_local() => {
            NextHop { address: IpAddr::V6(local), link_local: None, interface }
        }
        Some(_) => NextHop { address: IpAddr::V6(global), link_local, interface },
        None if global.is_unicast_link_local() => {
            NextHop { address: IpAddr::V6(global), link_local: None, interface }
        }
        None => NextHop::new(IpAddr::V6(global)),
    }
}

/// Refuses addresses that are no host's.
fn usable(next_hop: NextHop) -> Result<NextHop, Problem> {
    let wrong = match next_hop.address {
        IpAddr::V4(a) => {
            a.octets().starts_with(&[0]) || a.is_loopback() || a.is_multicast() || a == Ipv4Addr::BROADCAST
        }
        IpAddr::V6(a) => a.is_unspecified() || a.is_loopback() || a.is_multicast(),
    };
    if wrong { Err(Problem::new("the next hop is no host's address")) } else { Ok(next_hop) }
}

/// Appends a next hop as MP_REACH_NLRI has it, with its length octet before: 4, 16 or 32 octets.
pub(crate) fn put_next_hop(next_hop: &NextHop, out: &mut Vec<u8>) {
    match (next_hop.address, next_hop.link_local) {
        (IpAddr::V4(address), _) => {
            out.push(4);
            out.extend_from_slice(&address.octets());
        }
        (IpAddr::V6(address), None) => {
            out.push(16);
            out.extend_from_slice(&address.octets());
        }
        (IpAddr::V6(address), Some(local)) => {
            out.push(32);
            out.extend_from_slice(&address.octets());
            out.extend_from_slice(&local.octets());
        }
    }
}
