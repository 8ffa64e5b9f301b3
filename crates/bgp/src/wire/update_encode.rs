//! UPDATE, written: as many prefixes of one attribute set a message as it holds. The set is taken from its compact form,
//! brought into what this kind of peer is sent once, and copied into each message.

use std::net::IpAddr;

use bytes::{BufMut, BytesMut};
use siskin_net::{Family, FamilySet, Prefix};

use super::MessageType;
use super::header::{HEADER_LEN, put_counted, put_message};
use super::nlri::{Staged, encoded_len};
use crate::attr::compact::{self, RawAttribute, next_attribute, put_attribute};
use crate::attr::{AsPath, Category, PathAttributes, Scope, find, put_next_hop};

/// What a session agreed on, as far as writing an UPDATE depends on it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct EncodeContext {
    /// AS numbers have four octets.
    pub four_octet_as: bool,
    /// The longest message: 4096, or 65535 (RFC 8654).
    pub max_len: usize,
    /// IPv4 prefixes may go with an IPv6 next hop (RFC 8950).
    pub extended_next_hop: bool,
    /// Families whose NLRI go with path identifiers; there is one path a prefix, and its identifier is 1.
    pub add_path: FamilySet,
    /// The peer is in another AS: LOCAL_PREF, ORIGINATOR_ID and CLUSTER_LIST stay here.
    pub external: bool,
}

/// Why an attribute set cannot be sent. Nothing was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EncodeError {
    /// The attributes leave no room for a prefix: this many octets of them.
    #[error("{0} octets of path attributes leave no room for a prefix in a message")]
    TooLarge(usize),
    /// The next hop is of a family that cannot carry these prefixes to this peer.
    #[error("the next hop is of a family this session cannot carry for these prefixes")]
    NextHop,
    /// The bytes are no compact form.
    #[error("not a compact form of attributes")]
    Compact,
}

const NEXT_HOP: u8 = 3;
const LOCAL_PREF: u8 = 5;
const AS_PATH: u8 = 2;
const AGGREGATOR: u8 = 7;
const MP_REACH: u8 = 14;
const MP_UNREACH: u8 = 15;
const AS4_PATH: u8 = 17;
const AS4_AGGREGATOR: u8 = 18;
/// Optional, Extended Length: what the long attributes of reachability are sent with.
const LONG_OPTIONAL: u8 = 0x90;
/// An UPDATE of nothing: its header and two lengths.
const FIXED: usize = HEADER_LEN + 4;
/// The flags, code and length of such an attribute.
const LONG_HEADER: usize = 4;
/// The path identifier of an only path.
const ONLY_PATH: u32 = 1;

impl EncodeContext {
    fn path_id(&self, family: Family) -> Option<u32> {
        self.add_path.contains(family).then_some(ONLY_PATH)
    }
}

/// Appends UPDATEs that announce `prefixes` of `family` with `attributes`, next hop included; returns how many messages.
/// Prefixes of another family are left out. To an internal peer a missing LOCAL_PREF is sent as 100; all else is sent as
/// it stands: prepending, next hops and what else belongs to export is done before.
///
/// # Errors
/// Attributes that no message can carry to this peer; nothing is appended then.
pub fn encode_update(
    attributes: &PathAttributes,
    family: Family,
    prefixes: &[Prefix],
    ctx: &EncodeContext,
    out: &mut BytesMut,
) -> Result<usize, EncodeError> {
    let mut form = Vec::with_capacity(256);
    compact::encode(attributes, &mut form);
    encode_update_compact(&form, family, prefixes, ctx, out)
}

