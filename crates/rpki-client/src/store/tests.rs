//! The file: there and back, and every way it may be damaged.

use proptest::prelude::*;

use super::*;
use crate::set::Delta;

const NOW: u64 = 1_800_000_000;
const DAY: Duration = Duration::from_secs(86400);

fn data() -> Data {
    let vrp = |prefix: &str, max_len, asn| Vrp { prefix: prefix.parse().unwrap(), max_len, asn: Asn(asn) };
    let vrps = [
        vrp("192.0.2.0/24", 24, 64496),
        vrp("10.0.0.0/8", 32, 4_200_000_000),
        vrp("0.0.0.0/0", 0, 0),
        vrp("2001:db8::/32", 48, 64497),
        vrp("2001:db8::1/128", 128, 64497),
    ];
    let mut data = Data::default();
    data.vrps.apply(&Delta::of(&vrps, &[]));
    data.aspas.insert((Asn(64496), None), [Asn(1), Asn(2)].into());
    data.aspas.insert((Asn(64499), None), [Asn(0)].into());
    data
}

#[test]
fn what_is_saved_is_loaded_with_its_age() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rpki.bin");
    assert!(load(&path, NOW, DAY).unwrap().is_none(), "no file is no fault");
    save(&path, &encode(&Data::default(), NOW)).unwrap();
    save(&path, &encode(&data(), NOW - 60)).unwrap();
    let (loaded, age) = load(&path, NOW, DAY).unwrap().unwrap();
    assert_eq!((loaded, age), (data(), Duration::from_secs(60)));
    let names: Vec<_> =
        std::fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["rpki.bin"], "no temporary file stays");
}

#[test]
fn age_is_judged() {
    let octets = encode(&data(), NOW);
    let reason = |now: u64| decode(&octets, now, DAY).err().map(|e| e.to_string());
    assert_eq!(reason(NOW + 86400), None);
    assert_eq!(reason(NOW + 26 * 3600).unwrap(), "the data are 26 h old, more than 24 h");
    assert_eq!(decode(&octets, NOW - 60, DAY).unwrap().1, Duration::ZERO);
    assert!(reason(NOW - 3 * 3600).unwrap().contains("3 h in the future"));
}

/// Octets with a right checksum, so that what is behind it is tried.
fn signed(mut body: Vec<u8>) -> Vec<u8> {
    body.extend(crc32fast::hash(&body).to_be_bytes());
    body
}

#[test]
fn other_formats_and_lies_behind_a_right_checksum_are_refused() {
    let octets = encode(&data(), NOW);
    let body = &octets[..octets.len() - 4];
    let with = |at: usize, octet: u8| {
        let mut body = body.to_vec();
        body[at] = octet;
        decode(&signed(body), NOW, DAY).err().map(|e| e.to_string())
    };
    assert!(with(0, b'x').unwrap().contains("does not begin"));
    assert_eq!(with(11, 2).unwrap(), "the file has format 2, not 1");
    assert!(with(20, 0xff).unwrap().contains("ends too soon"), "a count that lies");
    assert!(with(HEADER, 0xff).unwrap().contains("impossible"), "host bits of 0.0.0.0/0");
    assert!(with(HEADER + 5, 33).unwrap().contains("impossible"), "a maximum length of 33");
    assert!(with(HEADER + 20, 0).unwrap().contains("out of order"), "192.0.2.0 becomes 0.0.2.0");
    assert!(decode(&signed([body, &[0]].concat()), NOW, DAY).unwrap_err().to_string().contains("goes on"));
}

proptest! {
    #[test]
    fn no_flipped_bit_and_no_cut_goes_unseen(at in 0usize..200, bit in 0u32..8, cut in 0usize..200) {
        let whole = encode(&data(), NOW);
        let mut flipped = whole.clone();
        let index = at % whole.len();
        flipped[index] ^= 1 << bit;
        prop_assert!(decode(&flipped, NOW, DAY).is_err());
        prop_assert!(decode(&whole[..cut % whole.len()], NOW, DAY).is_err());
    }

    #[test]
    fn no_octets_behind_a_right_checksum_break_the_reader(at in 12usize..200, octet in any::<u8>()) {
        let whole = encode(&data(), NOW);
        let mut body = whole[..whole.len() - 4].to_vec();
        let index = at % body.len();
        body[index] = octet;
        if let Ok((read, _)) = decode(&signed(body), NOW, DAY) {
            prop_assert!(read.vrps.v4.len() == 3 && read.vrps.v6.len() == 2);
        }
    }
}
