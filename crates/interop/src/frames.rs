//! Frames that VMs and attackers send, octet by octet (RFC 826, 903, 4861, 8200), and a socket to send them from a
//! namespace. Nothing here shares code with the parsers that are to be tested.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use siskin_neighbor::snoop::Snooper;

use crate::lab::Ns;
use crate::{Error, Result};

/// A MAC address.
pub type Mac = [u8; 6];

/// Everybody on the link.
pub const BROADCAST: Mac = [0xff; 6];

const ETHER_ARP: u16 = 0x0806;
const ETHER_RARP: u16 = 0x8035;
const ETHER_IPV6: u16 = 0x86dd;
const NEXT_FRAGMENT: u8 = 44;
const NEXT_ICMPV6: u8 = 58;

/// An Ethernet frame, padded to the least length.
#[must_use]
pub fn ethernet(to: Mac, from: Mac, ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [&to[..], &from[..], &ether_type.to_be_bytes(), payload].concat();
    frame.resize(frame.len().max(60), 0);
    frame
}

/// The frame behind these 802.1Q tags, the outermost first.
#[must_use]
pub fn tagged(frame: &[u8], tags: &[u16]) -> Vec<u8> {
    let (addresses, rest) = frame.split_at(frame.len().min(12));
    let mut out = addresses.to_vec();
    for tag in tags {
        out.extend(0x8100_u16.to_be_bytes());
        out.extend(tag.to_be_bytes());
    }
    out.extend_from_slice(rest);
    out
}

/// An ARP message's five fields.
#[derive(Debug, Clone, Copy)]
pub struct Arp {
    /// 1 a request, 2 a reply, 3 a reverse request.
    pub operation: u16,
    /// The sender's MAC address.
    pub sender_mac: Mac,
    /// The sender's address.
    pub sender: Ipv4Addr,
    /// The target's MAC address.
    pub target_mac: Mac,
    /// The target's address.
    pub target: Ipv4Addr,
}

impl Arp {
    /// Its 28 octets.
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        let mut out = vec![0, 1, 8, 0, 6, 4];
        out.extend(self.operation.to_be_bytes());
        out.extend(self.sender_mac);
        out.extend(self.sender.octets());
        out.extend(self.target_mac);
        out.extend(self.target.octets());
        out
    }
}

/// A broadcast ARP request from `sender` for `target`; of the same address twice it is gratuitous, from 0.0.0.0 a probe.
#[must_use]
pub fn arp_request(mac: Mac, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let arp = Arp { operation: 1, sender_mac: mac, sender, target_mac: [0; 6], target };
    ethernet(BROADCAST, mac, ETHER_ARP, &arp.octets())
}

/// A broadcast ARP reply that nobody asked for.
#[must_use]
pub fn gratuitous_reply(mac: Mac, address: Ipv4Addr) -> Vec<u8> {
    let arp = Arp { operation: 2, sender_mac: mac, sender: address, target_mac: BROADCAST, target: address };
    ethernet(BROADCAST, mac, ETHER_ARP, &arp.octets())
}

/// What QEMU sends when a guest has moved: 'this MAC address is here'.
#[must_use]
pub fn rarp(mac: Mac) -> Vec<u8> {
    let nobody = Ipv4Addr::UNSPECIFIED;
    let arp = Arp { operation: 3, sender_mac: mac, sender: nobody, target_mac: mac, target: nobody };
    ethernet(BROADCAST, mac, ETHER_RARP, &arp.octets())
}

/// An IPv6 header before a payload.
fn ipv6(from: Ipv6Addr, to: Ipv6Addr, next: u8, hop_limit: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
    let mut out = vec![0x60, 0, 0, 0];
    out.extend(length.to_be_bytes());
    out.extend([next, hop_limit]);
    out.extend(from.octets());
    out.extend(to.octets());
    out.extend_from_slice(payload);
    out
}

/// The internet checksum (RFC 1071).
#[must_use]
pub fn checksum(octets: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in octets.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([pair.first().copied().unwrap_or(0), low]));
    }
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

/// The message with its checksum.
fn summed(from: Ipv6Addr, to: Ipv6Addr, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let pseudo =
        [&from.octets()[..], &to.octets()[..], &length.to_be_bytes(), &[0, 0, 0, NEXT_ICMPV6], message];
    let mut out = message.to_vec();
    out.splice(2..4, checksum(&pseudo.concat()).to_be_bytes());
    out
}

/// A message of neighbour discovery before it is packed.
#[derive(Debug, Clone)]
pub struct Discovery {
    /// The sender's MAC address.
    pub mac: Mac,
    /// The IPv6 source.
    pub from: Ipv6Addr,
    /// The IPv6 destination.
    pub to: Ipv6Addr,
    /// 255, or it came from elsewhere.
    pub hop_limit: u8,
    /// The ICMPv6 message, its checksum still zero.
    pub message: Vec<u8>,
}

fn group(text: [u16; 8]) -> Ipv6Addr {
    let [a, b, c, d, e, f, g, h] = text;
    Ipv6Addr::new(a, b, c, d, e, f, g, h)
}

