//! The corpora are worth mutating: each holds inputs that are understood to their end.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::Path;

use bytes::BytesMut;
use siskin_bgp::wire::{DecodeContext, HEADER_LEN, MAX_LEN, Message, decode_update, frame};
use siskin_net::{Family, FamilySet};
use siskin_policy::{CommunityPattern, PrefixPattern, normalize};

fn file(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name)).unwrap()
}

fn text(name: &str) -> String {
    String::from_utf8(file(name)).unwrap()
}

#[test]
fn texts() {
    for name in ["rule_language/actions", "rule_language/conditions"] {
        text(name).lines().for_each(|line| drop(normalize(line).unwrap()));
    }
    let errors = text("rule_language/errors");
    assert!(errors.lines().all(|line| normalize(line).is_err()));
    assert_eq!(text("patterns/prefixes").lines().filter(|l| l.parse::<PrefixPattern>().is_ok()).count(), 6);
    assert_eq!(
        text("patterns/communities").lines().filter(|l| l.parse::<CommunityPattern>().is_ok()).count(),
        12
    );
}

#[test]
fn messages() {
    for (name, expected) in [("bgp_message/session", 7), ("bgp_message/extended", 2)] {
        let mut stream = BytesMut::from(&file(name)[1..]);
        let mut count = 0;
        while let Some(message) = frame(&mut stream, MAX_LEN).unwrap() {
            Message::decode(&message).unwrap();
            assert!(message.len() >= HEADER_LEN);
            count += 1;
        }
        assert_eq!((count, stream.len()), (expected, 0), "{name}");
    }
}

#[test]
fn updates() {
    let plain = DecodeContext {
        four_octet_as: true,
        families: FamilySet::BOTH,
        add_path: FamilySet::EMPTY,
        external: true,
        extended_next_hop: false,
        interface: 0,
    };
    let two_octets = DecodeContext { four_octet_as: false, ..plain };
    let add_path = DecodeContext { add_path: FamilySet::BOTH, ..plain };
    for (name, ctx, announced) in [
        ("bgp_update/ipv4", plain, 2),
        ("bgp_update/ipv6", plain, 1),
        ("bgp_update/two_octets", two_octets, 1),
        ("bgp_update/add_path", add_path, 1),
        ("bgp_update/end_of_rib", plain, 0),
    ] {
        let update = decode_update(&file(name)[1..], &ctx).unwrap();
        assert!(update.faults.is_empty(), "{name}: {:?}", update.faults);
        assert_eq!(update.reach.iter().map(|r| r.prefixes.len()).sum::<usize>(), announced, "{name}");
    }
}

#[test]
fn sources() {
    use siskin_irr::{check, parse_prefixes};
    assert_eq!(check::replies(&file("irr_replies/replies")[1..], 1), Ok(6));
    assert!(check::replies(&file("irr_replies/refused")[1..], 1).is_err());
    let prefixes = file("irr_lists/prefixes");
    assert!(Family::ALL.into_iter().all(|family| !parse_prefixes(&prefixes, family).unwrap().is_empty()));
    assert_eq!(check::members(&file("irr_lists/numbers")), Ok(3));
    assert_eq!(check::peeringdb_records(&file("peeringdb/records")), Ok(2));
    assert_eq!(siskin_rpki_client::check::slurm(&file("slurm/version_1")), Ok((3, 2)));
    assert_eq!(siskin_rpki_client::check::slurm(&file("slurm/version_2")), Ok((1, 1)));
    for (name, count) in [("rtr_pdus/answer", 5), ("rtr_pdus/others", 4)] {
        let octets = file(name);
        assert_eq!(siskin_rpki_client::check::pdus(&octets), Ok((count, octets.len())), "{name}");
    }
}

#[test]
fn frames() {
    use siskin_neighbor::frame::{parse, sighting};
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/vm_frames");
    let mut claims = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        let octets = std::fs::read(entry.unwrap().path()).unwrap();
        let tag = (octets[0] == 1).then(|| u16::from_be_bytes([octets[1], octets[2]]));
        claims += usize::from(sighting(&parse(&octets[3..], tag).unwrap()).is_ok());
    }
    assert_eq!(claims, 11, "all but the router advertisement");
}
