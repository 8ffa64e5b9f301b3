//! The group's own turn: export runs once for each attribute set, and every member with room gets the same bytes.

use bytes::BytesMut;
use siskin_bgp::PathAttributes;
use siskin_bgp::wire::{encode_update, encode_withdraw};
use siskin_net::{Family, PeerId, Prefix};
use smallvec::SmallVec;

use super::Outbox;
use super::group::{Context, Group, evaluate};
use super::profile::ExportProfile;
use super::sent::Input;
use crate::attrs::AttrId;
use crate::table::DestId;

/// Messages of one audience are handed over when they are this long.
const SEGMENT: usize = 64 * 1024;

/// A destination to export. Items with equal keys have equal inputs.
#[derive(Clone, Copy)]
pub(super) struct Item {
    pub(super) key: u64,
    pub(super) dest: DestId,
    /// Whether the member that catches up has some route for it.
    pub(super) had: bool,
}

/// The key of what has no route: behind all others.
const NO_INPUT: u64 = u64::MAX;

impl Item {
    pub(super) fn new(dest: DestId, input: Option<Input>, had: bool) -> Item {
        let key = input.map_or(NO_INPUT, |i| u64::from(i.source.0) << 32 | u64::from(i.attributes.0));
        Item { key, dest, had }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the key is made of a u16 and a u32")]
    pub(super) fn input(&self) -> Option<Input> {
        (self.key != NO_INPUT)
            .then_some(Input { attributes: AttrId(self.key as u32), source: PeerId((self.key >> 32) as u16) })
    }
}

/// Destinations that are sent the same attributes.
pub(super) struct Class {
    pub(super) attributes: PathAttributes,
    pub(super) prefixes: Vec<Prefix>,
    pub(super) dests: Vec<DestId>,
}

/// Export of one input: one class, or as many as the policy makes of its prefixes.
pub(super) struct Classes {
    input: Input,
    decoded: PathAttributes,
    pub(super) list: SmallVec<[Class; 1]>,
    /// The class of every prefix, where the prefix does not matter.
    whole: Option<Option<usize>>,
}

impl Classes {
    pub(super) fn new(input: Input, context: &Context<'_>) -> Classes {
        let decoded = context.attrs.decode(input.attributes);
        Classes { input, decoded, list: SmallVec::new(), whole: None }
    }

    /// The class of a destination; `None`: it is not sent.
    pub(super) fn of(
        &mut self,
        profile: &ExportProfile,
        dest: DestId,
        context: &Context<'_>,
    ) -> Option<usize> {
        if let Some(class) = self.whole {
            return class;
        }
        let exported = evaluate(profile, self.input, dest, &self.decoded, context).attributes;
        let class = exported.map(|attributes| {
            let known = self.list.iter().position(|class| class.attributes == attributes);
            known.unwrap_or_else(|| {
                self.list.push(Class { attributes, prefixes: Vec::new(), dests: Vec::new() });
                self.list.len() - 1
            })
        });
        if !profile.depends_on_prefix() {
            self.whole = Some(class);
        }
        class
    }

    pub(super) fn add(&mut self, class: usize, dest: DestId, context: &Context<'_>) {
        let class = &mut self.list[class];
        class.prefixes.push(context.table.dests.prefix(dest));
        class.dests.push(dest);
    }
}

/// What the last old input came to, so that equal ones are not exported again.
#[derive(Default)]
struct OldOutput {
    known: Option<(Input, bool)>,
    attributes: Option<PathAttributes>,
}

/// Messages on their way to all members with room but one.
struct Broadcast<'a, O> {
    outbox: &'a mut O,
    ready: SmallVec<[PeerId; 16]>,
    /// All members have room, and none has anything pending: no need to look at each.
    quiet: bool,
    excluded: Option<PeerId>,
    withdrawn: Vec<(Option<PeerId>, DestId)>,
}

impl<O: Outbox> Broadcast<'_, O> {
    fn address_to(&mut self, excluded: Option<PeerId>, buffer: &mut BytesMut) {
        if self.excluded != excluded || buffer.len() >= SEGMENT {
            self.flush(buffer);
            self.excluded = excluded;
        }
    }

    fn flush(&mut self, buffer: &mut BytesMut) {
        if buffer.is_empty() {
            return;
        }
        let bytes = buffer.split().freeze();
        for peer in &self.ready {
            if Some(*peer) != self.excluded {
                self.outbox.send(*peer, bytes.clone());
            }
        }
    }
}

