//! Frames that no honest VM sends, octet by octet, and the way to send them from a namespace.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use siskin_interop::frames::{Arp, BROADCAST, Mac, checksum, ethernet};
use siskin_interop::lab::Ns;
use siskin_interop::{Result, process};

/// Sends each frame once on `eth0` of a namespace, by a packet socket.
pub(crate) fn send(ns: &Ns, frames: &[Vec<u8>]) -> Result {
    const SCRIPT: &str = "import socket, sys\n\
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\n\
        s.bind(('eth0', 0))\n\
        for line in sys.argv[1:]: s.send(bytes.fromhex(line))\n";
    let mut command = ns.command("python3");
    command.args(["-c", SCRIPT]);
    for frame in frames {
        let mut text = String::new();
        for octet in frame {
            // Writing to a string does not fail.
            let _ = write!(text, "{octet:02x}");
        }
        command.arg(text);
    }
    process::run(&mut command).map(drop)
}

/// ARP, operation 1 or 2, sent to all.
pub(crate) fn arp(from: Mac, operation: u8, (mac, sender): (Mac, Ipv4Addr), target: Ipv4Addr) -> Vec<u8> {
    let arp = Arp { operation: operation.into(), sender_mac: mac, sender, target_mac: [0; 6], target };
    ethernet(BROADCAST, from, 0x0806, &arp.octets())
}

/// An IPv4 packet with a UDP datagram or anything else in it.
pub(crate) fn ipv4(from: Mac, source: Ipv4Addr, to: Ipv4Addr, protocol: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(20 + body.len()).unwrap_or(u16::MAX);
    let mut header = [&[0x45, 0][..], &len.to_be_bytes(), &[0, 0, 0, 0, 64, protocol, 0, 0]].concat();
    header.extend_from_slice(&source.octets());
    header.extend_from_slice(&to.octets());
    let sum = checksum(&header);
    header.splice(10..12, sum.to_be_bytes());
    ethernet(BROADCAST, from, 0x0800, &[&header[..], body].concat())
}

/// A UDP datagram without a checksum.
pub(crate) fn udp(from: u16, to: u16) -> Vec<u8> {
    [&from.to_be_bytes()[..], &to.to_be_bytes(), &16_u16.to_be_bytes(), &[0; 10]].concat()
}

/// An IPv6 packet with hop limit 255, to all nodes.
pub(crate) fn ipv6(from: Mac, source: Ipv6Addr, next: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap_or(u16::MAX);
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let header = [&[0x60, 0, 0, 0][..], &len.to_be_bytes(), &[next, 255]].concat();
    let packet = [&header[..], &source.octets(), &all_nodes.octets(), body].concat();
    ethernet([0x33, 0x33, 0, 0, 0, 1], from, 0x86dd, &packet)
}

/// An ICMPv6 message; a neighbour discovery message has its target in it. The checksum is right, so that the kernel
/// would take it.
pub(crate) fn icmpv6(source: Ipv6Addr, kind: u8, target: Option<Ipv6Addr>) -> Vec<u8> {
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let flags = if kind == 136 { [0x20, 0, 0, 0] } else { [0; 4] };
    let mut body = [&[kind, 0, 0, 0][..], &flags].concat();
    body.extend(target.map(|t| t.octets()).into_iter().flatten());
    let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let pseudo =
        [&source.octets()[..], &all_nodes.octets(), &len.to_be_bytes(), &[0, 0, 0, 58], &body].concat();
    body.splice(2..4, checksum(&pseudo).to_be_bytes());
    body
}
