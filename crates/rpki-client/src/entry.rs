//! A VRP in the fewest octets its family allows: 12 for IPv4, 24 for IPv6. Every cache's set is made of these.

use siskin_net::{Asn, Family, Prefix, Vrp};

/// A compact VRP of one family. The order is by address, prefix length, maximum length, AS.
pub(crate) trait Entry: Copy + Ord + Send + 'static {
    /// The entry of a VRP; the caller has looked at its family.
    fn new(vrp: Vrp) -> Self;
    /// The VRP again.
    fn vrp(self) -> Vrp;
}

/// An IPv4 VRP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct V4 {
    address: u32,
    len: u8,
    max_len: u8,
    asn: u32,
}

impl Entry for V4 {
    fn new(vrp: Vrp) -> V4 {
        let address = (vrp.prefix.bits() >> 96) as u32;
        V4 { address, len: vrp.prefix.len(), max_len: vrp.max_len, asn: vrp.asn.0 }
    }

    fn vrp(self) -> Vrp {
        let prefix = Prefix::from_bits(Family::Ipv4, u128::from(self.address) << 96, self.len);
        Vrp { prefix, max_len: self.max_len, asn: Asn(self.asn) }
    }
}

/// An IPv6 VRP. The address is four words, not one `u128`, whose alignment would cost eight octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct V6 {
    address: [u32; 4],
    len: u8,
    max_len: u8,
    asn: u32,
}

impl Entry for V6 {
    #[expect(clippy::cast_possible_truncation, reason = "the words of 128 bits")]
    fn new(vrp: Vrp) -> V6 {
        let bits = vrp.prefix.bits();
        let address = [(bits >> 96) as u32, (bits >> 64) as u32, (bits >> 32) as u32, bits as u32];
        V6 { address, len: vrp.prefix.len(), max_len: vrp.max_len, asn: vrp.asn.0 }
    }

    fn vrp(self) -> Vrp {
        let bits = self.address.iter().fold(0u128, |bits, word| bits << 32 | u128::from(*word));
        let prefix = Prefix::from_bits(Family::Ipv6, bits, self.len);
        Vrp { prefix, max_len: self.max_len, asn: Asn(self.asn) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_small_and_lose_nothing() {
        assert_eq!((size_of::<V4>(), size_of::<V6>()), (12, 24));
        let vrp =
            |text: &str, max_len| Vrp { prefix: text.parse().unwrap(), max_len, asn: Asn(4_200_000_000) };
        for vrp in [vrp("192.0.2.0/24", 32), vrp("0.0.0.0/0", 0), vrp("255.255.255.255/32", 32)] {
            assert_eq!(V4::new(vrp).vrp(), vrp);
        }
        for vrp in [vrp("2001:db8:1:2:3:4:5:6/128", 128), vrp("::/0", 128), vrp("2001:db8::/32", 48)] {
            assert_eq!(V6::new(vrp).vrp(), vrp);
        }
    }
}
