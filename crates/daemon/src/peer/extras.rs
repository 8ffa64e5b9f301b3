//! What is known of a peer beside its configuration: the registries' lists, its PeeringDB record, whether it is drained.

use std::sync::Arc;
use std::time::Duration;

use siskin_config::{LimitAction, MaxPrefix, MaxPrefixSource};
use siskin_irr::{NetRecord, PeerLists, limit_with_headroom};
use siskin_net::{Family, FamilyMap, Timestamp};
use siskin_rib::{Drain, IrrList, PrefixLimits};

/// Before a drained peer is told nothing more, it is told for so long to look for other ways (RFC 8326 section 4.1).
const NOTICE: Duration = Duration::from_secs(60);

/// What is known of a peer beside its configuration.
#[derive(Clone, Default)]
pub(crate) struct Extras {
    /// What the registries said, as it came.
    pub(crate) lists: Option<Arc<PeerLists>>,
    /// The list made of it, with what the configuration adds.
    pub(crate) irr: Option<Arc<IrrList>>,
    /// Its PeeringDB record.
    pub(crate) record: Option<NetRecord>,
    /// Drained by hand, since then.
    pub(crate) drained: Option<Timestamp>,
    /// How it is drained now, by whatever reason.
    pub(crate) drain: Drain,
}

impl Extras {
    /// How the peer is to be drained at `now`: by hand, or by the configuration, which gives no notice at a start.
    pub(crate) fn drain_at(&self, now: Timestamp, configured: bool) -> Drain {
        match self.drained {
            Some(since) if now.since(since) < NOTICE => Drain::Graceful,
            Some(_) => Drain::Silent,
            None if configured => Drain::Silent,
            None => Drain::No,
        }
    }

    /// The limits of what the peer gives, or is given.
    pub(crate) fn limits(&self, config: Option<&MaxPrefix>) -> FamilyMap<PrefixLimits> {
        let Some(config) = config else { return FamilyMap::default() };
        FamilyMap::from_fn(|family| PrefixLimits {
            received: self.received_limit(config, family),
            accepted: self.accepted_limit(config, family),
            warn_at: config.warn_at,
            action: match config.action {
                LimitAction::Warn => siskin_rib::LimitAction::Warn,
                LimitAction::Block => siskin_rib::LimitAction::Block,
                LimitAction::Restart { .. } | LimitAction::Shutdown => siskin_rib::LimitAction::End,
            },
        })
    }

    /// PeeringDB speaks of what a network announces, so its number limits what is received, too. Numbers of the
    /// configuration win.
    fn received_limit(&self, config: &MaxPrefix, family: Family) -> Option<u32> {
        match &config.source {
            MaxPrefixSource::Limits(limits) => limits.received[family],
            MaxPrefixSource::PeeringDb(limits) => {
                limits.received[family].or_else(|| self.recorded_limit(family))
            }
        }
    }

    fn accepted_limit(&self, config: &MaxPrefix, family: Family) -> Option<u32> {
        match &config.source {
            MaxPrefixSource::Limits(limits) => limits.accepted[family],
            MaxPrefixSource::PeeringDb(limits) => {
                limits.accepted[family].or_else(|| self.recorded_limit(family))
            }
        }
    }

    fn recorded_limit(&self, family: Family) -> Option<u32> {
        self.record.as_ref()?.prefixes[family].map(limit_with_headroom)
    }
}
