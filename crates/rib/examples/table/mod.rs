//! What the measurements have in common: a table from an MRT TABLE_DUMP_V2 file (RFC 6396, not compressed) as the UPDATEs
//! that a peer would send, and a peer that takes what it is sent.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use siskin_bgp::PathAttributes;
use siskin_bgp::attr::compact;
use siskin_bgp::wire::{DecodeContext, EncodeContext, MAX_LEN, decode_update, encode_update};
use siskin_net::{Asn, BgpIdentifier, Family, FamilyMap, FamilySet, NextHop, PeerId, Prefix, RouteSource};
use siskin_policy::Compiled;
use siskin_rib::{
    ExportProfile, FibAction, ImportProfile, Multipath, NextHopMode, Outbox, PeerInfo, RibConfig,
};

/// Our AS number.
pub(crate) const LOCAL: Asn = Asn(64500);

/// Prefixes by family and by their attributes' bytes in the dump.
pub(crate) type Table = HashMap<(Family, Vec<u8>), Vec<Prefix>>;

/// The attributes of the first peer's entry of each prefix, by their bytes in the dump.
pub(crate) fn read_table(mrt: &[u8]) -> Table {
    let mut table = Table::new();
    let mut rest = mrt;
    while let Some((header, after)) = rest.split_first_chunk::<12>() {
        let number = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let length = u32::from_be_bytes([header[8], header[9], header[10], header[11]]) as usize;
        let (body, after) = after.split_at(length.min(after.len()));
        rest = after;
        let family = match (number(4), number(6)) {
            (13, 2) => Family::Ipv4,
            (13, 4) => Family::Ipv6,
            _ => continue,
        };
        if let Some((prefix, attributes)) = read_entry(family, body) {
            table.entry((family, attributes.to_vec())).or_default().push(prefix);
        }
    }
    table
}

fn read_entry(family: Family, body: &[u8]) -> Option<(Prefix, &[u8])> {
    let (&len, body) = body.get(4..)?.split_first()?;
    let (octets, body) = body.split_at_checked(usize::from(len).div_ceil(8))?;
    let mut bits = [0; 16];
    bits[..octets.len()].copy_from_slice(octets);
    let length = u16::from_be_bytes([*body.get(8)?, *body.get(9)?]);
    let attributes = body.get(10..10 + usize::from(length))?;
    Some((Prefix::from_bits(family, u128::from_be_bytes(bits), len), attributes))
}

/// Attributes as they stand in a dump, read by way of an UPDATE that carries them; next hops are left out.
fn attributes_of(mut dumped: &[u8]) -> Option<PathAttributes> {
    let mut kept = vec![0x40, 3, 4, 192, 0, 2, 1];
    while let Some(attribute) = compact::next_attribute(&mut dumped) {
        if ![3, 14, 15].contains(&attribute.code) {
            kept.extend_from_slice(attribute.octets);
        }
    }
    let mut body = vec![0, 0];
    body.extend_from_slice(&u16::try_from(kept.len()).ok()?.to_be_bytes());
    body.extend_from_slice(&kept);
    body.push(0);
    decode_update(&body, &decode_context()).ok()?.attributes
}

pub(crate) fn decode_context() -> DecodeContext {
    DecodeContext {
        four_octet_as: true,
        families: FamilySet::BOTH,
        add_path: FamilySet::EMPTY,
        external: true,
        extended_next_hop: false,
        interface: 0,
    }
}

fn encode_context() -> EncodeContext {
    EncodeContext {
        four_octet_as: true,
        max_len: MAX_LEN,
        extended_next_hop: false,
        add_path: FamilySet::EMPTY,
        external: true,
    }
}

pub(crate) fn address(family: Family, host: u8) -> std::net::IpAddr {
    match family {
        Family::Ipv4 => [192, 0, 2, host].into(),
        Family::Ipv6 => [0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(host)].into(),
    }
}

/// The messages one peer sends: the dump's routes behind its own AS number; how many of them there are, and prefixes.
pub(crate) fn messages(table: &Table, peer: u8, asn: Asn) -> (BytesMut, usize, usize) {
    let mut sets: Vec<_> = table.iter().collect();
    sets.sort_by_key(|(_, prefixes)| prefixes.first().copied());
    let mut out = BytesMut::new();
    let (mut updates, mut prefixes_sent) = (0, 0);
    for ((family, attributes), prefixes) in sets {
        let Some(mut form) = attributes_of(attributes) else { continue };
        form.next_hop = NextHop::new(address(*family, peer));
        form.as_path = form.as_path.prepended(asn, 1);
        updates += encode_update(&form, *family, prefixes, &encode_context(), &mut out).unwrap_or(0);
        prefixes_sent += prefixes.len();
    }
    (out, updates, prefixes_sent)
}

/// A peer of this number, with its import and its export policy.
pub(crate) fn peer_info(peer: u8, import: Arc<ImportProfile>, policy: Option<Arc<Compiled>>) -> PeerInfo {
    let next_hop = |family| Some(NextHop::new(address(family, 254)));
    let export = ExportProfile {
        families: FamilySet::BOTH,
        local_asn: LOCAL,
        external: true,
        role: None,
        policy,
        next_hop: NextHopMode::Default,
        self_next_hop: FamilyMap::from_fn(next_hop),
        peer_address: None,
        remove_private_as: false,
        prepend: 0,
        med: None,
        communities: Vec::new(),
        ext_communities: true,
        default_originate: FamilySet::EMPTY,
        reflector_client: false,
        cluster_id: 1,
        identifier: BgpIdentifier(1),
        encode: encode_context(),
        limits: FamilyMap::default(),
        drain: siskin_rib::Drain::No,
    };
    PeerInfo {
        name: import.name.clone(),
        source: RouteSource::Bgp,
        asn: import.asn,
        identifier: BgpIdentifier(100 + u32::from(peer)),
        address: Some(address(Family::Ipv4, peer)),
        external: true,
        role: None,
        reflector_client: false,
        enhanced_refresh: false,
        import,
        export: Some(export),
        fib: FibAction::Resolve,
    }
}

/// Counts what is sent and forgets it.
#[derive(Default)]
pub(crate) struct Sink {
    /// All that was sent.
    pub(crate) octets: usize,
}

impl Outbox for Sink {
    fn room(&self, _: PeerId) -> bool {
        true
    }
    fn send(&mut self, _: PeerId, bytes: Bytes) {
        self.octets += bytes.len();
    }
}

/// The settings of the measured RIB.
pub(crate) fn rib_config() -> RibConfig {
    RibConfig {
        asn: LOCAL,
        identifier: BgpIdentifier(1),
        cluster_id: 1,
        multipath: Multipath::Relaxed,
        max_paths: 16,
        resolve_via_default: false,
        kernel_table: 254,
        hash_seed: 7,
    }
}

/// Resident memory in KiB, as the kernel counts it.
pub(crate) fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}
