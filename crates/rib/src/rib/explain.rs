//! Why a prefix is routed as it is: the checks, the policy, the decision and the exports, run once more by the code that
//! ran them first, with somebody who takes notes.

use std::sync::Arc;

use siskin_bgp::PathAttributes;
use siskin_net::{Family, NextHopGroup, PeerId, Prefix, RouteSource};
use siskin_policy::{Builtin, RuleId, Step as PolicyStep, trace};

use super::Rib;
use super::kernel::KernelVerdict;
use super::query::PathView;
use super::turn::candidate;
use crate::config::PeerInfo;
use crate::decision::{Candidate, NotShared, Observer, Step, decide};
use crate::export::{ExportProfile, Exported, Input, OWN_DEFAULT, Outgoing, facts_of, source_view};
use crate::import::{Check, ImportProfile, PrefixCheck, Stage};
use crate::table::DestId;

/// Everything that was decided about a prefix.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The prefix.
    pub prefix: Prefix,
    /// Every path: best, multipaths, losing ones, unusable ones, rejected ones.
    pub paths: Vec<ExplainedPath>,
    /// Where packets go; `None`: no route of ours in the kernel.
    pub forwarding: Option<NextHopGroup>,
    /// What is decided about its way into the kernel; `None`: there is no best path, or it is nothing for the kernel.
    pub kernel: Option<KernelVerdict>,
    /// What each peer is sent.
    pub exports: Vec<ExportOutcome>,
}

/// One path with everything that was decided about it.
#[derive(Clone, Debug)]
pub struct ExplainedPath {
    /// The path.
    pub path: PathView,
    /// The checks before policy, in order, to the first that failed; none of routes of our own.
    pub checks: Vec<CheckOutcome>,
    /// The import policy's name, and what each rule did; `None`: a check ended it before, or there is no policy.
    pub policy: Option<PolicyTrace>,
    /// What it lost to; `None`: it is the best, or took no part.
    pub lost: Option<Lost>,
    /// Why it does not share the load although it is as good as the best.
    pub not_shared: Option<NotShared>,
}

/// A policy's name, and what each of its rules did.
pub type PolicyTrace = (String, Vec<PolicyStep>);

/// One check before policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CheckOutcome {
    /// The reason a path that fails is rejected with; its name names the check.
    pub reason: Builtin,
    /// Whether the path passed.
    pub passed: bool,
}

/// The comparison a path lost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lost {
    /// Whose path beat it.
    pub to: PeerId,
    /// Where.
    pub step: Step,
    /// The winner's value.
    pub winner: String,
    /// Its own value.
    pub own: String,
}

/// What one peer is sent.
#[derive(Clone, Debug)]
pub struct ExportOutcome {
    /// The peer.
    pub peer: PeerId,
    /// Its name.
    pub name: Arc<str>,
    /// The rule that decided; `None`: there is no best path.
    pub rule: Option<RuleId>,
    /// The attributes as sent; `None`: nothing is sent.
    pub attributes: Option<PathAttributes>,
    /// The export policy's name, and what each rule did, where it was asked.
    pub policy: Option<PolicyTrace>,
    /// This state still waits to be sent.
    pub pending: bool,
}

/// The notes of a decision.
#[derive(Default)]
struct Notes {
    lost: Vec<(PeerId, Lost)>,
    not_shared: Vec<(PeerId, NotShared)>,
}

impl Observer for Notes {
    fn lost(&mut self, loser: &Candidate, step: Step, winner: &Candidate) {
        let (to, own) = (winner.peer, step.value(loser));
        self.lost.push((loser.peer, Lost { to, step, winner: step.value(winner), own }));
    }

    fn not_shared(&mut self, candidate: &Candidate, why: NotShared) {
        self.not_shared.push((candidate.peer, why));
    }
}

impl Rib {
    /// Why a prefix is routed as it is; with `peer`, only the path from it and what it is sent. `None`: nobody knows the
    /// prefix.
    #[must_use]
    pub fn explain(&self, prefix: Prefix, peer: Option<PeerId>) -> Option<Explanation> {
        let family = prefix.family();
        let dest = self.tables[family].dests.find(prefix)?;
        let about = |id: PeerId| peer.is_none_or(|peer| peer == id);
        let mut candidates: Vec<Candidate> = self.tables[family]
            .chain(dest)
            .filter_map(|(id, path)| candidate(id, path, family, dest, &self.world()).ok())
            .collect();
        let mut notes = Notes::default();
        decide(&mut candidates, self.sharing(), &mut notes);
        let paths = self.lookup(prefix).map(|route| route.paths).unwrap_or_default();
        Some(Explanation {
            prefix,
            paths: paths
                .into_iter()
                .filter(|path| about(path.peer))
                .map(|path| self.explain_path(prefix, path, &notes))
                .collect(),
            forwarding: self.fib_target(family, dest),
            kernel: self.explain_kernel(family, dest),
            exports: self
                .peers
                .iter()
                .filter(|(id, peer)| peer.up && peer.info.export.is_some() && about(*id))
                .filter_map(|(id, peer)| self.explain_export(id, &peer.info.name, family, dest))
                .collect(),
        })
    }