/// As [`encode_update`], from the compact form of the attributes.
///
/// # Errors
/// As [`encode_update`], and bytes that are no compact form.
pub fn encode_update_compact(
    form: &[u8],
    family: Family,
    prefixes: &[Prefix],
    ctx: &EncodeContext,
    out: &mut BytesMut,
) -> Result<usize, EncodeError> {
    let parts = compact::parts(form).ok_or(EncodeError::Compact)?;
    let mut head = Vec::with_capacity(48);
    let plain_next_hop = match (family, parts.next_hop.address) {
        (Family::Ipv4, IpAddr::V4(address)) => Some(address.octets()),
        (Family::Ipv4, IpAddr::V6(_)) if ctx.extended_next_hop => None,
        (Family::Ipv6, IpAddr::V6(_)) => None,
        _ => return Err(EncodeError::NextHop),
    };
    if plain_next_hop.is_none() {
        head.extend_from_slice(&family.afi().to_be_bytes());
        head.push(family.safi());
        put_next_hop(&parts.next_hop, &mut head);
        head.push(0);
    }
    let attributes = sent_form(parts.attributes, plain_next_hop, ctx);
    let mut fixed = FIXED.saturating_add(attributes.len());
    if !head.is_empty() {
        fixed = fixed.saturating_add(LONG_HEADER).saturating_add(head.len());
    }
    let longest = encoded_len(Prefix::from_bits(family, 0, family.max_len()), ctx.path_id(family));
    let room = ctx.max_len.checked_sub(fixed).filter(|room| *room >= longest);
    let room = room.ok_or(EncodeError::TooLarge(attributes.len()))?;
    Ok(pack(family, prefixes, room, ctx, out, |out, nlri| {
        put_message(out, MessageType::Update, |out| {
            out.put_u16(0);
            put_counted(out, |out| {
                if !head.is_empty() {
                    // RFC 7606 section 5.1: first, so that a receiver finds the prefixes whatever comes after.
                    put_long(MP_REACH, &head, out, nlri);
                }
                out.put_slice(&attributes);
            });
            if head.is_empty() {
                nlri(out);
            }
        });
    }))
}

/// Appends UPDATEs that withdraw `prefixes` of `family`; returns how many messages. Prefixes of another family are left
/// out.
pub fn encode_withdraw(
    family: Family,
    prefixes: &[Prefix],
    ctx: &EncodeContext,
    out: &mut BytesMut,
) -> usize {
    let [afi_high, afi_low] = family.afi().to_be_bytes();
    let head = [afi_high, afi_low, family.safi()];
    let room = ctx.max_len.saturating_sub(FIXED + LONG_HEADER).saturating_sub(head.len());
    pack(family, prefixes, room, ctx, out, |out, nlri| {
        put_message(out, MessageType::Update, |out| match family {
            Family::Ipv4 => {
                put_counted(out, nlri);
                out.put_u16(0);
            }
            Family::Ipv6 => {
                out.put_u16(0);
                put_counted(out, |out| put_long(MP_UNREACH, &head, out, nlri));
            }
        });
    })
}

/// Appends the End-of-RIB of a family (RFC 4724 section 2).
pub fn encode_end_of_rib(family: Family, out: &mut BytesMut) {
    put_message(out, MessageType::Update, |out| match family {
        Family::Ipv4 => out.put_u32(0),
        Family::Ipv6 => {
            let [afi_high, afi_low] = family.afi().to_be_bytes();
            out.put_slice(&[0, 0, 0, 6, 0x80, MP_UNREACH, 3, afi_high, afi_low, family.safi()]);
        }
    });
}

/// Splits prefixes into runs that fit `room` octets and has a message written for each; returns how many.
fn pack(
    family: Family,
    prefixes: &[Prefix],
    room: usize,
    ctx: &EncodeContext,
    out: &mut BytesMut,
    mut message: impl FnMut(&mut BytesMut, &mut dyn FnMut(&mut BytesMut)),
) -> usize {
    let path_id = ctx.path_id(family);
    let mut rest = prefixes.iter().copied().filter(|prefix| prefix.family() == family).peekable();
    let mut messages = 0usize;
    while rest.peek().is_some() {
        message(out, &mut |out| {
            let mut left = room;
            let mut staged = Staged::default();
            while let Some(prefix) = rest.next_if(|prefix| encoded_len(*prefix, path_id) <= left) {
                left = left.saturating_sub(encoded_len(prefix, path_id));
                staged.push(prefix, path_id, out);
            }
            staged.flush(out);
        });
        messages = messages.saturating_add(1);
    }
    messages
}

