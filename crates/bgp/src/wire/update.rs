//! UPDATE, read (RFC 4271 section 4.3, RFC 4760, RFC 7606). One pass over the attributes straight into their typed form,
//! the table deciding what each fault means; the worst fault is the message's. NLRI go into plain lists.

use std::net::{IpAddr, Ipv4Addr};

use siskin_net::{Family, FamilySet, IfIndex, NextHop, Prefix};
use smallvec::SmallVec;

use super::{ErrorCode, Notification, decode_nlri};
use crate::attr::compact::{RawAttribute, next_attribute};
use crate::attr::{
    Category, Disposition, Fault, Gathered, PathAttributes, Problem, Row, Scope, UnknownAttribute, find, rows,
};

/// What a session agreed on, as far as reading an UPDATE depends on it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DecodeContext {
    /// AS numbers have four octets.
    pub four_octet_as: bool,
    /// The families agreed on; reachability of others is ignored.
    pub families: FamilySet,
    /// The families whose NLRI come with path identifiers.
    pub add_path: FamilySet,
    /// The peer is in another AS.
    pub external: bool,
    /// IPv4 prefixes may come with an IPv6 next hop (RFC 8950).
    pub extended_next_hop: bool,
    /// The interface link-local next hops are valid on; 0: none known.
    pub interface: IfIndex,
}

impl DecodeContext {
    /// How our own bytes are read.
    pub(crate) const fn trusted() -> DecodeContext {
        DecodeContext {
            four_octet_as: true,
            families: FamilySet::BOTH,
            add_path: FamilySet::EMPTY,
            external: false,
            extended_next_hop: true,
            interface: 0,
        }
    }
}

/// Prefixes announced with one next hop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reach {
    /// Their family.
    pub family: Family,
    /// Where they are reached; the attributes' own `next_hop` is to be taken from here.
    pub next_hop: NextHop,
    /// The prefixes, in the order they came.
    pub prefixes: Vec<Prefix>,
    /// With ADD-PATH the identifier of each; else empty.
    pub path_ids: Vec<u32>,
}

/// Prefixes withdrawn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreach {
    /// Their family.
    pub family: Family,
    /// The prefixes, in the order they came.
    pub prefixes: Vec<Prefix>,
    /// With ADD-PATH the identifier of each; else empty.
    pub path_ids: Vec<u32>,
}

impl Reach {
    pub(crate) const fn empty(family: Family) -> Reach {
        let next_hop = NextHop::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Reach { family, next_hop, prefixes: Vec::new(), path_ids: Vec::new() }
    }

    fn into_unreach(self) -> Unreach {
        Unreach { family: self.family, prefixes: self.prefixes, path_ids: self.path_ids }
    }
}

impl Unreach {
    pub(crate) const fn empty(family: Family) -> Unreach {
        Unreach { family, prefixes: Vec::new(), path_ids: Vec::new() }
    }
}

/// An UPDATE, read, with RFC 7606 applied. What `unreach` holds is to be applied before `reach`: a prefix in both counts
/// as announced (RFC 4271 section 4.3).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Update {
    /// The attributes of all that `reach` holds; `None` where it holds nothing. `next_hop` is that of the first element.
    pub attributes: Option<PathAttributes>,
    /// What is announced: IPv4 NLRI, MP_REACH_NLRI, or both.
    pub reach: SmallVec<[Reach; 1]>,
    /// What is withdrawn, and what treat-as-withdraw made of announcements.
    pub unreach: SmallVec<[Unreach; 1]>,
    /// The message is an End-of-RIB (RFC 4724) and nothing else.
    pub end_of_rib: Option<Family>,
    /// Families whose reachability could not be read: their routes are to be dropped and the families ignored.
    pub disabled: FamilySet,
    /// The worst of `faults`; never [`Disposition::ResetSession`], which is an error instead.
    pub disposition: Disposition,
    /// What was wrong.
    pub faults: SmallVec<[Fault; 0]>,
}

