//! Order, lanes and overtaking.

use super::*;

fn place(text: &str) -> Place {
    Place { table: 0, prefix: text.parse().unwrap() }
}

#[test]
fn prefixes_come_out_sorted_and_whole() {
    let texts = ["10.0.0.0/8", "0.0.0.0/0", "255.255.255.255/32", "10.0.0.0/9", "9.255.0.0/16"];
    let mut queue = Queue::new();
    texts.iter().for_each(|t| queue.push(place(t)));
    queue.push(place("2001:db8::/32"));
    let elsewhere = Place { table: 7, ..place("10.0.0.0/8") };
    queue.push(elsewhere);
    let mut sorted: Vec<Place> = texts.iter().map(|t| place(t)).collect();
    sorted.sort_unstable();
    // Table by table: each has a trie of its own in the kernel.
    sorted.push(elsewhere);
    let popped: Vec<Place> = std::iter::from_fn(|| queue.pop(Family::Ipv4)).collect();
    assert_eq!(popped, sorted);
    assert_eq!((queue.len(Family::Ipv4), queue.len(Family::Ipv6), queue.is_empty()), (0, 1, false));
    assert_eq!(queue.pop(Family::Ipv6), Some(place("2001:db8::/32")));
    assert!(queue.is_empty());
}

#[test]
fn few_arrivals_overtake_many_do_not() {
    let mut queue = Queue::new();
    let nth = |n: u32| Place { table: 0, prefix: Prefix::v4(Ipv4Addr::from_bits(n << 8), 24) };
    (1000..2000).for_each(|n| queue.push(nth(n)));
    assert_eq!(queue.pop(Family::Ipv4), Some(nth(1000)));
    queue.push(nth(5000));
    queue.promote();
    assert_eq!(queue.pop(Family::Ipv4), Some(nth(5000)));
    (0..500).for_each(|n| queue.push(nth(n)));
    queue.promote();
    assert_eq!(queue.pop(Family::Ipv4), Some(nth(1001)), "the run goes on");
    let rest: Vec<Place> = std::iter::from_fn(|| queue.pop(Family::Ipv4)).collect();
    assert_eq!(rest.len(), 998 + 500, "nothing is lost");
}
