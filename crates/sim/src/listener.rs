//! The far end of a session: what a peer knows after reading every byte it was sent.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use siskin_bgp::PathAttributes;
use siskin_bgp::attr::Disposition;
use siskin_bgp::wire::{
    DecodeContext, EncodeContext, HEADER_LEN, MAX_LEN, MessageType, RefreshKind, RouteRefresh, Update,
    decode_update, encode_update, frame, message_type,
};
use siskin_net::{Family, FamilyMap, FamilySet, Prefix};

/// How messages to a peer are written in these tests.
#[must_use]
pub fn encode_context(external: bool) -> EncodeContext {
    EncodeContext {
        four_octet_as: true,
        max_len: MAX_LEN,
        extended_next_hop: false,
        add_path: FamilySet::EMPTY,
        external,
    }
}

fn decode_context(external: bool) -> DecodeContext {
    DecodeContext {
        four_octet_as: true,
        families: FamilySet::BOTH,
        add_path: FamilySet::EMPTY,
        external,
        extended_next_hop: false,
        interface: 0,
    }
}

/// An UPDATE that announces prefixes of one family, as it arrives.
///
/// # Panics
/// If it cannot be written, or comes out damaged.
#[must_use]
pub fn through_the_wire(attributes: &PathAttributes, prefixes: &[Prefix], external: bool) -> Vec<Update> {
    let Some(first) = prefixes.first() else { return Vec::new() };
    let mut out = BytesMut::new();
    let written = encode_update(attributes, first.family(), prefixes, &encode_context(external), &mut out);
    assert!(written.is_ok(), "{written:?}");
    messages(&mut out).iter().map(|message| read(message, external)).collect()
}

fn messages(buffer: &mut BytesMut) -> Vec<Bytes> {
    std::iter::from_fn(|| frame(buffer, MAX_LEN).unwrap_or_default()).collect()
}

fn read(message: &Bytes, external: bool) -> Update {
    let update = decode_update(&message[HEADER_LEN..], &decode_context(external)).unwrap_or_default();
    assert_eq!(update.disposition, Disposition::Accept, "{:?}", update.faults);
    update
}

/// What one peer knows.
#[derive(Debug, Default)]
pub struct Listener {
    external: bool,
    /// Adj-RIB-In at the peer.
    pub routes: BTreeMap<Prefix, PathAttributes>,
    /// End-of-RIB heard.
    pub end_of_rib: FamilyMap<u32>,
    /// Beginnings and ends of route refreshes heard.
    pub marks: Vec<RouteRefresh>,
    /// Prefixes since the beginning of a refresh.
    refreshed: FamilyMap<Option<Vec<Prefix>>>,
    /// Announcements heard, repeated ones included.
    pub announced: usize,
    /// Announcements of what was known already.
    pub repeated: usize,
    /// UPDATEs heard, to be taken by who passes them on.
    pub heard: Vec<Update>,
}

impl Listener {
    /// A peer that knows nothing; `external`: we are in another AS.
    #[must_use]
    pub fn new(external: bool) -> Listener {
        Listener { external, ..Listener::default() }
    }

    /// Reads whole messages.
    ///
    /// # Panics
    /// On anything but well-formed UPDATE and ROUTE-REFRESH messages.
    pub fn hear(&mut self, bytes: &[u8]) {
        let mut buffer = BytesMut::from(bytes);
        for message in messages(&mut buffer) {
            match message_type(&message) {
                Some(MessageType::Update) => self.update(read(&message, self.external)),
                Some(MessageType::RouteRefresh) => self.refresh(&message),
                other => unreachable!("{other:?} is not for the RIB to send"),
            }
        }
        assert!(buffer.is_empty(), "{} octets are no message", buffer.len());
    }

    fn update(&mut self, update: Update) {
        for unreach in &update.unreach {
            for prefix in &unreach.prefixes {
                self.routes.remove(prefix);
            }
        }
        for reach in &update.reach {
            for prefix in &reach.prefixes {
                let Some(mut attributes) = update.attributes.clone() else { continue };
                attributes.next_hop = reach.next_hop;
                self.announced += 1;
                self.repeated += usize::from(self.routes.get(prefix) == Some(&attributes));
                self.routes.insert(*prefix, attributes);
                if let Some(refreshed) = &mut self.refreshed[reach.family] {
                    refreshed.push(*prefix);
                }
            }
        }
        if let Some(family) = update.end_of_rib {
            self.end_of_rib[family] += 1;
        }
        self.heard.push(update);
    }

    /// RFC 7313: what was not announced between the marks is gone.
    fn refresh(&mut self, message: &[u8]) {
        let Ok(Some(mark)) = RouteRefresh::decode(message) else { unreachable!("a damaged ROUTE-REFRESH") };
        let family: Family = mark.family;
        self.marks.push(mark);
        match mark.kind {
            RefreshKind::Begin => self.refreshed[family] = Some(Vec::new()),
            RefreshKind::End => {
                let Some(fresh) = self.refreshed[family].take() else {
                    unreachable!("an end without a beginning")
                };
                self.routes.retain(|prefix, _| prefix.family() != family || fresh.contains(prefix));
            }
            RefreshKind::Request => {}
        }
    }
}