impl Group {
    /// Exports up to `budget` changed destinations to all members that have room; the others note what they miss. True
    /// if the budget ended it.
    pub(super) fn broadcast(
        &mut self,
        context: &mut Context<'_>,
        outbox: &mut impl Outbox,
        budget: usize,
    ) -> bool {
        let family = context.table.family;
        if self.state[family].dirty.is_empty() {
            return false;
        }
        // A member that awaits the beginning of a refresh is told everything behind that.
        for member in &mut self.members {
            member.ready = !member.begin_due.contains(family) && outbox.room(member.peer);
        }
        let ready: SmallVec<[PeerId; 16]> = self.members.iter().filter(|m| m.ready).map(|m| m.peer).collect();
        if ready.is_empty() {
            return false;
        }
        let quiet = ready.len() == self.members.len()
            && self.members.iter().all(|m| m.pending[family].due.is_empty());
        let (mut items, more) = self.collect(context, budget);
        // Numbers of destinations and of sets both grow in the order of arrival: mostly sorted already.
        items.sort_by_key(|item| item.key);
        let mut out = Broadcast { outbox, ready, quiet, excluded: None, withdrawn: Vec::new() };
        for run in items.chunk_by(|a, b| a.key == b.key) {
            match run.first().and_then(Item::input) {
                Some(input) => self.announce(input, run, context, &mut out),
                None => run.iter().for_each(|item| {
                    self.state[family].unsure.remove(item.dest);
                    self.take_back(item.dest, context, &mut out);
                }),
            }
        }
        self.send_withdrawn(context, &mut out);
        out.flush(context.buffer);
        let state = &mut self.state[family];
        if state.unsure.is_empty() {
            state.previous = None;
        }
        more
    }

    /// Takes changed destinations out of the bitmap, the next in turn first. What is not decided yet stays.
    fn collect(&mut self, context: &Context<'_>, budget: usize) -> (Vec<Item>, bool) {
        let family = context.table.family;
        let mut items = Vec::with_capacity(budget.min(self.state[family].dirty.count()));
        let start = self.state[family].cursor;
        let (mut at, mut wrapped) = (start, start == 0);
        for _ in 0..budget {
            let dest = match self.state[family].dirty.next(at) {
                Some(dest) if !wrapped || start == 0 || dest < start => dest,
                _ if wrapped => {
                    self.state[family].cursor = 0;
                    return (items, false);
                }
                _ => {
                    (at, wrapped) = (0, true);
                    continue;
                }
            };
            at = dest + 1;
            if context.table.dirty.contains(dest) {
                continue;
            }
            self.state[family].dirty.remove(dest);
            let input = self.input(dest, context);
            let state = &mut self.state[family];
            if input.is_none() {
                state.held.remove(dest);
            }
            if input != state.sent.get(dest) || state.unsure.contains(dest) {
                items.push(Item::new(dest, input, false));
            }
        }
        self.state[family].cursor = at;
        (items, !self.state[family].dirty.is_empty())
    }

    /// Sends one input to all its destinations.
    fn announce<O: Outbox>(
        &mut self,
        input: Input,
        run: &[Item],
        context: &mut Context<'_>,
        out: &mut Broadcast<'_, O>,
    ) {
        let family = context.table.family;
        let profile = self.profile.clone();
        let mut classes = Classes::new(input, context);
        let mut old_output = OldOutput::default();
        for item in run {
            let dest = item.dest;
            let unsure = self.state[family].unsure.remove(dest);
            let Some(class) = classes.of(&profile, dest, context) else {
                self.state[family].held.remove(dest);
                self.take_back(dest, context, out);
                continue;
            };
            let old = self.state[family].sent.get(dest);
            if old.is_none() && self.is_full(family) {
                self.state[family].held.insert(dest);
                continue;
            }
            self.state[family].held.remove(dest);
            let same = old.is_some_and(|old| {
                self.exported_before(old, dest, unsure, context, &mut old_output);
                old_output.attributes.as_ref() == Some(&classes.list[class].attributes)
            });
            self.set_sent(dest, Some(input), context);
            if !same {
                classes.add(class, dest, context);
            }
            self.note(dest, old, Some(input), !same, family, out);
        }
        let excluded = self.member(input.source).map(|member| member.peer);
        for class in classes.list.iter().filter(|class| !class.dests.is_empty()) {
            out.address_to(excluded, context.buffer);
            let written =
                encode_update(&class.attributes, family, &class.prefixes, &profile.encode, context.buffer);
            if written.is_err() {
                // Attributes no message can hold: better no route than an old one.
                for dest in &class.dests {
                    self.set_sent(*dest, None, context);
                    out.withdrawn.push((excluded, *dest));
                }
            }
        }
    }

