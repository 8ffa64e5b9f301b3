//! Which port a frame is for.

use super::*;

const VLAN100: Lane = Lane::Vlan { id: 100, takes_untagged: true, leaves_untagged: true };
const VLAN200: Lane = Lane::Vlan { id: 200, takes_untagged: false, leaves_untagged: false };

fn heard(ears: &Ears, tag: Option<u16>) -> Option<DomainId> {
    ears.port_of(7, tag).map(|port| port.domain)
}

#[test]
fn a_device_of_one_domain_keeps_its_index() {
    let mut ears = Ears::default();
    assert_eq!(ears.set(7, &[(DomainId(1), Lane::All)]), []);
    assert_eq!(ears.of(7).iter().map(|port| port.number).collect::<Vec<_>>(), [7]);
    assert_eq!((heard(&ears, None), heard(&ears, Some(100))), (Some(DomainId(1)), Some(DomainId(1))));
    assert_eq!(ears.device_of(7), (7, None));
    assert_eq!(ears.set(7, &[(DomainId(2), Lane::All)]), [], "the machine moves the port itself");
    assert_eq!(ears.set(7, &[]), [7]);
    assert_eq!(heard(&ears, None), None);
}

#[test]
fn a_trunk_is_a_port_of_each_of_its_vlans() {
    let mut ears = Ears::default();
    ears.set(7, &[(DomainId(1), VLAN100), (DomainId(2), VLAN200)]);
    let tagged = |id: u16| heard(&ears, Some(id | 0xe000));
    assert_eq!((tagged(100), tagged(200), tagged(300)), (Some(DomainId(1)), Some(DomainId(2)), None));
    assert_eq!(
        (heard(&ears, None), tagged(0)),
        (Some(DomainId(1)), Some(DomainId(1))),
        "priority is no VLAN"
    );
    let numbers: Vec<IfIndex> = ears.of(7).iter().map(|port| port.number).collect();
    assert_eq!(ears.device_of(numbers[0]), (7, None));
    assert_eq!(ears.device_of(numbers[1]), (7, Some(200)));
    // A membership that changes its tagging is the same port; one that ends is none.
    let untagged = Lane::Vlan { id: 200, takes_untagged: true, leaves_untagged: true };
    assert_eq!(ears.set(7, &[(DomainId(2), untagged)]), [numbers[0]]);
    assert_eq!(ears.device_of(numbers[1]), (7, None));
    assert_eq!(heard(&ears, Some(100)), None);
    assert_eq!(ears.set(7, &[(DomainId(2), Lane::All)]), [numbers[1]], "the bridge heeds VLANs no more");
    assert_eq!(ears.of(7).len(), 1);
}

#[test]
fn a_tag_goes_behind_the_addresses() {
    let frame: Vec<u8> = (0..20).collect();
    let expected = [&frame[..12], &[0x81, 0, 0, 200], &frame[12..]].concat();
    assert_eq!(tagged(frame, 200), expected);
    assert_eq!(tagged(vec![1, 2], 200), [1, 2]);
}
