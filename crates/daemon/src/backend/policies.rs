//! Policies for the API: what a peer's import and export do as text, what becomes of a made-up route, and of the routes of
//! a file. The routes are judged by the code that judges those of sessions.

mod checks;
mod mrt;
mod route;

use std::sync::Arc;

use siskin_api::{
    ApiError, Check, PolicyDirection, PolicyMrtReport, PolicyMrtRequest, PolicyOutcome, PolicyRule,
    PolicySide, PolicyTestRequest, PolicyTestResult, PolicyTrace, PolicyView,
};
use siskin_bgp::PathAttributes;
use siskin_config::{Config, Peer};
use siskin_net::Prefix;
use siskin_policy::{Compiled, RuleId, Step};
use siskin_rib::{ExportProfile, ImportProfile, PeerInfo};

use super::explain::{changes, step};
use super::routes::Words;
use super::stopping;
use crate::clock;
use crate::daemon::Daemon;
use crate::http::Answer;
use crate::peer::{Profiles, lock};

/// Called policies are shown to this depth; deeper ones do not compile.
const MAX_SHOWN: usize = 1_000;

/// What judges the routes of a peer.
struct Judges {
    config: Arc<Peer>,
    import: Arc<ImportProfile>,
    /// `None` while there is no session.
    export: Option<ExportProfile>,
}

impl Daemon {
    /// What judges the routes of a peer now, or would if its session were up.
    async fn judges(&self, name: &str) -> Answer<Judges> {
        let router = self.router(&self.config());
        let (id, config, profiles) = {
            let peers = lock(&self.peers);
            let entry = peers
                .get(name)
                .ok_or_else(|| ApiError::not_found(format!("there is no peer named {name}")))?;
            let profiles = Profiles::new(router, entry.config.clone(), entry.extras.clone());
            (entry.id, entry.config.clone(), profiles)
        };
        let info = self.rib.query(move |rib| rib.live_peer(id).cloned()).await.ok_or_else(stopping)?;
        if let Some(PeerInfo { import, export, .. }) = info {
            return Ok(Judges { config, import, export });
        }
        let import = profiles.import_without_session().ok_or_else(|| {
            ApiError::refused(format!("{name} has no session, and without one its AS number is not known"))
        })?;
        Ok(Judges { config, import: Arc::new(import), export: None })
    }

    /// What a peer's import and export do.
    pub(super) async fn policy_view(&self, name: &str) -> Answer<PolicyView> {
        let judges = self.judges(name).await?;
        let running = self.config();
        let routes = &judges.config.routes;
        Ok(PolicyView {
            peer: name.to_owned(),
            role: judges.config.session.role,
            import: PolicySide {
                checks: checks::import(&judges.config, &judges.import),
                policy: routes.import.policy().map(|p| p.name().to_owned()),
                rules: rules(&running.config, routes.import.policy()),
            },
            export: PolicySide {
                checks: checks::export(&judges.config),
                policy: routes.export.policy().map(|p| p.name().to_owned()),
                rules: rules(&running.config, routes.export.policy()),
            },
        })
    }

    /// What becomes of a made-up route.
    pub(super) async fn policy_test(
        &self,
        name: &str,
        request: PolicyTestRequest,
    ) -> Answer<PolicyTestResult> {
        let judges = self.judges(name).await?;
        let given = route::attributes(&request, &judges.import)?;
        let words = self.words();
        match request.direction {
            PolicyDirection::Import => Ok(test_import(&words, name, &judges.import, request.prefix, &given)),
            PolicyDirection::Export => {
                let export = judges.export.ok_or_else(|| {
                    ApiError::refused(format!("{name} has no session, and what it is sent depends on that"))
                })?;
                let source = self.source_of(request.from.as_deref()).await?;
                Ok(test_export(&words, name, &export, &source, request.prefix, &given))
            }
        }
    }

    /// Who a made-up route comes from: a peer with a session, or ourselves.
    async fn source_of(&self, from: Option<&str>) -> Answer<PeerInfo> {
        let Some(name) = from else {
            let router = self.router(&self.config());
            let import =
                crate::peer::local_import(&router, "originate", siskin_net::RouteSource::Originate, None);
            return Ok(PeerInfo::local(import, router.identifier, siskin_rib::FibAction::None));
        };
        let id = self.peer_id(name).await?;
        let info = self.rib.query(move |rib| rib.live_peer(id).cloned()).await.ok_or_else(stopping)?;
        info.ok_or_else(|| ApiError::refused(format!("{name} has no session")))
    }