    /// Withdraws a destination from everybody.
    fn take_back<O: Outbox>(&mut self, dest: DestId, context: &mut Context<'_>, out: &mut Broadcast<'_, O>) {
        if let Some(old) = self.set_sent(dest, None, context) {
            out.withdrawn.push((self.member(old.source).map(|member| member.peer), dest));
            self.note(dest, Some(old), None, true, context.table.family, out);
        }
    }

    fn send_withdrawn<O: Outbox>(&mut self, context: &mut Context<'_>, out: &mut Broadcast<'_, O>) {
        let family = context.table.family;
        let mut withdrawn = std::mem::take(&mut out.withdrawn);
        withdrawn.sort_by_key(|(excluded, _)| *excluded);
        for run in withdrawn.chunk_by(|a, b| a.0 == b.0) {
            let Some((excluded, _)) = run.first() else { continue };
            out.address_to(*excluded, context.buffer);
            let prefixes: Vec<Prefix> =
                run.iter().map(|(_, dest)| context.table.dests.prefix(*dest)).collect();
            encode_withdraw(family, &prefixes, &self.profile.encode, context.buffer);
        }
    }

    /// Notes for each member that the group went from `old` to `new`; `told`: by a message to all with room, but not to
    /// the one the route came from.
    fn note<O: Outbox>(
        &mut self,
        dest: DestId,
        old: Option<Input>,
        new: Option<Input>,
        told: bool,
        family: Family,
        out: &Broadcast<'_, O>,
    ) {
        let (from, to) = (old.map(|input| input.source), new.map(|input| input.source));
        let sender = to.or(from);
        // Who announces the first route, or another one, or takes the last away has nothing to be told about it itself.
        if out.quiet && (from.is_none() || to.is_none() || from == to) {
            return;
        }
        for member in &mut self.members {
            let had = old.is_some_and(|old| old.source != member.peer);
            let wants = new.is_some_and(|new| new.source != member.peer);
            let pending = &mut member.pending[family];
            if told && member.ready && sender != Some(member.peer) {
                pending.settle(dest);
            } else if (told && (had || wants)) || had != wants {
                pending.note(dest, had);
            }
        }
    }

    /// Sets what was sent, with its references.
    fn set_sent(&mut self, dest: DestId, input: Option<Input>, context: &mut Context<'_>) -> Option<Input> {
        if let Some(input) = input {
            context.attrs.retain(input.attributes);
        }
        let old = self.state[context.table.family].sent.set(dest, input);
        if let Some(old) = old {
            context.attrs.release(old.attributes);
        }
        old
    }

    /// Exports what was sent before as it was exported then, into `known`; nothing where that cannot be told any more.
    fn exported_before(
        &self,
        old: Input,
        dest: DestId,
        unsure: bool,
        context: &Context<'_>,
        known: &mut OldOutput,
    ) {
        let profile =
            if unsure { self.state[context.table.family].previous.as_ref() } else { Some(&self.profile) };
        let reusable = profile.is_none_or(|profile| !profile.depends_on_prefix());
        if known.known == Some((old, unsure)) && reusable {
            return;
        }
        known.known = Some((old, unsure));
        known.attributes = profile.and_then(|profile| {
            let decoded = context.attrs.decode(old.attributes);
            evaluate(profile, old, dest, &decoded, context).attributes
        });
    }
}