/// The message's own fields, where they stand for an attribute's name.
const MESSAGE: (u8, &str) = (0, "UPDATE");

/// Reads the body of an UPDATE.
///
/// # Errors
/// The NOTIFICATION that ends the session: fields that do not add up, NLRI that cannot be told apart, a second
/// MP_REACH_NLRI or MP_UNREACH_NLRI, an unknown well-known attribute, or a malformed attribute in a message that announces
/// nothing one could withdraw instead (RFC 7606 sections 3 and 5.2).
pub fn decode_update(body: &[u8], ctx: &DecodeContext) -> Result<Update, Notification> {
    let fields = Fields::of(body)?;
    let mut update = Update::default();
    if body.len() == 4 {
        update.end_of_rib = ctx.families.contains(Family::Ipv4).then_some(Family::Ipv4);
        return Ok(update);
    }
    let gathered = Gathered::new(!fields.nlri.is_empty());
    let mut reader = Reader { ctx, gathered, update, seen: [0; 4], reached: false, overrun: false };
    reader.withdrawn(fields.withdrawn)?;
    reader.attributes(fields.attributes)?;
    reader.nlri(fields.nlri)?;
    reader.finish(&fields)
}

/// The three variable fields of an UPDATE.
struct Fields<'a> {
    withdrawn: &'a [u8],
    attributes: &'a [u8],
    nlri: &'a [u8],
}

impl<'a> Fields<'a> {
    fn of(body: &'a [u8]) -> Result<Fields<'a>, Notification> {
        let split = |octets: &'a [u8]| {
            let (length, rest) = octets.split_first_chunk::<2>()?;
            rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
        };
        let read = || {
            let (withdrawn, rest) = split(body)?;
            let (attributes, nlri) = split(rest)?;
            Some(Fields { withdrawn, attributes, nlri })
        };
        read().ok_or_else(|| Notification::new(ErrorCode::MALFORMED_ATTRIBUTE_LIST))
    }
}

struct Reader<'c> {
    ctx: &'c DecodeContext,
    gathered: Gathered,
    update: Update,
    /// One bit a type code: it came already.
    seen: [u64; 4],
    /// The message announces something, of whatever family.
    reached: bool,
    /// The attributes ended inside one: there was another that nobody can name.
    overrun: bool,
}

