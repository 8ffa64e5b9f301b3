use siskin_bgp::attr::AsPath;
use siskin_net::Asn;

use super::*;

fn set(n: u32) -> PathAttributes {
    let mut attributes = PathAttributes::originated("192.0.2.1".parse().unwrap());
    attributes.as_path = AsPath::from_sequence((0..=n % 7).map(|i| Asn(64500 + n + i)));
    attributes.med = (n.is_multiple_of(3)).then_some(n);
    attributes
}

fn intern(interner: &mut Interner, attributes: &PathAttributes) -> AttrId {
    let mut bytes = Vec::new();
    let encoded = encode(attributes, 7, &mut bytes);
    interner.intern(&bytes, &encoded)
}

#[test]
fn equal_sets_share_an_id_until_the_last_reference_goes() {
    let mut interner = Interner::new(7);
    let ids: Vec<AttrId> = (0..3000).map(|n| intern(&mut interner, &set(n))).collect();
    assert_eq!(interner.len(), 3000);
    for (n, id) in (0..).zip(&ids) {
        assert_eq!(intern(&mut interner, &set(n)), *id);
        assert_eq!(interner.decode(*id), set(n));
    }
    assert_eq!(interner.references(), 6000);
    for id in &ids {
        interner.release(*id);
        assert_eq!(interner.decode(*id), interner.decode(*id));
    }
    for id in &ids {
        interner.release(*id);
    }
    assert_eq!((interner.len(), interner.references()), (0, 0));
    assert_eq!(interner.next_hops.len(), 0, "and so are their next hops");
}

#[test]
fn the_key_says_what_the_set_says() {
    let mut interner = Interner::new(7);
    let mut attributes = set(1);
    attributes.local_pref = None;
    attributes.weight = 3;
    let id = intern(&mut interner, &attributes);
    let key = interner.key(id);
    assert_eq!(
        (key.local_pref, key.med, key.neighbor_as, key.path_len, key.flags),
        (100, 0, 64501, 2, DecisionKey::RARE)
    );
    assert_eq!(interner.next_hops.next_hop(key.next_hop), attributes.next_hop);
}
