//! Routing registries and PeeringDB: what they say of a peer goes into that peer's profile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;

use siskin_api::{EventBody, IrrSetState};
use siskin_config::{Config, IrrFilter, IrrSource, MaxPrefixSource, Peer};
use siskin_irr::{Client, Names, NetRecord, PeerLists, PeerRequest, SetName, SetRequest, Update};
use siskin_net::{Asn, Family, FamilyMap, Prefix};
use siskin_policy::{AsnSet, PrefixPattern};
use siskin_rib::{IrrList, Touched};
use tokio::sync::mpsc;

use crate::daemon::Daemon;
use crate::peer::lock;

/// Updates that may wait for us.
const UPDATES: usize = 16;

/// The registries' client.
#[derive(Default)]
pub(crate) struct Registry {
    client: Mutex<Option<Client>>,
}

impl Registry {
    /// Asks the client something; `None`: nothing of this configuration needs it.
    pub(crate) fn ask<T>(&self, question: impl FnOnce(&Client) -> T) -> Option<T> {
        lock(&self.client).as_ref().map(question)
    }

    pub(super) fn take_client(&self) -> Option<Client> {
        lock(&self.client).take()
    }
}

impl Daemon {
    /// Asks registries and PeeringDB for what the configuration needs.
    pub(crate) fn apply_registry(self: &Arc<Self>, config: &Config) {
        let requests: BTreeMap<String, PeerRequest> =
            config.peers.values().filter_map(|peer| Some((peer.name.clone(), request(peer)?))).collect();
        let never = config.peers.values().any(|peer| peer.routes.checks.never_via_route_server);
        let mut client = lock(&self.sources.registry.client);
        if client.is_none() && requests.is_empty() && !never {
            return;
        }
        let client = client.get_or_insert_with(|| {
            let (sender, updates) = mpsc::channel(UPDATES);
            tokio::spawn(self.clone().take_registry(updates));
            siskin_irr::start(client_config(config), sender)
        });
        client.reconfigure(client_config(config));
        client.set_requests(requests, never);
    }

    async fn take_registry(self: Arc<Self>, mut updates: mpsc::Receiver<Update>) {
        while let Some(update) = updates.recv().await {
            match update {
                Update::Lists { peer, lists } => self.take_lists(&peer, lists).await,
                Update::Record { peer, record } => self.take_record(&peer, record),
                Update::NeverViaRouteServers(asns) => {
                    let set: AsnSet = asns.iter().copied().collect();
                    self.change_facts(Touched::Everything, |facts| {
                        facts.never_via_route_servers = Some(Arc::new(set));
                    })
                    .await;
                }
            }
        }
    }

    async fn take_lists(self: &Arc<Self>, name: &str, lists: Arc<PeerLists>) {
        let entries = lists.prefixes.iter().map(|(family, list)| {
            format!("{family} {}", list.as_ref().map_or_else(|| "none".to_owned(), |l| l.len().to_string()))
        });
        let text = format!("{}: {}", lists.label, entries.collect::<Vec<_>>().join(", "));
        tracing::info!(peer = name, "IRR lists: {text}");
        let missing = lists.prefixes.iter().any(|(_, list)| list.is_none());
        let state = if missing { IrrSetState::Missing } else { IrrSetState::Fresh };
        self.event(EventBody::Irr { peer: name.to_owned(), state, text });
        let Some(config) = lock(&self.peers).get(name).map(|entry| entry.config.clone()) else { return };
        let built = self.build_list(&config, Some(lists.clone())).await;
        if let Some(entry) = lock(&self.peers).get_mut(name) {
            entry.extras.lists = Some(lists);
            entry.extras.irr = built;
        }
        self.refresh_profile(name);
    }

