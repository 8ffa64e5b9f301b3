//! `GET /v1/explain`: the RIB's explanation in the API's words, with what the kernel says added.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use siskin_api::{
    ApiError, AttributeChange, Attributes, Check, DecisionStep, ExplainQuery, ExplainedPath, Explanation,
    ExportOutcome, KernelOutcome, KernelState, Lost, PeerKind, PolicyStep, PolicyTrace, Selector,
};
use siskin_fib::RouteState;
use siskin_net::{PeerId, Prefix, RouteSource};
use siskin_policy::{Builtin, Effect};
use siskin_rib::{NotShared, PeerInfo, Step};

use super::fib::{Names, state};
use super::routes::Words;
use super::stopping;
use crate::clock;
use crate::daemon::Daemon;
use crate::http::Answer;
use crate::kernel::View;

impl Daemon {
    /// Why a prefix is routed as it is.
    pub(super) async fn explanation(&self, query: ExplainQuery) -> Answer<Explanation> {
        let peer = match &query.peer {
            Some(name) => Some(self.peer_id(name).await?),
            None => None,
        };
        let selector = query.prefix;
        let found = self
            .rib
            .query(move |rib| {
                let prefix = match selector {
                    Selector::Prefix(prefix) => prefix,
                    Selector::Address(address) => rib.longest_match(address)?,
                };
                let found = rib.explain(prefix, peer)?;
                let senders = found
                    .paths
                    .iter()
                    .map(|p| p.path.peer)
                    .chain(found.paths.iter().filter_map(|p| Some(p.lost.as_ref()?.to)));
                let senders = senders.filter_map(|id| Some((id, rib.peer_info(id)?.clone()))).collect();
                Some((found, senders))
            })
            .await
            .ok_or_else(stopping)?;
        let Some((found, senders)) = found.filter(|(f, _)| !f.paths.is_empty() || peer.is_some()) else {
            return Err(ApiError::not_found(format!("no table has a route for {selector}")));
        };
        let (prefix, wanted) = (found.prefix, found.forwarding.is_some());
        let table = found.kernel.as_ref().map(|kernel| kernel.table).filter(|table| *table != 0);
        let config = &self.config().config.kernel;
        let table = table.unwrap_or(self.kernel_table);
        let look = move |view: &mut View<'_>| kernel(view, table, prefix, wanted);
        let kernel = self.kernel.query(look).await.ok_or_else(stopping)?;
        let words = self.words();
        let mut explanation = Explanation {
            prefix,
            peer: query.peer,
            summary: String::new(),
            paths: found.paths.iter().map(|p| path(&words, p, &senders)).collect(),
            kernel: KernelOutcome {
                reason: not_installed(&words, &found, &kernel),
                policy: found.kernel.as_ref().and_then(|kernel| kernel_policy(&words, kernel)),
                ..kernel
            },
            exports: found.exports.iter().map(|e| export(&words, e)).collect(),
        };
        if explanation.kernel.state != KernelState::NotInstalled {
            (explanation.kernel.table, explanation.kernel.metric) = (Some(table), Some(config.metric));
        }
        explanation.summary = explanation.sentence();
        Ok(explanation)
    }
}

/// The peers and sources of an explanation.
type Senders = HashMap<PeerId, PeerInfo>;

fn path(words: &Words, explained: &siskin_rib::ExplainedPath, senders: &Senders) -> ExplainedPath {
    let path = &explained.path;
    let received = words.attributes(&path.received);
    let accepted = path.accepted.as_ref().map(|a| words.attributes(a));
    let sender = senders.get(&path.peer).filter(|s| s.source == RouteSource::Bgp);
    ExplainedPath {
        path: words.path(path, false),
        peer_address: sender.and_then(|s| s.address),
        peer_asn: sender.map(|s| s.asn),
        peer_router_id: sender.map(|s| Ipv4Addr::from_bits(s.identifier.0)),
        kind: sender.map(|s| if s.external { PeerKind::External } else { PeerKind::Internal }),
        igp_metric: path.igp_metric,
        changes: accepted.as_ref().map(|a| changes(&received, a)).unwrap_or_default(),
        received,
        checks: explained
            .checks
            .iter()
            .map(|c| Check {
                name: c.reason.name().into(),
                passed: c.passed,
                text: if c.passed { "passed".into() } else { objection(path, c.reason) },
            })
            .collect(),
        policy: explained.policy.as_ref().map(|trace| policy_trace(words, trace, path.accepted.is_some())),
        lost: explained.lost.as_ref().map(|l| Lost {
            to: senders.get(&l.to).map(|s| s.name.to_string()).unwrap_or_default(),
            step: decision_step(l.step),
            winner: l.winner.clone(),
            own: l.own.clone(),
        }),
        no_multipath: explained.not_shared.map(|why| not_shared(why).to_owned()),
    }
}

fn policy_trace(words: &Words, (name, steps): &siskin_rib::PolicyTrace, accepted: bool) -> PolicyTrace {
    let decided = steps.iter().rev().find(|s| s.matched);
    PolicyTrace {
        policy: name.clone(),
        accepted,
        rule: decided.map_or_else(String::new, |s| words.rule(s.rule).0),
        steps: steps.iter().map(|s| step(words, s)).collect(),
    }
}

/// What the kernel's policy did.
fn kernel_policy(words: &Words, kernel: &siskin_rib::KernelVerdict) -> Option<PolicyTrace> {
    kernel.policy.as_ref().map(|trace| policy_trace(words, trace, kernel.rejected.is_none()))
}

