//! What is written here is read back here, and octet by octet against the RFC's pictures.

use super::*;

#[test]
fn an_ipv4_update_reads_back() {
    let mut attributes = Vec::new();
    attribute(&mut attributes, 0x40, 1, &[0]);
    let mut prefixes = Vec::new();
    for text in ["0.0.0.0/0", "10.0.0.0/8", "192.0.2.128/25"] {
        nlri(&mut prefixes, text.parse().unwrap());
    }
    assert_eq!(prefixes, [0, 8, 10, 25, 192, 0, 2, 128]);
    let bytes = update(&[24, 198, 51, 100], &attributes, &prefixes).unwrap();
    assert_eq!(usize::from(u16::from_be_bytes([bytes[16], bytes[17]])), bytes.len());
    let parts = parts(&bytes[HEADER..]).unwrap();
    assert_eq!(parts.unreach4, [24, 198, 51, 100]);
    let mut seen = Vec::new();
    walk_nlri(parts.reach4, Family::Ipv4, |bits, len| {
        seen.push(Prefix::from_bits(Family::Ipv4, bits, len).to_string());
    })
    .unwrap();
    assert_eq!(seen, ["0.0.0.0/0", "10.0.0.0/8", "192.0.2.128/25"]);
}

#[test]
fn ends_of_rib_are_the_shortest_updates() {
    assert_eq!(end_of_rib(Family::Ipv4).unwrap().len(), 23);
    let six = end_of_rib(Family::Ipv6).unwrap();
    assert_eq!(six.len(), 29);
    assert_eq!(parts(&six[HEADER..]).unwrap().unreach6, Some(&[][..]));
}

#[test]
fn a_long_attribute_has_a_long_length() {
    let mut out = Vec::new();
    attribute(&mut out, 0x80, MP_REACH, &[7; 300]);
    assert_eq!(out[..4], [0x90, MP_REACH, 1, 44]);
    assert_eq!(out.len(), 304);
}

#[test]
fn lengths_that_lie_are_errors() {
    assert!(parts(&[0, 9, 1]).is_err());
    assert!(parts(&[0, 0, 0, 4, 0x40, 1, 9, 0]).is_err());
    assert!(walk_nlri(&[33, 1, 2, 3, 4, 5], Family::Ipv4, |_, _| {}).is_err());
    assert!(walk_nlri(&[24, 1, 2], Family::Ipv4, |_, _| {}).is_err());
}

#[test]
fn an_open_carries_the_long_as_number() {
    let open = open(4_200_000_000, 90, Ipv4Addr::new(192, 0, 2, 1), &Family::ALL).unwrap();
    assert_eq!(open[20..22], 23_456u16.to_be_bytes());
    assert!(open.ends_with(&4_200_000_000u32.to_be_bytes()));
}