    fn explain_path(&self, prefix: Prefix, path: PathView, notes: &Notes) -> ExplainedPath {
        let import = self.peers.get(path.peer).map(|peer| &*peer.info.import);
        let checks = import.map(|import| import.run_checks(prefix, &path.received)).unwrap_or_default();
        let passed = checks.iter().all(|check| check.passed);
        let policy = import.filter(|_| passed).and_then(|import| import.trace(prefix, &path.received));
        let of_peer = |id: PeerId| id == path.peer;
        ExplainedPath {
            checks,
            policy,
            lost: notes.lost.iter().find(|(id, _)| of_peer(*id)).map(|(_, lost)| lost.clone()),
            not_shared: notes.not_shared.iter().find(|(id, _)| of_peer(*id)).map(|(_, why)| *why),
            path,
        }
    }

    fn explain_export(
        &self,
        id: PeerId,
        name: &Arc<str>,
        family: Family,
        dest: DestId,
    ) -> Option<ExportOutcome> {
        let group = self.groups.of(id)?;
        let mut outcome = ExportOutcome {
            peer: id,
            name: name.clone(),
            rule: None,
            attributes: None,
            policy: None,
            pending: group.waits(family, dest, id),
        };
        let best = self.tables[family].best(dest);
        let input = group
            .own_input(family, self.tables[family].dests.prefix(dest))
            .or_else(|| Some(Input { attributes: best?.accepted()?, source: best?.peer }));
        let Some(input) = input else { return Some(outcome) };
        if input.source == id {
            outcome.rule = Some(Builtin::SplitHorizon.into());
            return Some(outcome);
        }
        let Exported { attributes, rule } = self.export_input(id, family, dest, input)?;
        let decoded = self.attrs.decode(input.attributes);
        let source =
            self.peers.get(input.source).map(|peer| &peer.info).filter(|_| input.source != OWN_DEFAULT);
        let prefix = self.tables[family].dests.prefix(dest);
        let route = Outgoing { prefix, attributes: &decoded, source };
        outcome.policy = trace_export(&group.profile, route, rule);
        outcome.rule = Some(rule);
        outcome.attributes = attributes;
        Some(outcome)
    }
}

impl ImportProfile {
    /// The checks that the peer has, as a path meets them, to the first that fails.
    #[must_use]
    pub fn run_checks(&self, prefix: Prefix, received: &PathAttributes) -> Vec<CheckOutcome> {
        let mut outcomes: Vec<CheckOutcome> = Vec::new();
        if self.source != RouteSource::Bgp {
            return outcomes;
        }
        for check in Check::ALL.iter().filter(|check| check.applies(self)) {
            let passed = check.passes(self, received);
            outcomes.push(CheckOutcome { reason: check.reason, passed });
            if !passed {
                return outcomes;
            }
        }
        let stage = Stage::of(self, received);
        for check in PrefixCheck::ALL.iter().filter(|check| check.applies(self)) {
            let objection = check.objection(self, prefix, stage);
            // A name that stands for a check of attributes, too, is shown once.
            outcomes.retain(|outcome| outcome.reason != check.reason);
            outcomes.push(CheckOutcome {
                reason: objection.unwrap_or(check.reason),
                passed: objection.is_none(),
            });
            if objection.is_some() {
                break;
            }
        }
        outcomes
    }

    /// The import policy's name, and what each of its rules does to a route; `None`: there is no policy.
    #[must_use]
    pub fn trace(&self, prefix: Prefix, received: &PathAttributes) -> Option<PolicyTrace> {
        let policy = self.policy.as_ref()?;
        let prepared = self.prepare(received);
        Some((policy.name().to_owned(), trace(policy, self.view(prefix, &prepared), self)))
    }

    /// What import makes of a route: its attributes, or nothing, and the rule that decided.
    #[must_use]
    pub fn import(&self, prefix: Prefix, received: &PathAttributes) -> (Option<PathAttributes>, RuleId) {
        let verdict = self.judge(received);
        let (outcome, rule) = self.judge_prefix(&verdict, prefix);
        (outcome.ok().map(std::borrow::Cow::into_owned), rule)
    }
}

impl ExportProfile {
    /// What export makes of a route: its attributes as sent, or nothing, with the rule that decided and what the policy did.
    /// `source`: who it came from; `None`: the default route made for the peer.
    #[must_use]
    pub fn test(
        &self,
        prefix: Prefix,
        attributes: &PathAttributes,
        source: Option<&PeerInfo>,
    ) -> (Option<PathAttributes>, RuleId, Option<PolicyTrace>) {
        let route = Outgoing { prefix, attributes, source };
        let Exported { attributes, rule } = self.export(route);
        (attributes, rule, trace_export(self, route, rule))
    }
}

fn trace_export(profile: &ExportProfile, route: Outgoing<'_>, rule: RuleId) -> Option<PolicyTrace> {
    let policy = profile.policy.as_ref().filter(|_| route.source.is_some())?;
    let prepared = profile.prepare(route);
    let steps = trace(policy, source_view(route, &prepared), facts_of(route));
    // Where something before policy refused the route, policy was never asked.
    let asked = steps.last().is_some_and(|last| last.rule == rule)
        || !matches!(rule.builtin(), Some(reason) if reason as u32 >= Builtin::AsLoop as u32);
    asked.then(|| (policy.name().to_owned(), steps))
}
