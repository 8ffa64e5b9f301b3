//! What one member missed, or is to be told differently from the rest of its group.

use siskin_bgp::wire::{encode_update, encode_withdraw};
use siskin_net::Prefix;

use super::Outbox;
use super::group::{Context, Group};
use super::run::{Classes, Item};

impl Group {
    /// Tells a member up to `budget` of what it missed. True if the budget ended it.
    pub(super) fn catch_up(
        &mut self,
        index: usize,
        context: &mut Context<'_>,
        outbox: &mut impl Outbox,
        budget: usize,
    ) -> bool {
        let family = context.table.family;
        let peer = self.members[index].peer;
        let profile = self.profile.clone();
        let (mut items, more) = self.collect_missed(index, context, budget);
        items.sort_by_key(|item| item.key);
        let mut withdrawn: Vec<Prefix> = Vec::new();
        for run in items.chunk_by(|a, b| a.key == b.key) {
            let mut classes = run.first().and_then(Item::input).map(|input| Classes::new(input, context));
            for item in run {
                let class = classes.as_mut().and_then(|classes| {
                    let class = classes.of(&profile, item.dest, context)?;
                    classes.add(class, item.dest, context);
                    Some(())
                });
                if class.is_none() && item.had {
                    withdrawn.push(context.table.dests.prefix(item.dest));
                }
            }
            for class in classes.iter().flat_map(|classes| &classes.list) {
                let written = encode_update(
                    &class.attributes,
                    family,
                    &class.prefixes,
                    &profile.encode,
                    context.buffer,
                );
                if written.is_err() {
                    withdrawn.extend_from_slice(&class.prefixes);
                }
            }
        }
        if !withdrawn.is_empty() {
            encode_withdraw(family, &withdrawn, &profile.encode, context.buffer);
        }
        if !context.buffer.is_empty() {
            outbox.send(peer, context.buffer.split().freeze());
        }
        more
    }

    /// Takes what a member missed out of its bitmap; what the group is to look at anyway stays.
    fn collect_missed(&mut self, index: usize, context: &Context<'_>, budget: usize) -> (Vec<Item>, bool) {
        let state = &self.state[context.table.family];
        let member = &mut self.members[index];
        let pending = &mut member.pending[context.table.family];
        let mut items = Vec::with_capacity(budget.min(pending.due.count()));
        let mut at = 0;
        for _ in 0..budget {
            let Some(dest) = pending.due.next(at) else { return (items, false) };
            at = dest + 1;
            if state.dirty.contains(dest) {
                continue;
            }
            pending.due.remove(dest);
            let had = pending.had.remove(dest);
            let input = state.sent.get(dest).filter(|input| input.source != member.peer);
            items.push(Item::new(dest, input, had));
        }
        (items, true)
    }
}
