//! `RTM_NEWRULE` and its kin (linux/fib_rules.h): policy rules, which say whose packets look into which table.
//!
//! Read and written are rules that look up a table, with source, destination, incoming interface and mark; what else a
//! rule of ours may have been given by others (actions, ports, UIDs …) makes it another rule.

use siskin_net::{Family, Prefix};

use super::batch::Batch;
use super::{Message, address, af, family_of, flag, u8_at};

pub(crate) const RTM_NEWRULE: u16 = 32;
pub(crate) const RTM_DELRULE: u16 = 33;
pub(crate) const RTM_GETRULE: u16 = 34;

/// `struct fib_rule_hdr`.
const FIB_RULE_HDR: usize = 12;

const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_IIFNAME: u16 = 3;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
const FRA_TABLE: u16 = 15;
const FRA_FWMASK: u16 = 16;
const FRA_PROTOCOL: u16 = 21;
const FR_ACT_TO_TBL: u8 = 1;

/// A policy rule: packets that match all that is given look up a table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyRule {
    /// Whose packets it is asked about.
    pub family: Family,
    /// Its place among the rules: lower ones are asked first.
    pub priority: u32,
    /// Their source lies in this prefix.
    pub from: Option<Prefix>,
    /// Their destination lies in this prefix.
    pub to: Option<Prefix>,
    /// They come in by the interface of this name, at most 15 octets.
    pub iif: Option<String>,
    /// Their mark, under the mask, is this: mark and mask.
    pub fwmark: Option<(u32, u32)>,
    /// The table they look up.
    pub table: u32,
}

/// A rule of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KernelRule {
    /// Who made it; 0: unknown.
    pub(crate) protocol: u8,
    /// `None`: it is of a kind that we do not make.
    pub(crate) rule: Option<PolicyRule>,
}

impl KernelRule {
    /// Reads a rule; `None` for what is cut short or of another family.
    pub(crate) fn decode(message: &Message<'_>) -> Option<KernelRule> {
        let body = message.body;
        let family = family_of(u8_at(body, 0)?)?;
        let (to_length, from_length, tos) = (u8_at(body, 1)?, u8_at(body, 2)?, u8_at(body, 3)?);
        let mut plain = u8_at(body, 7)? == FR_ACT_TO_TBL && tos == 0;
        let mut rule = PolicyRule {
            family,
            priority: 0,
            from: None,
            to: None,
            iif: None,
            fwmark: None,
            table: u32::from(u8_at(body, 4)?),
        };
        let (mut protocol, mut mark, mut mask) = (0, None, u32::MAX);
        for attribute in message.attributes(FIB_RULE_HDR) {
            match attribute.kind {
                FRA_DST => rule.to = Some(Prefix::new(address(attribute.data)?, to_length)),
                FRA_SRC => rule.from = Some(Prefix::new(address(attribute.data)?, from_length)),
                FRA_IIFNAME => rule.iif = Some(attribute.text()),
                FRA_PRIORITY => rule.priority = attribute.u32()?,
                FRA_FWMARK => mark = Some(attribute.u32()?),
                FRA_FWMASK => mask = attribute.u32()?,
                FRA_TABLE => rule.table = attribute.u32()?,
                FRA_PROTOCOL => protocol = attribute.u8()?,
                FRA_SUPPRESS_PREFIXLEN => plain &= attribute.u32() == Some(u32::MAX),
                _ => {}
            }
        }
        rule.fwmark = mark.map(|mark| (mark, mask));
        Some(KernelRule { protocol, rule: plain.then_some(rule) })
    }
}

/// A request that adds a rule; the kernel refuses if there is just such a one.
pub(crate) fn add(batch: &mut Batch, rule: &PolicyRule, protocol: u8) {
    put(batch, RTM_NEWRULE, flag::CREATE | flag::EXCL, rule, protocol);
}

/// A request that removes a rule of our protocol.
pub(crate) fn remove(batch: &mut Batch, rule: &PolicyRule, protocol: u8) {
    put(batch, RTM_DELRULE, 0, rule, protocol);
}

fn put(batch: &mut Batch, request: u16, flags: u16, rule: &PolicyRule, protocol: u8) {
    let length = |prefix: Option<Prefix>| prefix.map_or(0, |p| p.len());
    let small = u8::try_from(rule.table).unwrap_or(0);
    let lengths = [length(rule.to), length(rule.from)];
    let fixed = [af(rule.family), lengths[0], lengths[1], 0, small, 0, 0, FR_ACT_TO_TBL, 0, 0, 0, 0];
    batch.begin(request, flags, &fixed);
    batch.u32(FRA_PRIORITY, rule.priority);
    batch.u32(FRA_TABLE, rule.table);
    for (kind, prefix) in [(FRA_DST, rule.to), (FRA_SRC, rule.from)] {
        if let Some(prefix) = prefix.filter(|p| p.len() > 0) {
            batch.address(kind, prefix.address());
        }
    }
    if let Some(name) = &rule.iif {
        let text: Vec<u8> = name.bytes().chain([0]).collect();
        batch.attribute(FRA_IIFNAME, &text);
    }
    if let Some((mark, mask)) = rule.fwmark {
        batch.u32(FRA_FWMARK, mark);
        batch.u32(FRA_FWMASK, mask);
    }
    batch.attribute(FRA_PROTOCOL, &[protocol]);
    batch.end();
}

/// A request for the dump of a family's rules.
pub(crate) fn dump(batch: &mut Batch, family: Family) {
    batch.begin(RTM_GETRULE, flag::DUMP, &[af(family), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    batch.end();
}
