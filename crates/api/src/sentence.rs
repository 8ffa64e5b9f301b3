//! The whole of an explanation in one plain sentence.

use siskin_net::RouteSource;

use crate::{DecisionStep, ExplainedPath, Explanation, Hop, KernelState, Lost, RouteKind};

impl Explanation {
    /// Says in one sentence what becomes of the prefix (or, if a peer was asked about, of its path) and why. The daemon
    /// puts it into `summary`.
    #[must_use]
    pub fn sentence(&self) -> String {
        if let Some(peer) = &self.peer {
            let own: Vec<&ExplainedPath> = self.paths.iter().filter(|p| &p.path.peer == peer).collect();
            return match own.as_slice() {
                [] => self.about_export_to(peer),
                [path, ..] => format!("{}.", self.about_path(path)),
            };
        }
        let Some(best) = self.paths.iter().find(|p| p.path.best) else {
            return format!("{}.", self.unused());
        };
        let mut text = format!("{}; {}", self.about_path(best), self.about_kernel());
        if !self.exports.is_empty() {
            let sent = self.exports.iter().filter(|e| e.sent).count();
            text += &match (sent, self.exports.as_slice()) {
                (0, _) => "; sent to no peer".to_owned(),
                (1, [only]) => format!("; sent to {}", only.peer),
                (n, all) if n == all.len() => format!("; sent to all {n} peers"),
                (n, all) => format!("; sent to {n} of {} peers", all.len()),
            };
        }
        text + "."
    }

    fn about_export_to(&self, peer: &str) -> String {
        match self.exports.iter().find(|e| e.peer == peer) {
            Some(export) if export.sent => {
                format!("{} did not come from {peer}; it was sent to it: {}.", self.prefix, export.text)
            }
            Some(export) => {
                format!("{} did not come from {peer} and was not sent to it: {}.", self.prefix, export.text)
            }
            None => format!("{} did not come from {peer} and is not for it.", self.prefix),
        }
    }

    fn about_path(&self, path: &ExplainedPath) -> String {
        let (prefix, peer) = (self.prefix, &path.path.peer);
        if let Some(rejected) = &path.path.rejected {
            return format!("{prefix} from {peer} is filtered by {}: {}", rejected.rule, rejected.text);
        }
        if !path.path.next_hop_reachable {
            let hop = path.path.attributes.next_hop.map_or_else(String::new, |a| format!(" {a}"));
            return format!("{prefix} from {peer} is not used: its next hop{hop} cannot be reached");
        }
        if path.path.best {
            return self.about_best(path);
        }
        let share =
            if path.path.multipath { "shares the load, and is only not the first" } else { "is not used" };
        match &path.lost {
            Some(lost) => format!("{prefix} from {peer} {share}: {}", lost_text(lost)),
            None => format!("{prefix} from {peer} {share}"),
        }
    }

    fn about_best(&self, best: &ExplainedPath) -> String {
        let (prefix, peer) = (self.prefix, &best.path.peer);
        let shares = self.paths.iter().filter(|p| p.path.multipath).count();
        let rivals = self.paths.iter().filter(|p| p.path.rejected.is_none() && p.path.next_hop_reachable);
        let rivals: Vec<&ExplainedPath> = rivals.filter(|p| !p.path.best && !p.path.multipath).collect();
        let who = match shares {
            0 | 1 => format!("{prefix} {}", origin(best)),
            2 => {
                let other = self.paths.iter().find(|p| p.path.multipath && !p.path.best);
                let other = other.map_or("another", |p| p.path.peer.as_str());
                format!("{prefix} is shared by {peer} and {other}")
            }
            n => format!("{prefix} is shared by {peer} and {} more", n - 1),
        };
        // The nearest rival is the one that held out longest.
        let nearest = rivals.iter().filter_map(|p| Some((p, p.lost.as_ref()?))).max_by_key(|(_, l)| l.step);
        match nearest {
            Some((rival, lost)) => format!("{who}: {}", won(lost, &rival.path.peer)),
            None if rivals.is_empty() && shares <= 1 && best.path.source == RouteSource::Bgp => {
                format!("{who}, the only usable path")
            }
            None => who,
        }
    }

