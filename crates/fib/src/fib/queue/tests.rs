//! Order, lanes and overtaking.

use super::*;

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

#[test]
fn prefixes_come_out_sorted_and_whole() {
    let texts = ["10.0.0.0/8", "0.0.0.0/0", "255.255.255.255/32", "10.0.0.0/9", "9.255.0.0/16"];
    let mut queue = Queue::new();
    texts.iter().for_each(|t| queue.push(prefix(t)));
    queue.push(prefix("2001:db8::/32"));
    let mut sorted: Vec<Prefix> = texts.iter().map(|t| prefix(t)).collect();
    sorted.sort_unstable();
    let popped: Vec<Prefix> = std::iter::from_fn(|| queue.pop(Family::Ipv4)).collect();
    assert_eq!(popped, sorted);
    assert_eq!((queue.len(Family::Ipv4), queue.len(Family::Ipv6), queue.is_empty()), (0, 1, false));
    assert_eq!(queue.pop(Family::Ipv6), Some(prefix("2001:db8::/32")));
    assert!(queue.is_empty());
}

#[test]
fn few_arrivals_overtake_many_do_not() {
    let mut queue = Queue::new();
    let nth = |n: u32| Prefix::v4(Ipv4Addr::from_bits(n << 8), 24);
    (1000..2000).for_each(|n| queue.push(nth(n)));
    assert_eq!(queue.pop(Family::Ipv4), Some(nth(1000)));
    queue.push(nth(5000));
    queue.promote();
    assert_eq!(queue.pop(Family::Ipv4), Some(nth(5000)));
    (0..500).for_each(|n| queue.push(nth(n)));
    queue.promote();
    assert_eq!(queue.pop(Family::Ipv4), Some(nth(1001)), "the run goes on");
    let rest: Vec<Prefix> = std::iter::from_fn(|| queue.pop(Family::Ipv4)).collect();
    assert_eq!(rest.len(), 998 + 500, "nothing is lost");
}