/// What a check objects to in a path.
fn objection(path: &siskin_rib::PathView, reason: Builtin) -> String {
    let now = clock::unix_ms() / 1000;
    let judge = path.judge.as_ref();
    let reason_given = judge.and_then(|judge| judge.reason(reason.into(), path.prefix, &path.received, now));
    reason_given.unwrap_or_else(|| reason.text().into())
}

pub(super) fn step(words: &Words, step: &siskin_policy::Step) -> PolicyStep {
    let effect = match &step.effect {
        Effect::Skipped | Effect::Unchanged => None,
        effect => Some(effect.to_string()),
    };
    PolicyStep { rule: words.rule(step.rule).0, text: step.text.clone(), matched: step.matched, effect }
}

fn not_shared(why: NotShared) -> &'static str {
    match why {
        NotShared::OtherNeighborAs => {
            "another neighbouring AS than the best path (router.multipath = \"same-as\")"
        }
        NotShared::OtherTable => "it is for another table of the kernel than the best path",
        NotShared::MaxPaths => "kernel.max-paths others share the load already",
        NotShared::NotForwarded => "it, or the best path, is not forwarded to next hops",
    }
}

fn decision_step(step: Step) -> DecisionStep {
    match step {
        Step::Weight => DecisionStep::Weight,
        Step::LocalPref => DecisionStep::LocalPref,
        Step::LocalOrigin => DecisionStep::LocalOrigin,
        Step::AsPathLength => DecisionStep::AsPathLength,
        Step::Origin => DecisionStep::Origin,
        Step::Med => DecisionStep::Med,
        Step::External => DecisionStep::External,
        Step::IgpMetric => DecisionStep::IgpMetric,
        Step::RouterId => DecisionStep::RouterId,
        Step::ClusterListLength => DecisionStep::ClusterListLength,
        Step::PeerAddress => DecisionStep::PeerAddress,
    }
}

/// The attributes that differ, by their names in the API.
pub(super) fn changes(from: &Attributes, to: &Attributes) -> Vec<AttributeChange> {
    let object = |a: &Attributes| match serde_json::to_value(a) {
        Ok(serde_json::Value::Object(map)) => map,
        _ => serde_json::Map::new(),
    };
    let text = |value: Option<&serde_json::Value>| match value {
        None | Some(serde_json::Value::Null) => None,
        Some(serde_json::Value::String(s)) => Some(s.clone()),
        Some(serde_json::Value::Array(items)) => {
            let words = items.iter().map(|i| i.as_str().map_or_else(|| i.to_string(), str::to_owned));
            Some(words.collect::<Vec<_>>().join(" "))
        }
        Some(other) => Some(other.to_string()),
    };
    let (from, to) = (object(from), object(to));
    to.iter()
        .filter(|(name, value)| from.get(*name) != Some(value))
        .map(|(name, value)| AttributeChange {
            attribute: name.clone(),
            from: text(from.get(name)),
            to: text(Some(value)),
        })
        .collect()
}

fn export(words: &Words, outcome: &siskin_rib::ExportOutcome) -> ExportOutcome {
    let (rule, text) = match outcome.rule {
        Some(rule) => words.rule(rule),
        None => ("no-best-path".to_owned(), "there is no usable path".to_owned()),
    };
    ExportOutcome {
        peer: outcome.name.to_string(),
        sent: outcome.attributes.is_some(),
        pending: outcome.pending,
        rule,
        text,
        attributes: outcome.attributes.as_ref().map(|a| words.attributes(a)),
    }
}

/// What the kernel has for a prefix.
fn kernel(view: &mut View<'_>, table: u32, prefix: Prefix, wanted: bool) -> KernelOutcome {
    let names = Names::new(view.state);
    let route = view
        .fib
        .as_deref()
        .and_then(|fib| fib.get_in(table, prefix))
        .filter(|r| wanted || r.state != RouteState::Pending);
    let Some(route) = route else {
        return KernelOutcome {
            state: if wanted && view.fib.is_some() {
                KernelState::Pending
            } else {
                KernelState::NotInstalled
            },
            table: None,
            metric: None,
            kind: None,
            hops: Vec::new(),
            nexthop_id: None,
            error: None,
            policy: None,
            reason: view.fib.is_none().then(|| "kernel.install is false".to_owned()),
        };
    };
    let (kind, hops) = names.target(route.group.as_deref());
    let (now, error) = state(&route.state);
    KernelOutcome {
        state: match now {
            siskin_api::FibState::Installed => KernelState::Installed,
            siskin_api::FibState::Pending => KernelState::Pending,
            siskin_api::FibState::Failed => KernelState::Failed,
        },
        table: None,
        metric: None,
        kind: Some(kind),
        hops,
        nexthop_id: super::fib::nexthop_id(view, &route),
        error: error.map(|e| e.text),
        policy: None,
        reason: None,
    }
}

/// Why there is no route of ours in the kernel.
fn not_installed(words: &Words, found: &siskin_rib::Explanation, kernel: &KernelOutcome) -> Option<String> {
    if kernel.state != KernelState::NotInstalled {
        return None;
    }
    let best = found.paths.iter().find(|p| p.path.best);
    if let Some(rule) = found.kernel.as_ref().and_then(|kernel| kernel.rejected)
        && kernel.reason.is_none()
    {
        let (name, text) = words.rule(rule);
        return Some(format!("kept out by kernel.policy: {name} ({text})"));
    }
    kernel.reason.clone().or_else(|| match best {
        None => Some("no path can be used".to_owned()),
        Some(best) if best.path.source != RouteSource::Bgp => {
            Some(format!("the {} route needs no kernel route of ours", best.path.source.name()))
        }
        Some(_) => None,
    })
}