    fn about_kernel(&self) -> String {
        let kernel = &self.kernel;
        let way = match kernel.kind {
            Some(RouteKind::Blackhole) => " as a blackhole".to_owned(),
            Some(RouteKind::Unreachable) => " as unreachable".to_owned(),
            Some(RouteKind::Prohibit) => " as prohibited".to_owned(),
            Some(RouteKind::Unicast) | None => match kernel.hops.as_slice() {
                [] => String::new(),
                hops => {
                    format!(" via {}", hops.iter().map(Hop::to_string).collect::<Vec<_>>().join(" and "))
                }
            },
        };
        match kernel.state {
            KernelState::Installed => format!("the kernel has it{way}"),
            KernelState::Pending => format!("it waits to be written to the kernel{way}"),
            KernelState::Failed => {
                format!("the kernel refused it: {}", kernel.error.as_deref().unwrap_or("no reason given"))
            }
            KernelState::NotInstalled => match &kernel.reason {
                Some(reason) => format!("not in the kernel: {reason}"),
                None => "not in the kernel".to_owned(),
            },
        }
    }

    fn unused(&self) -> String {
        let prefix = self.prefix;
        match self.paths.as_slice() {
            [] => format!("{prefix} has no path"),
            [only] => self.about_path(only),
            paths => {
                let rejected = paths.iter().filter(|p| p.path.rejected.is_some()).count();
                let unreachable = paths.len() - rejected;
                match (rejected, unreachable) {
                    (n, 0) => format!("{prefix} is not used: import rejected all {n} paths"),
                    (0, n) => {
                        format!("{prefix} is not used: the next hops of all {n} paths cannot be reached")
                    }
                    (r, u) => format!(
                        "{prefix} is not used: import rejected {r} of {} paths, the next hops of {u} cannot be reached",
                        paths.len()
                    ),
                }
            }
        }
    }
}

/// How a best path came to be, in words.
fn origin(best: &ExplainedPath) -> String {
    let name = &best.path.peer;
    match best.path.source {
        RouteSource::Bgp => format!("goes to {name}"),
        RouteSource::HostRoute => format!("is a host route of {name}"),
        RouteSource::Originate => "is originated here".to_owned(),
        source @ (RouteSource::Connected | RouteSource::Static | RouteSource::Kernel) => {
            format!("is a {} route of this machine", source.name())
        }
    }
}

/// What is compared in a step, and which of two wins; `None`: the step does not compare a measure.
fn measure(step: DecisionStep) -> Option<(&'static str, &'static str)> {
    match step {
        DecisionStep::Weight => Some(("weight", "higher")),
        DecisionStep::LocalPref => Some(("local preference", "higher")),
        DecisionStep::AsPathLength => Some(("AS path", "shorter")),
        DecisionStep::Origin => Some(("origin", "better")),
        DecisionStep::Med => Some(("MED", "lower")),
        DecisionStep::IgpMetric => Some(("next hop", "nearer")),
        DecisionStep::RouterId => Some(("router id", "lower")),
        DecisionStep::ClusterListLength => Some(("cluster list", "shorter")),
        DecisionStep::PeerAddress => Some(("peer address", "lower")),
        DecisionStep::LocalOrigin | DecisionStep::External => None,
    }
}

/// The comparison from the winner's side.
fn won(lost: &Lost, rival: &str) -> String {
    match (measure(lost.step), lost.step) {
        (Some((what, word)), _) => {
            format!("the {what} is {word} than {rival}'s ({} against {})", lost.winner, lost.own)
        }
        (None, DecisionStep::External) => format!("an external peer comes before {rival}, an internal one"),
        (None, _) => format!("a route of our own comes before {rival}'s"),
    }
}

/// The comparison from the loser's side.
fn lost_text(lost: &Lost) -> String {
    match (measure(lost.step), lost.step) {
        (Some((what, word)), _) => {
            format!("{}'s {what} is {word} ({} against {})", lost.to, lost.winner, lost.own)
        }
        (None, DecisionStep::External) => format!("{} is an external peer, this one is internal", lost.to),
        (None, _) => format!("{} is a route of our own", lost.to),
    }
}

impl std::fmt::Display for Hop {
    /// `192.0.2.1 dev eth0`, as `ip route` writes it; `dev eth0` alone if on the link.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(gateway) = self.gateway {
            write!(f, "{gateway} ")?;
        }
        write!(f, "dev {}", self.interface)
    }
}