/// Appends an attribute with a two-octet length: `head`, then the NLRI.
fn put_long(code: u8, head: &[u8], out: &mut BytesMut, nlri: &mut dyn FnMut(&mut BytesMut)) {
    out.put_u8(LONG_OPTIONAL);
    out.put_u8(code);
    put_counted(out, |out| {
        out.put_slice(head);
        nlri(out);
    });
}

/// The attributes as this kind of peer is sent them, by code.
fn sent_form(mut run: &[u8], plain_next_hop: Option<[u8; 4]>, ctx: &EncodeContext) -> Vec<u8> {
    let mut out = Vec::with_capacity(run.len().saturating_add(16));
    let mut next_hop = plain_next_hop;
    let mut local_pref = (!ctx.external).then_some(PathAttributes::DEFAULT_LOCAL_PREF);
    let mut late = Late::default();
    while let Some(attribute) = next_attribute(&mut run) {
        put_due(&mut next_hop, &mut local_pref, attribute.code, &mut out);
        late.put_due(attribute.code, &mut out);
        match attribute.code {
            _ if find(attribute.code).is_some_and(|row| row.scope == Scope::Internal) && ctx.external => {}
            AS_PATH if !ctx.four_octet_as => late.put_path(&attribute, &mut out),
            AGGREGATOR if !ctx.four_octet_as => late.put_aggregator(&attribute, &mut out),
            _ => out.extend_from_slice(attribute.octets),
        }
    }
    put_due(&mut next_hop, &mut local_pref, u8::MAX, &mut out);
    late.put_due(u8::MAX, &mut out);
    out
}

/// Writes NEXT_HOP and a default LOCAL_PREF where their turn has come before `code`.
fn put_due(next_hop: &mut Option<[u8; 4]>, local_pref: &mut Option<u32>, code: u8, out: &mut Vec<u8>) {
    if code > NEXT_HOP
        && let Some(address) = next_hop.take()
    {
        out.extend_from_slice(&[Category::WellKnown.flags(), NEXT_HOP, 4]);
        out.extend_from_slice(&address);
    }
    if code >= LOCAL_PREF
        && let Some(preference) = local_pref.take().filter(|_| code > LOCAL_PREF)
    {
        out.extend_from_slice(&[Category::WellKnown.flags(), LOCAL_PREF, 4]);
        out.extend_from_slice(&preference.to_be_bytes());
    }
}

/// What a speaker of two-octet AS numbers is given beside (RFC 6793): whole attributes that wait for their turn.
#[derive(Default)]
struct Late {
    as4_path: Vec<u8>,
    as4_aggregator: Vec<u8>,
}

impl Late {
    fn put_path(&mut self, attribute: &RawAttribute<'_>, out: &mut Vec<u8>) {
        let path = AsPath::from_wire(attribute.value).unwrap_or_default();
        let mut lossy = false;
        put_attribute(Category::WellKnown.flags(), AS_PATH, out, |out| {
            lossy = path.put_two_octet_wire(out);
            true
        });
        if lossy {
            let whole = path.without_confederation();
            put_attribute(Category::OptionalTransitive.flags(), AS4_PATH, &mut self.as4_path, |out| {
                out.extend_from_slice(whole.as_wire());
                true
            });
        }
    }

    fn put_aggregator(&mut self, attribute: &RawAttribute<'_>, out: &mut Vec<u8>) {
        let Some((asn, identifier)) = attribute.value.split_first_chunk::<4>() else { return };
        let asn = siskin_net::Asn(u32::from_be_bytes(*asn));
        let flags = Category::OptionalTransitive.flags();
        put_attribute(flags, AGGREGATOR, out, |out| {
            out.extend_from_slice(&asn.to_two_octets().to_be_bytes());
            out.extend_from_slice(identifier);
            true
        });
        if asn.0 > u32::from(u16::MAX) {
            put_attribute(flags, AS4_AGGREGATOR, &mut self.as4_aggregator, |out| {
                out.extend_from_slice(attribute.value);
                true
            });
        }
    }

    fn put_due(&mut self, code: u8, out: &mut Vec<u8>) {
        if code > AS4_PATH {
            out.append(&mut self.as4_path);
        }
        if code > AS4_AGGREGATOR {
            out.append(&mut self.as4_aggregator);
        }
    }
}
