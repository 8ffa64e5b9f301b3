//! What VMs put on the wire: Ethernet, ARP, RARP and neighbour discovery.

use std::net::IpAddr;

use siskin_neighbor::frame::{Body, Frame, FrameError, Message, SNAP_LEN, parse, sighting};

/// A frame as a packet socket gives it: whether a tag was taken out, the tag, and the octets, cut as the socket cuts
/// them. The claim rests on the octets that the headers speak of: padding changes nothing, and what is shorter than a
/// message is none.
pub(crate) fn vm_frames(data: &[u8]) {
    let Some((&[stripped, high, low], frame)) = data.split_first_chunk() else { return };
    let tag = (stripped & 1 == 1).then_some(u16::from_be_bytes([high, low]));
    let frame = &frame[..frame.len().min(SNAP_LEN)];
    let parsed = parse(frame, tag);
    let seen = parsed.and_then(|frame| sighting(&frame));
    let padded = [frame, &[0; 18]].concat();
    match parsed {
        Ok(_) => assert_eq!(parse(&padded, tag), parsed),
        // Only what is too short may become something with more octets.
        Err(FrameError::Truncated) => {}
        Err(_) => assert!(parse(&padded, tag).is_err()),
    }
    let Ok(Frame { body, ethernet }) = parsed else { return };
    assert!(ethernet.vlan.is_none_or(|vlan| (1..=0xfff).contains(&vlan)));
    match body {
        Body::Arp(_) => assert!(frame.len() >= 42),
        Body::Discovery(discovery) => {
            let router = discovery.message == Message::RouterAdvertisement;
            assert!(frame.len() >= if router { 55 } else { 62 });
            assert!(router || !discovery.source.is_multicast());
        }
    }
    let Ok(seen) = seen else { return };
    assert!(seen.mac.is_station() && seen.mac == ethernet.source);
    // What may be claimed is for the claims to say; nothing is claimed by a group.
    if let (Body::Discovery(_), Some(IpAddr::V6(address))) = (body, seen.address) {
        assert!(!address.is_multicast() && !address.is_unspecified());
    }
}