    /// What becomes of the routes of a file.
    pub(super) async fn policy_test_mrt(
        &self,
        name: &str,
        request: PolicyMrtRequest,
    ) -> Answer<PolicyMrtReport> {
        let judges = self.judges(name).await?;
        let counted = mrt::count(judges.import.clone(), request.file.clone().into()).await?;
        let words = self.words();
        Ok(counted.report(name, request.file, &words))
    }
}

fn test_import(
    words: &Words,
    name: &str,
    import: &ImportProfile,
    prefix: Prefix,
    given: &PathAttributes,
) -> PolicyTestResult {
    let (after, rule) = import.import(prefix, given);
    let checks = import.run_checks(prefix, given);
    let passed = checks.iter().all(|check| check.passed);
    let (rule_name, text) = words.rule(rule);
    let reason = import.reason(rule, prefix, given, clock::unix_ms() / 1000);
    let checks = checks
        .iter()
        .map(|check| Check {
            name: check.reason.name().into(),
            passed: check.passed,
            text: match check.passed {
                true => "passed".into(),
                false => reason.clone().unwrap_or_else(|| check.reason.text().into()),
            },
        })
        .collect();
    let before = words.attributes(given);
    let attributes = after.as_ref().map(|after| words.attributes(after));
    PolicyTestResult {
        peer: name.to_owned(),
        direction: PolicyDirection::Import,
        prefix,
        outcome: outcome(after.is_some()),
        rule: rule_name,
        text: reason.unwrap_or(text),
        checks,
        policy: passed
            .then(|| import.trace(prefix, given))
            .flatten()
            .map(|t| trace(words, t, after.is_some())),
        changes: attributes.as_ref().map(|after| changes(&before, after)).unwrap_or_default(),
        attributes: attributes.unwrap_or(before),
    }
}

fn test_export(
    words: &Words,
    name: &str,
    export: &ExportProfile,
    source: &PeerInfo,
    prefix: Prefix,
    given: &PathAttributes,
) -> PolicyTestResult {
    let (after, rule, steps) = export.test(prefix, given, Some(source));
    let (rule, text) = words.rule(rule);
    let before = words.attributes(given);
    let attributes = after.as_ref().map(|after| words.attributes(after));
    PolicyTestResult {
        peer: name.to_owned(),
        direction: PolicyDirection::Export,
        prefix,
        outcome: outcome(after.is_some()),
        rule,
        text,
        checks: Vec::new(),
        policy: steps.map(|steps| trace(words, steps, after.is_some())),
        changes: attributes.as_ref().map(|after| changes(&before, after)).unwrap_or_default(),
        attributes: attributes.unwrap_or(before),
    }
}

fn outcome(accepted: bool) -> PolicyOutcome {
    if accepted { PolicyOutcome::Accepted } else { PolicyOutcome::Rejected }
}

fn trace(words: &Words, (policy, steps): (String, Vec<Step>), accepted: bool) -> PolicyTrace {
    let decided = steps.iter().rev().find(|step| step.matched);
    PolicyTrace {
        policy,
        accepted,
        rule: decided.map_or_else(String::new, |decided| words.rule(decided.rule).0),
        steps: steps.iter().map(|s| step(words, s)).collect(),
    }
}

/// The rules of a policy, and behind them those of the policies that it calls.
fn rules(config: &Config, policy: Option<&Arc<Compiled>>) -> Vec<PolicyRule> {
    let mut names: Vec<String> = policy.into_iter().map(|policy| policy.name().to_owned()).collect();
    let mut shown = Vec::new();
    let mut at = 0;
    while let Some(policy) = names.get(at).and_then(|name| config.policies.get(name)) {
        at += 1;
        for (id, text) in policy.rules() {
            if let Some(called) = called(text).filter(|called| !names.iter().any(|name| name == called)) {
                names.push(called.to_owned());
            }
            shown.push(rule(config, id, text));
        }
        if shown.len() > MAX_SHOWN {
            break;
        }
    }
    shown
}

/// The policy that a rule in normal form calls.
fn called(text: &str) -> Option<&str> {
    let name = text.strip_prefix("call ")?;
    Some(name.split(" if ").next().unwrap_or(name).trim_matches('"'))
}

fn rule(config: &Config, id: RuleId, text: &str) -> PolicyRule {
    let info = config.policies.rule(id);
    let (policy, index) = info.as_ref().map_or(("", 0), |info| (info.policy, info.index));
    let dead = config.policies.warnings().iter().find(|w| w.policy == policy && w.rule == index);
    PolicyRule {
        rule: format!("{policy} rule {}", index + 1),
        text: text.to_owned(),
        location: info.map(|info| info.location.to_owned()).filter(|location| location != "built-in"),
        dead: dead.map(|warning| warning.message.clone()),
    }
}
