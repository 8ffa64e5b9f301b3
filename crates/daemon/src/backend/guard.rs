//! `GET /v1/guard` and what changes it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use siskin_api::{ApiError, Done, FilterState, FilterView, GuardDrops, GuardPort, GuardRefusals, GuardView};
use siskin_neighbor::guard::{PortCount, Reason};
use siskin_neighbor::{PortStatus, Refusal};

use super::stopping;
use crate::daemon::Daemon;
use crate::guard::FilterStatus;
use crate::http::Answer;

/// How long a scrape waits for the filter's counts.
const PATIENCE: Duration = Duration::from_secs(2);

impl Daemon {
    /// Each port with what it was refused and what of it was dropped.
    pub(super) async fn guard_view(&self) -> Answer<GuardView> {
        let status = self.guard.status(true).await.ok_or_else(stopping)?;
        let ports = self.hosts.query(|hosts| hosts.ports()).await.unwrap_or_default();
        let filtered: BTreeSet<&Arc<str>> = status.ports.iter().collect();
        let mut dropped: BTreeMap<&str, Vec<&PortCount>> = BTreeMap::new();
        for count in &status.counts.ports {
            dropped.entry(&count.port).or_default().push(count);
        }
        let mut ports: Vec<GuardPort> = ports
            .iter()
            .map(|port| {
                let dropped = dropped.get(&*port.name).map(Vec::as_slice).unwrap_or_default();
                guard_port(port, filtered.contains(&port.name), dropped)
            })
            .collect();
        ports.sort_by(|a, b| (&a.interface, &a.port).cmp(&(&b.interface, &b.port)));
        let total = |reason| {
            let (packets, bytes) = status.dropped(reason);
            GuardDrops { reason: reason.name().into(), packets, bytes }
        };
        let dropped = Reason::ALL.into_iter().map(total).collect();
        let wanted = self.config().config.host_routes.values().any(|domain| domain.filter);
        Ok(GuardView { filter: filter_view(&status, wanted), dropped, ports })
    }

    /// What metrics show of the filter; nothing while a program that hangs keeps its thread.
    pub(super) async fn filter_counts(&self) -> FilterStatus {
        let counts = tokio::time::timeout(PATIENCE, self.guard.status(false)).await;
        counts.ok().flatten().unwrap_or_default()
    }

    /// Takes the filter out of the kernel.
    pub(super) async fn remove_guard(&self) -> Answer<Done> {
        let tables = self.guard.remove().await.ok_or_else(stopping)?.map_err(ApiError::internal)?;
        let text = match tables {
            0 => "there is no filter in the kernel",
            _ => {
                "the filter is out of the kernel, and VM ports send what they like, until the configuration is \
                 applied again or the daemon starts"
            }
        };
        tracing::warn!("{text}");
        Ok(Done { text: text.into() })
    }
}

fn filter_view(status: &FilterStatus, wanted: bool) -> FilterView {
    let state = if status.suspended {
        FilterState::Removed
    } else if status.error.is_some() && wanted {
        FilterState::Failed
    } else if status.installed {
        FilterState::Installed
    } else {
        FilterState::Off
    };
    FilterView {
        state,
        error: status.error.clone(),
        mended: status.mended,
        transactions: status.transactions,
    }
}

fn guard_port(port: &PortStatus, filtered: bool, dropped: &[&PortCount]) -> GuardPort {
    let refused = Refusal::ALL
        .into_iter()
        .map(|reason| GuardRefusals { reason: reason.name().into(), frames: port.counters.refused(reason) });
    let dropped = dropped.iter().map(|count| GuardDrops {
        reason: count.reason.name().into(),
        packets: count.packets,
        bytes: count.bytes,
    });
    GuardPort {
        port: port.name.to_string(),
        interface: port.interface.to_string(),
        up: port.up,
        filtered,
        addresses: port.addresses.clone(),
        frames: port.counters.frames,
        throttled: port.counters.throttled,
        router_advertisements: port.counters.router_advertisements,
        refused: refused.filter(|refusals| refusals.frames > 0).collect(),
        dropped: dropped.filter(|drops| drops.packets > 0).collect(),
    }
}