fn all_nodes() -> Ipv6Addr {
    group([0xff02, 0, 0, 0, 0, 0, 0, 1])
}

/// The solicited-node group of an address.
#[must_use]
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., g, h] = address.segments();
    group([0xff02, 0, 0, 0, 0, 1, 0xff00 | (g & 0xff), h])
}

fn body(kind: u8, flags: u8, target: Option<Ipv6Addr>, option: Option<(u8, Mac)>) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0, flags, 0, 0, 0];
    message.extend(target.iter().flat_map(Ipv6Addr::octets));
    if let Some((kind, mac)) = option {
        message.extend([kind, 1]);
        message.extend(mac);
    }
    message
}

impl Discovery {
    /// A Neighbor Solicitation from an address for a target, with the sender's MAC address.
    #[must_use]
    pub fn solicitation(mac: Mac, from: Ipv6Addr, target: Ipv6Addr) -> Discovery {
        let message = body(135, 0, Some(target), Some((1, mac)));
        Discovery { mac, from, to: solicited_node(target), hop_limit: 255, message }
    }

    /// Duplicate address detection: 'has anybody this address?'
    #[must_use]
    pub fn duplicate_detection(mac: Mac, target: Ipv6Addr) -> Discovery {
        let message = body(135, 0, Some(target), None);
        Discovery { mac, from: Ipv6Addr::UNSPECIFIED, to: solicited_node(target), hop_limit: 255, message }
    }

    /// An unsolicited Neighbor Advertisement to all nodes, with flags R (0x80), S (0x40), O (0x20).
    #[must_use]
    pub fn advertisement(mac: Mac, from: Ipv6Addr, target: Ipv6Addr, flags: u8) -> Discovery {
        let message = body(136, flags, Some(target), Some((2, mac)));
        Discovery { mac, from, to: all_nodes(), hop_limit: 255, message }
    }

    /// A Router Advertisement: 'I am your gateway for half an hour'.
    #[must_use]
    pub fn router_advertisement(mac: Mac, from: Ipv6Addr) -> Discovery {
        let mut message = vec![134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1];
        message.extend(mac);
        Discovery { mac, from, to: all_nodes(), hop_limit: 255, message }
    }

    fn destination(&self) -> Mac {
        let [.., a, b, c, d] = self.to.octets();
        [0x33, 0x33, a, b, c, d]
    }

    /// The frame, to the group of its IPv6 destination.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        self.frame_to(self.destination())
    }

    /// The frame to one station.
    #[must_use]
    pub fn frame_to(&self, station: Mac) -> Vec<u8> {
        let message = summed(self.from, self.to, &self.message);
        let packet = ipv6(self.from, self.to, NEXT_ICMPV6, self.hop_limit, &message);
        ethernet(station, self.mac, ETHER_IPV6, &packet)
    }

    /// Two fragments (RFC 6980 forbids them), the second with the last eight octets.
    #[must_use]
    pub fn fragments(&self) -> [Vec<u8>; 2] {
        let message = summed(self.from, self.to, &self.message);
        let (head, tail) = message.split_at(message.len().saturating_sub(8) / 8 * 8);
        let fragment = |offset: usize, more: u16, part: &[u8]| {
            let place = u16::try_from(offset).unwrap_or(0) | more;
            let mut payload = vec![NEXT_ICMPV6, 0];
            payload.extend(place.to_be_bytes());
            payload.extend([0, 0, 0x12, 0x34]);
            payload.extend_from_slice(part);
            let packet = ipv6(self.from, self.to, NEXT_FRAGMENT, self.hop_limit, &payload);
            ethernet(self.destination(), self.mac, ETHER_IPV6, &packet)
        };
        [fragment(0, 1, head), fragment(head.len(), 0, tail)]
    }
}

/// A socket in a namespace that sends whole frames out of one interface.
#[derive(Debug)]
pub struct Wire {
    socket: Snooper,
    interface: u32,
}

impl Wire {
    /// Out of `interface` of `ns`.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn open(ns: &Ns, interface: &str) -> Result<Wire> {
        let path = format!("link show dev {interface}");
        let text = ns.ip(&path)?;
        let index = text.split(':').next().and_then(|word| word.trim().parse().ok());
        let interface = index.ok_or_else(|| Error::new(format!("no index in `{text}`")))?;
        let socket = ns.within(|| Ok(Snooper::open()?))?;
        Ok(Wire { socket, interface })
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.socket.send(self.interface, frame)
    }

    /// Sends frames at `rate` a second for `time`, or faster than the machine can; so many were sent.
    pub fn flood(&self, rate: u32, time: Duration, mut frame: impl FnMut(u64) -> Vec<u8>) -> u64 {
        let start = Instant::now();
        let (mut sent, mut next) = (0_u64, 0_u64);
        while start.elapsed() < time {
            let due = start.elapsed().as_micros() * u128::from(rate) / 1_000_000;
            while u128::from(next) < due {
                // A full queue drops the frame, as a network does.
                sent += u64::from(self.send(&frame(next)).is_ok());
                next += 1;
                if start.elapsed() >= time {
                    break;
                }
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        sent
    }
}

#[cfg(test)]
mod tests;