    fn take_record(self: &Arc<Self>, name: &str, record: NetRecord) {
        if let Some(entry) = lock(&self.peers).get_mut(name) {
            if entry.extras.record.as_ref().map(|r| r.prefixes) == Some(record.prefixes) {
                entry.extras.record = Some(record);
                return;
            }
            entry.extras.record = Some(record);
        }
        self.refresh_profile(name);
    }

    /// The list that import looks into, made aside: an as-set may have millions of prefixes.
    pub(crate) async fn build_list(
        &self,
        peer: &Peer,
        lists: Option<Arc<PeerLists>>,
    ) -> Option<Arc<IrrList>> {
        let filter = peer.routes.irr.clone()?;
        let built = tokio::task::spawn_blocking(move || Arc::new(build(&filter, lists.as_deref())));
        built.await.ok()
    }
}

/// What the peer's filter makes of the registries' lists.
fn build(filter: &IrrFilter, lists: Option<&PeerLists>) -> IrrList {
    let pattern = |prefix: Prefix| {
        let longest = filter.max_length[prefix.family()].unwrap_or(0).max(prefix.len());
        PrefixPattern::with_lengths(prefix, prefix.len(), longest)
            .unwrap_or_else(|| PrefixPattern::exact(prefix))
    };
    let listed = lists.into_iter().flat_map(|lists| {
        Family::ALL.into_iter().flat_map(|family| lists.prefixes[family].iter().flat_map(|list| list.iter()))
    });
    IrrList {
        prefixes: listed.chain(&filter.extra).map(|prefix| pattern(*prefix)).collect(),
        entries: FamilyMap::from_fn(|family| Some(lists?.prefixes[family].as_ref()?.len())),
        members: lists.and_then(|l| l.members.as_ref()).map(|members| members.iter().copied().collect()),
        fetched: lists
            .and_then(|l| l.fetched.duration_since(UNIX_EPOCH).ok())
            .map_or(0, |since| since.as_secs()),
    }
}

/// What a peer's filter and limits need to know.
fn request(peer: &Peer) -> Option<PeerRequest> {
    let from_peeringdb = |limit: &Option<siskin_config::MaxPrefix>| {
        limit.as_ref().is_some_and(|limit| matches!(limit.source, MaxPrefixSource::PeeringDb(_)))
    };
    let peeringdb = from_peeringdb(&peer.routes.max_prefix);
    let sets = peer.routes.irr.as_ref().map(|filter| SetRequest {
        names: match &filter.as_set {
            IrrSource::Auto => Names::Auto,
            IrrSource::Sets(sets) => Names::Sets(
                sets.iter()
                    .map(|set| SetName { source: set.source.clone(), name: set.name.clone() })
                    .collect(),
            ),
        },
        sources: filter.sources.clone(),
        families: peer.session.families,
        members: filter.check_origin,
    });
    if sets.is_none() && !peeringdb {
        return None;
    }
    Some(PeerRequest { asn: asn_of(peer)?, sets, peeringdb })
}

/// The peer's AS number, where the configuration says which one it is.
fn asn_of(peer: &Peer) -> Option<Asn> {
    match &peer.session.asn {
        siskin_config::AsnRule::Is(asn) => Some(*asn),
        siskin_config::AsnRule::Internal => Some(peer.session.local_asn),
        siskin_config::AsnRule::External | siskin_config::AsnRule::OneOf(_) => None,
    }
}

fn client_config(config: &Config) -> siskin_irr::Config {
    siskin_irr::Config {
        server: config.irr.server.clone(),
        sources: config.irr.sources.clone(),
        refresh: config.irr.refresh,
        timeout: config.irr.timeout,
        parallel: usize::from(config.irr.parallel),
        state_dir: Some(config.router.state_dir.clone()),
        peeringdb: siskin_irr::PeeringDbConfig {
            url: config.peeringdb.url.clone(),
            api_key: config.peeringdb.api_key.as_ref().map(|key| key.expose().to_owned()),
            refresh: config.peeringdb.refresh,
        },
    }
}
