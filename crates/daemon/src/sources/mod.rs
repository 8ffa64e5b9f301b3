//! Where facts about routes come from: RTR caches, routing registries, PeeringDB. What they say becomes one value that the
//! RIB and every peer's task hold ([`Facts`]), or goes into the profile of the one peer it is about.

pub(crate) mod registry;
pub(crate) mod rpki;

use std::sync::Arc;

use arc_swap::ArcSwap;
use siskin_rib::{Facts, Touched};

use crate::core::RibCommand;
use crate::daemon::Daemon;
use crate::peer::{Control, lock};

/// The sources, and what they have said.
#[derive(Default)]
pub(crate) struct Sources {
    /// What holds for all peers.
    pub(crate) facts: Arc<ArcSwap<Facts>>,
    /// Facts are changed by one at a time.
    changing: tokio::sync::Mutex<()>,
    pub(crate) rpki: rpki::Rpki,
    pub(crate) registry: registry::Registry,
}

impl Daemon {
    /// Puts other facts in force; what that can touch is judged again.
    async fn change_facts(&self, touched: Touched, change: impl FnOnce(&mut Facts)) {
        let _one_at_a_time = self.sources.changing.lock().await;
        let mut facts = (**self.sources.facts.load()).clone();
        facts.generation = facts.generation.wrapping_add(1);
        change(&mut facts);
        let facts = Arc::new(facts);
        self.sources.facts.store(facts.clone());
        // A task that misses it judges by the old facts, and the RIB judges that again.
        for (_, entry) in lock(&self.peers).iter() {
            entry.tell(Control::Facts(facts.clone()));
        }
        self.rib.send(RibCommand::Facts { facts, touched }).await;
    }

    /// Ends what runs for the sources, and saves what is to outlive the process.
    pub(crate) async fn stop_sources(&self) {
        let (rpki, registry) = (self.sources.rpki.take_client(), self.sources.registry.take_client());
        if let Some(client) = rpki {
            client.stop().await;
        }
        if let Some(client) = registry {
            client.stop().await;
        }
    }
}
