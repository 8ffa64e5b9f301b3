//! The monitor's classic BPF program. It sees a notification from its `nlmsghdr` on.
//!
//! BPF loads numbers in network order while netlink writes them in the host's: constants are turned to match.

use siskin_net::IfIndex;

use crate::PROTOCOL;
use crate::os::Instruction;
use crate::wire::link::{RTM_DELLINK, RTM_NEWLINK};
use crate::wire::neighbor::{NDA_PROTOCOL, NDMSG, RTM_DELNEIGH, RTM_NEWNEIGH};
use crate::wire::route::{RTM_DELROUTE, RTM_NEWROUTE};
use crate::wire::{AF_BRIDGE, AF_UNSPEC, HEADER};

const ACCEPT: u32 = u32::MAX;
const DROP: u32 = 0;

const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
/// Loads the byte behind X.
const LOAD_BYTE_X: u16 = 0x50;
const LOAD_IMMEDIATE: u16 = 0x00;
const LOAD_X_IMMEDIATE: u16 = 0x01;
const COPY_A_TO_X: u16 = 0x07;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_SET: u16 = 0x45;
const RETURN: u16 = 0x06;

/// `SKF_AD_OFF + SKF_AD_NLATTR`: A becomes the offset of the first attribute of type X from offset A on, or 0.
const FIND_ATTRIBUTE: u32 = 0xffff_f000 + 12;

/// Where the fields of the fixed headers stand.
const KIND: u32 = 4;
const PORT: u32 = 12;
const BODY: u32 = 16;
const ATTRIBUTES: u32 = BODY + 12;
const _: () = assert!(BODY as usize == HEADER && ATTRIBUTES as usize == HEADER + NDMSG);
const RTM_TABLE: u32 = BODY + 4;
const RTM_FLAGS: u32 = BODY + 8;
const NDM_IFINDEX: u32 = BODY + 4;
const RTM_F_CLONED: u32 = 0x200;
const RT_TABLE_LOCAL: u32 = 255;

/// So many interfaces are told apart; of more, all ARP and ND entries are let through.
const MAX_INTERFACES: usize = 64;

/// The program; `port` 0 (the kernel's own) is never ignored. ARP and ND entries pass on these interfaces.
pub(super) fn program(port: u32, interfaces: &[IfIndex], bridge_notes: bool) -> Vec<Instruction> {
    let mut program = Vec::new();
    if port != 0 {
        program.push(plain(LOAD_WORD, PORT));
        program.extend(return_if(JUMP_EQUAL, swap_u32(port), DROP));
    }
    program.push(plain(LOAD_HALF, KIND));
    program.extend(when([RTM_NEWROUTE, RTM_DELROUTE], &route()));
    if !bridge_notes {
        program.extend(when([RTM_NEWLINK, RTM_DELLINK], &link()));
    }
    program.extend(when([RTM_NEWNEIGH, RTM_DELNEIGH], &neighbor(interfaces)));
    program.push(plain(RETURN, ACCEPT));
    program
}

fn route() -> Vec<Instruction> {
    let mut block = vec![plain(LOAD_BYTE, RTM_TABLE)];
    block.extend(return_if(JUMP_EQUAL, RT_TABLE_LOCAL, DROP));
    block.push(plain(LOAD_WORD, RTM_FLAGS));
    block.extend(return_if(JUMP_SET, swap_u32(RTM_F_CLONED), DROP));
    block.push(plain(RETURN, ACCEPT));
    block
}

fn link() -> Vec<Instruction> {
    let mut block = vec![plain(LOAD_BYTE, BODY)];
    block.extend(return_if(JUMP_EQUAL, u32::from(AF_UNSPEC), ACCEPT));
    block.push(plain(RETURN, DROP));
    block
}

fn neighbor(interfaces: &[IfIndex]) -> Vec<Instruction> {
    let mut block = vec![plain(LOAD_BYTE, BODY)];
    block.extend(return_if(JUMP_EQUAL, u32::from(AF_BRIDGE), ACCEPT));
    if interfaces.len() > MAX_INTERFACES {
        block.push(plain(RETURN, ACCEPT));
        return block;
    }
    block.push(plain(LOAD_WORD, NDM_IFINDEX));
    for interface in interfaces {
        block.extend(return_if(JUMP_EQUAL, swap_u32(*interface), ACCEPT));
    }
    block.push(plain(LOAD_IMMEDIATE, ATTRIBUTES));
    block.push(plain(LOAD_X_IMMEDIATE, u32::from(NDA_PROTOCOL)));
    block.push(plain(LOAD_WORD, FIND_ATTRIBUTE));
    block.extend(return_if(JUMP_EQUAL, 0, DROP));
    block.push(plain(COPY_A_TO_X, 0));
    block.push(plain(LOAD_BYTE_X, 4));
    block.extend(return_if(JUMP_EQUAL, u32::from(PROTOCOL), ACCEPT));
    block.push(plain(RETURN, DROP));
    block
}

/// Runs `block`, which must return, when A is one of two message kinds.
fn when(kinds: [u16; 2], block: &[Instruction]) -> Vec<Instruction> {
    let [first, second] = kinds.map(|kind| u32::from(u16::from_be_bytes(kind.to_ne_bytes())));
    let skip = u8::try_from(block.len()).unwrap_or(u8::MAX);
    let mut code = vec![
        Instruction { code: JUMP_EQUAL, jt: 1, jf: 0, k: first },
        Instruction { code: JUMP_EQUAL, jt: 0, jf: skip, k: second },
    ];
    code.extend_from_slice(block);
    code
}

fn return_if(jump: u16, k: u32, verdict: u32) -> [Instruction; 2] {
    [Instruction { code: jump, jt: 0, jf: 1, k }, plain(RETURN, verdict)]
}

fn plain(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 0, k }
}

fn swap_u32(value: u32) -> u32 {
    u32::from_be_bytes(value.to_ne_bytes())
}
