//! What a BGP peer may send.

use bytes::{Bytes, BytesMut};
use siskin_bgp::attr::{Disposition, PathAttributes};
use siskin_bgp::compact;
use siskin_bgp::wire::{
    DecodeContext, EXTENDED_MAX_LEN, EncodeContext, HEADER_LEN, MAX_LEN, Message, Update, decode_update,
    encode_update, frame,
};
use siskin_net::FamilySet;

/// A stream of messages: cut and read until something is wrong. The first octet says whether RFC 8654 was agreed on.
pub(crate) fn message(data: &[u8]) {
    let Some((flags, stream)) = data.split_first() else { return };
    let max_len = if flags & 1 == 0 { MAX_LEN } else { EXTENDED_MAX_LEN };
    let mut buffer = BytesMut::from(stream);
    while let Ok(Some(framed)) = frame(&mut buffer, max_len) {
        assert!((HEADER_LEN..=max_len).contains(&framed.len()));
        let Ok(message) = Message::decode(&framed) else { return };
        read_again(message);
    }
}

/// What can be written reads back the same.
fn read_again(message: Message) {
    let mut out = BytesMut::new();
    match &message {
        Message::Open(open) => open.encode(&mut out),
        Message::RouteRefresh(Some(refresh)) => refresh.encode(&mut out),
        Message::Notification(notification) => {
            let _ = notification.shutdown_text();
            notification.encode(&mut out);
        }
        Message::Keepalive | Message::RouteRefresh(None) => return,
        Message::Update(body) => return update_in(body, 0),
    }
    let framed: Bytes = out.freeze();
    if framed.len() > EXTENDED_MAX_LEN {
        return;
    }
    let again = Message::decode(&framed);
    assert_eq!(again.map(|again| again.kind()), Ok(message.kind()));
}

/// The body of an UPDATE. The first octet says what the session agreed on.
pub(crate) fn update(data: &[u8]) {
    if let Some((flags, body)) = data.split_first() {
        update_in(body, *flags);
    }
}

fn update_in(body: &[u8], flags: u8) {
    let has = |bit: u8| flags & 1 << bit != 0;
    let families = |bit| if has(bit) { FamilySet::EMPTY } else { FamilySet::BOTH };
    let ctx = DecodeContext {
        four_octet_as: !has(0),
        families: families(1),
        add_path: if has(2) { FamilySet::BOTH } else { FamilySet::EMPTY },
        external: !has(3),
        extended_next_hop: has(4),
        interface: u32::from(flags >> 5),
    };
    let Ok(update) = decode_update(body, &ctx) else { return };
    assert!(update.disposition < Disposition::ResetSession);
    for reach in &update.reach {
        // A prefix takes at least one octet.
        assert!(reach.prefixes.len() <= body.len());
        assert!(reach.path_ids.is_empty() || reach.path_ids.len() == reach.prefixes.len());
    }
    assert!(update.unreach.iter().all(|unreach| unreach.prefixes.len() <= body.len()));
    if let Some(attributes) = &update.attributes {
        let mut form = Vec::new();
        compact::encode(attributes, &mut form);
        assert_eq!(&compact::decode(&form), attributes);
        passed_on(&update, attributes, &ctx);
    }
}

/// What was understood can be sent on inside our AS, and is understood there.
fn passed_on(update: &Update, attributes: &PathAttributes, ctx: &DecodeContext) {
    let encode = EncodeContext {
        four_octet_as: true,
        max_len: EXTENDED_MAX_LEN,
        extended_next_hop: true,
        add_path: FamilySet::EMPTY,
        external: false,
    };
    let decode = DecodeContext {
        four_octet_as: true,
        families: FamilySet::BOTH,
        add_path: FamilySet::EMPTY,
        external: false,
        extended_next_hop: true,
        interface: ctx.interface,
    };
    for reach in update.reach.iter().filter(|reach| !reach.prefixes.is_empty()) {
        let sent = PathAttributes { next_hop: reach.next_hop, ..attributes.clone() };
        let mut out = BytesMut::new();
        if encode_update(&sent, reach.family, &reach.prefixes, &encode, &mut out).is_err() {
            continue;
        }
        let mut prefixes = Vec::new();
        while let Ok(Some(framed)) = frame(&mut out, EXTENDED_MAX_LEN) {
            let again = decode_update(framed.get(HEADER_LEN..).unwrap_or_default(), &decode);
            prefixes.extend(again.into_iter().flat_map(|u| u.reach).flat_map(|r| r.prefixes));
        }
        assert_eq!(prefixes, reach.prefixes);
    }
}