impl Reader<'_> {
    fn withdrawn(&mut self, octets: &[u8]) -> Result<(), Notification> {
        let mut unreach = Unreach::empty(Family::Ipv4);
        self.plain(octets, &mut unreach.prefixes, &mut unreach.path_ids)?;
        if !unreach.prefixes.is_empty() {
            self.update.unreach.push(unreach);
        }
        Ok(())
    }

    fn nlri(&mut self, octets: &[u8]) -> Result<(), Notification> {
        let mut reach = Reach::empty(Family::Ipv4);
        self.reached |= !octets.is_empty();
        self.plain(octets, &mut reach.prefixes, &mut reach.path_ids)?;
        if !reach.prefixes.is_empty() {
            if let Some(next_hop) = self.gathered.next_hop {
                reach.next_hop = next_hop;
            } else if !self.withdraws() {
                self.fault((3, "NEXT_HOP"), "missing", Disposition::TreatAsWithdraw, &[]);
            }
            self.update.reach.push(reach);
        }
        Ok(())
    }

    /// Reads IPv4 prefixes outside attributes; nobody knows where the next message would begin in them after a fault.
    fn plain(
        &mut self,
        octets: &[u8],
        prefixes: &mut Vec<Prefix>,
        ids: &mut Vec<u32>,
    ) -> Result<(), Notification> {
        if octets.is_empty() {
            return Ok(());
        }
        decode_nlri(Family::Ipv4, octets, self.ctx.add_path.contains(Family::Ipv4), prefixes, ids)
            .map_err(|_| Notification::new(ErrorCode::INVALID_NETWORK_FIELD))?;
        if !self.ctx.families.contains(Family::Ipv4) {
            prefixes.clear();
            ids.clear();
            self.fault(MESSAGE, "IPv4 prefixes, not negotiated", Disposition::DiscardAttribute, octets);
        }
        Ok(())
    }

    fn fault(
        &mut self,
        name: (u8, &'static str),
        text: &'static str,
        disposition: Disposition,
        octets: &[u8],
    ) {
        self.update.disposition = self.update.disposition.max(disposition);
        self.update.faults.push(Fault::new(name, text, disposition, octets));
    }

    fn attributes(&mut self, mut run: &[u8]) -> Result<(), Notification> {
        while let Some(attribute) = next_attribute(&mut run) {
            let first = self.note(attribute.code);
            match find(attribute.code) {
                Some(row) => self.known(row, &attribute, first)?,
                None => self.unknown(&attribute, first)?,
            }
        }
        if !run.is_empty() {
            self.overrun = true;
            // RFC 7606 section 4: the total length tells where the NLRI begin, so they can still be withdrawn.
            self.fault(MESSAGE, "an attribute overruns the list", Disposition::TreatAsWithdraw, run);
        }
        if !self.ctx.four_octet_as {
            self.gathered.merge_four_octet();
        }
        Ok(())
    }

    /// Notes that an attribute came; whether for the first time.
    fn note(&mut self, code: u8) -> bool {
        let bit = 1u64 << (code & 63);
        match self.seen.get_mut(usize::from(code >> 6)) {
            Some(word) => {
                let first = *word & bit == 0;
                *word |= bit;
                first
            }
            None => true,
        }
    }

    fn has(&self, code: u8) -> bool {
        self.seen.get(usize::from(code >> 6)).is_some_and(|word| word & 1u64 << (code & 63) != 0)
    }

    fn known(&mut self, row: &Row, attribute: &RawAttribute<'_>, first: bool) -> Result<(), Notification> {
        const JUDGED: u8 = 0xc0;
        let name = (row.code, row.name);
        if !first {
            let code = ErrorCode::MALFORMED_ATTRIBUTE_LIST;
            return self.judge(name, Problem::new("came before"), row.on_repeat, code, attribute);
        }
        if row.code == MP_REACH {
            self.reached = true;
        }
        if !row.scope.admits(self.ctx) {
            self.fault(name, "not from such a peer", Disposition::DiscardAttribute, attribute.value);
            return Ok(());
        }
        if attribute.flags & JUDGED != row.category.flags() {
            self.fault(name, "wrong flags", row.on_flags, attribute.octets);
        }
        match (row.decode)(&mut self.gathered, attribute.value, self.ctx) {
            Ok(()) => {
                if row.carried {
                    self.gathered.attributes.unknown.extend(UnknownAttribute::received(attribute));
                }
                Ok(())
            }
            Err(problem) => {
                let code = ErrorCode::OPTIONAL_ATTRIBUTE_ERROR;
                self.judge(name, problem, row.on_value, code, attribute)
            }
        }
    }

    /// Does what a problem asks for.
    fn judge(
        &mut self,
        name: (u8, &'static str),
        problem: Problem,
        default: Disposition,
        code: ErrorCode,
        attribute: &RawAttribute<'_>,
    ) -> Result<(), Notification> {
        let mut disposition = problem.disposition.unwrap_or(default);
        if disposition == Disposition::DisableFamily {
            disposition = self.disable(attribute.value);
        }
        if disposition == Disposition::ResetSession {
            return Err(Notification::with_data(code, attribute.octets));
        }
        self.fault(name, problem.text, disposition, attribute.value);
        Ok(())
    }

    /// Gives up the family an attribute is about. Where the session has no other, ending it is the honest way, and brings
    /// the peer's operator the reason.
    fn disable(&mut self, value: &[u8]) -> Disposition {
        let family = match value {
            [afi_high, afi_low, safi, ..] => {
                Family::from_wire(u16::from_be_bytes([*afi_high, *afi_low]), *safi)
            }
            _ => None,
        };
        match family {
            Some(family) if !self.ctx.families.without(family).is_empty() => {
                self.update.disabled = self.update.disabled.with(family);
                Disposition::DisableFamily
            }
            _ => Disposition::ResetSession,
        }
    }

    fn unknown(&mut self, attribute: &RawAttribute<'_>, first: bool) -> Result<(), Notification> {
        if attribute.flags & Category::OptionalNonTransitive.flags() == 0 {
            let code = ErrorCode::UNRECOGNIZED_WELL_KNOWN_ATTRIBUTE;
            return Err(Notification::with_data(code, attribute.octets));
        }
        if !first {
            self.fault(
                (attribute.code, "unknown"),
                "came before",
                Disposition::DiscardAttribute,
                attribute.value,
            );
        } else if let Some(unknown) = UnknownAttribute::received(attribute) {
            self.gathered.attributes.unknown.push(unknown);
        }
        Ok(())
    }

    fn finish(mut self, fields: &Fields<'_>) -> Result<Update, Notification> {
        if let Some(unreach) = self.gathered.unreach.take() {
            if unreach.prefixes.is_empty() && self.only_mp_unreach(fields) {
                self.update.end_of_rib = Some(unreach.family);
            } else if !unreach.prefixes.is_empty() {
                self.update.unreach.push(unreach);
            }
        }
        if let Some(reach) = self.gathered.reach.take().filter(|reach| !reach.prefixes.is_empty()) {
            self.update.reach.push(reach);
        }
        if self.reached {
            self.missing();
        } else if self.update.disposition > Disposition::DiscardAttribute && !self.update_is_withdrawal() {
            // RFC 7606 section 5.2: with attributes this broken and nothing announced, the NLRI were probably lost.
            return Err(Notification::new(ErrorCode::MALFORMED_ATTRIBUTE_LIST));
        }
        let disabled = self.update.disabled;
        self.update.reach.retain(|reach| !disabled.contains(reach.family));
        self.update.unreach.retain(|unreach| !disabled.contains(unreach.family));
        if self.withdraws() {
            let reach = std::mem::take(&mut self.update.reach);
            self.update.unreach.extend(reach.into_iter().map(Reach::into_unreach));
        }
        if let Some(first) = self.update.reach.first() {
            let mut attributes = self.gathered.attributes;
            attributes.next_hop = first.next_hop;
            attributes.unknown.sort_by_key(|attribute| attribute.code);
            self.update.attributes = Some(attributes);
        }
        Ok(self.update)
    }

    /// Whether a fault asks to withdraw what is announced. A family given up asks for more, but not of the others.
    fn withdraws(&self) -> bool {
        self.update.faults.iter().any(|fault| fault.disposition == Disposition::TreatAsWithdraw)
    }

    /// Whether MP_UNREACH_NLRI is the only attribute: then there are no others to be broken.
    fn update_is_withdrawal(&self) -> bool {
        self.seen == [1 << MP_UNREACH, 0, 0, 0] && !self.overrun
    }

    fn only_mp_unreach(&self, fields: &Fields<'_>) -> bool {
        fields.withdrawn.is_empty() && fields.nlri.is_empty() && self.update_is_withdrawal()
    }

    /// An announcement without its mandatory attributes (RFC 7606 section 3 (d)); NEXT_HOP was looked for with the NLRI.
    fn missing(&mut self) {
        if self.update.reach.is_empty() {
            return;
        }
        for row in rows().iter().filter(|row| row.mandatory) {
            if !self.has(row.code) {
                self.fault((row.code, row.name), "missing", Disposition::TreatAsWithdraw, &[]);
            }
        }
    }
}

const MP_REACH: u8 = 14;
const MP_UNREACH: u8 = 15;

impl Scope {
    /// Whether an attribute of this scope counts when such a peer sends it.
    fn admits(self, ctx: &DecodeContext) -> bool {
        match self {
            Scope::Any => true,
            Scope::Internal => !ctx.external,
            Scope::TwoOctet => !ctx.four_octet_as,
            Scope::Nobody => false,
        }
    }
}
