//! What the files of the world look like.

use super::{Fault, parse};

#[test]
fn words_of_each_kind_and_comments() {
    let text = "# a list\nAS64496 64497 as64498\n192.0.2.0/24 ; SBL1\n198.51.100.7\n\n2001:db8::/32 2001:db8::1 # both\r\n";
    let (list, faults) = parse(text).unwrap();
    let asns: Vec<u32> = list.asns.iter().map(|asn| asn.0).collect();
    let prefixes: Vec<String> = list.prefixes.iter().map(ToString::to_string).collect();
    assert_eq!(asns, [64496, 64497, 64498]);
    assert_eq!(prefixes, ["192.0.2.0/24+", "198.51.100.7/32", "2001:db8::/32+", "2001:db8::1/128"]);
    assert_eq!(faults, []);
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let (list, faults) = parse("64496\nexample.net\n192.0.2.1/24 0.0.0.0/0\n192.0.2.0/33\nAS-SET\n").unwrap();
    assert_eq!(list.asns.len(), 1);
    let told: Vec<(usize, &str)> =
        faults.iter().map(|Fault { line, token, .. }| (*line, token.as_str())).collect();
    assert_eq!(
        told,
        [(2, "example.net"), (3, "192.0.2.1/24"), (3, "0.0.0.0/0"), (4, "192.0.2.0/33"), (5, "AS-SET")]
    );
    assert!(faults[1].why.contains("192.0.2.0/24"), "{}", faults[1].why);
    let many = "x\n".repeat(1_000);
    assert_eq!(parse(&many).unwrap().1.len(), 10, "the first are enough");
}

#[test]
fn the_number_of_entries_has_a_limit() {
    assert_eq!(parse(&"1 ".repeat(1_000_000)).unwrap().0.asns.len(), 1_000_000);
    assert!(parse(&"1 ".repeat(1_000_001)).unwrap_err().contains("more than"));
}
