//! Taking a peer, or the whole router, out of service without loss (RFC 8326): first what is sent says GRACEFUL_SHUTDOWN and
//! what came from the peer is the last resort, then nothing is sent any more.

use siskin_api::EventBody;
use siskin_config::Peer;
use siskin_rib::Drain;

use crate::clock;
use crate::daemon::Daemon;
use crate::peer::{Extras, lock};

impl Daemon {
    /// How a peer is to be drained now.
    pub(crate) fn drain_of(&self, extras: &Extras, config: &Peer) -> Drain {
        let now = clock::now();
        let configured = config.routes.drain || self.config().config.router.drain;
        let router = Extras { drained: *lock(&self.drained), ..Extras::default() };
        // The further along of the two counts: silence before notice.
        match (extras.drain_at(now, configured), router.drain_at(now, false)) {
            (Drain::Silent, _) | (_, Drain::Silent) => Drain::Silent,
            (Drain::Graceful, _) | (_, Drain::Graceful) => Drain::Graceful,
            (Drain::No, Drain::No) => Drain::No,
        }
    }

    /// Drains a peer by hand, or ends that; false if the configuration drains it all the same.
    pub(crate) fn drain_peer(&self, name: &str, drained: bool) -> bool {
        if let Some(entry) = lock(&self.peers).get_mut(name) {
            let since = entry.extras.drained.unwrap_or_else(clock::now);
            entry.extras.drained = drained.then_some(since);
        }
        self.advance_drains();
        self.event(EventBody::Drain { peer: Some(name.to_owned()), drained });
        lock(&self.peers).get(name).is_some_and(|entry| (entry.extras.drain != Drain::No) == drained)
    }

    /// Drains every peer by hand, or ends that.
    pub(crate) fn drain_router(&self, drained: bool) {
        {
            let mut since = lock(&self.drained);
            *since = drained.then(|| since.unwrap_or_else(clock::now));
        }
        self.advance_drains();
        self.event(EventBody::Drain { peer: None, drained });
    }

    /// Gives every peer whose drain began, goes on or ended the profile that belongs to it.
    pub(crate) fn advance_drains(&self) {
        let mut changed = Vec::new();
        {
            let mut peers = lock(&self.peers);
            for (name, entry) in peers.iter_mut() {
                let drain = self.drain_of(&entry.extras, &entry.config);
                if entry.extras.drain != drain {
                    entry.extras.drain = drain;
                    changed.push((name.clone(), drain));
                }
            }
        }
        for (name, drain) in changed {
            match drain {
                Drain::Graceful => {
                    tracing::info!(peer = %name, "drained: GRACEFUL_SHUTDOWN is sent, then nothing")
                }
                Drain::Silent => tracing::info!(peer = %name, "drained: nothing is sent"),
                Drain::No => tracing::info!(peer = %name, "no longer drained"),
            }
            self.refresh_profile(&name);
        }
    }
}
