//! The classic BPF program that runs in the kernel on every frame a VM sends: ARP, RARP, and ICMPv6 types 133 to 136
//! with hop limit 255 directly after the IPv6 header pass, cut to what the parsers read. A VLAN tag is out of the
//! frame by then (it comes as auxiliary data); a second one is not, and such frames do not pass.

use socket2::SockFilter;

use crate::frame::SNAP_LEN;

const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER_EQUAL: u16 = 0x35;
const JUMP_GREATER: u16 = 0x25;
const RETURN: u16 = 0x06;

/// The program. Jumps count the instructions to skip.
pub(super) fn program() -> [SockFilter; 13] {
    #[expect(clippy::cast_possible_truncation, reason = "128")]
    const SNAP: u32 = SNAP_LEN as u32;
    let at = SockFilter::new;
    [
        at(LOAD_HALF, 0, 0, 12),
        at(JUMP_EQUAL, 9, 0, 0x0806),
        at(JUMP_EQUAL, 8, 0, 0x8035),
        at(JUMP_EQUAL, 0, 8, 0x86dd),
        at(LOAD_BYTE, 0, 0, 20),
        at(JUMP_EQUAL, 0, 6, 58),
        at(LOAD_BYTE, 0, 0, 21),
        at(JUMP_EQUAL, 0, 4, 255),
        at(LOAD_BYTE, 0, 0, 54),
        at(JUMP_GREATER_EQUAL, 0, 2, 133),
        at(JUMP_GREATER, 1, 0, 136),
        at(RETURN, 0, 0, SNAP),
        at(RETURN, 0, 0, 0),
    ]
}
