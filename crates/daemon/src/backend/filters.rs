//! Sources of facts for the API: validated data, routing registries, PeeringDB.

use std::time::{Duration, SystemTime};

use siskin_api::{
    ApiError, CoveringVrp, DataOrigin, Done, IrrRefreshRequest, IrrSet, IrrSetQuery, IrrSetState, IrrSetView,
    IrrStatus, PeeringDbRecord, PeeringDbStatus, PerFamily, RpkiChange, RpkiCheck, RpkiCheckQuery,
    RpkiServer, RpkiState, RpkiStatus, SlurmStatus,
};
use siskin_irr::{Part, SetStatus, State};
use siskin_net::{Asn, Family};
use siskin_policy::Rpki;

use crate::clock;
use crate::daemon::Daemon;
use crate::http::Answer;
use crate::peer::lock;

impl Daemon {
    /// Relying-party caches and their data.
    pub(super) async fn rpki_status(&self) -> Answer<RpkiStatus> {
        let rpki = &self.sources.rpki;
        let Some(status) = rpki.status() else { return Ok(RpkiStatus::default()) };
        let (origin, age) = match rpki.origin() {
            None => (DataOrigin::None, None),
            Some(siskin_rpki_client::Origin::Persisted { age }) => {
                (DataOrigin::Persisted, Some(status.persisted_age.unwrap_or(age)))
            }
            Some(siskin_rpki_client::Origin::Live) => {
                (DataOrigin::Live, status.servers.iter().filter_map(|server| server.last_update).min())
            }
        };
        let now = clock::now();
        Ok(RpkiStatus {
            configured: true,
            gate: rpki.gate(),
            vrps: PerFamily::from_fn(|family| status.vrps[family] as u64),
            aspas: status.aspas as u64,
            origin,
            age_s: seconds(age),
            servers: status.servers.into_iter().map(server).collect(),
            slurm: status.slurm.map(|slurm| SlurmStatus {
                path: slurm.path.display().to_string(),
                filters: slurm.filters as u64,
                assertions: slurm.assertions as u64,
                error: slurm.error,
            }),
            last_change: rpki.last_change().map(|change| RpkiChange {
                age_s: now.since(change.at).as_secs(),
                announced: change.announced as u64,
                withdrawn: change.withdrawn as u64,
                paths_judged: change.judged.paths,
                changed: change.judged.now_accepted + change.judged.now_rejected,
                took_us: u64::try_from(change.took.as_micros()).unwrap_or(u64::MAX),
            }),
        })
    }

    /// What validated data says about an origin.
    pub(super) async fn rpki_check(&self, query: RpkiCheckQuery) -> Answer<RpkiCheck> {
        let RpkiCheckQuery { prefix, asn } = query;
        let facts = self.sources.facts.load();
        let Some(table) = &facts.vrps else {
            return Ok(RpkiCheck { prefix, asn, state: RpkiState::Unknown, covering: Vec::new() });
        };
        let mut covering: Vec<CoveringVrp> = table
            .covering(prefix)
            .map(|vrp| CoveringVrp {
                prefix: vrp.prefix,
                max_length: vrp.max_len,
                asn: vrp.asn,
                matches: vrp.asn == asn && asn != Asn(0) && prefix.len() <= vrp.max_len,
            })
            .collect();
        covering.sort_by_key(|vrp| (vrp.prefix.len(), vrp.asn));
        let state = match table.validate(prefix, Some(asn)) {
            Rpki::Valid => RpkiState::Valid,
            Rpki::Invalid => RpkiState::Invalid,
            Rpki::NotFound => RpkiState::NotFound,
        };
        Ok(RpkiCheck { prefix, asn, state, covering })
    }

    /// Routing registries and PeeringDB.
    pub(super) async fn irr_status(&self) -> Answer<IrrStatus> {
        let Some(status) = self.sources.registry.ask(siskin_irr::Client::status) else {
            return Ok(IrrStatus::default());
        };
        let running = self.config();
        let config = &running.config;
        let records = lock(&self.peers)
            .iter()
            .filter_map(|(name, entry)| {
                let record = entry.extras.record.as_ref()?;
                Some(PeeringDbRecord {
                    peer: name.clone(),
                    asn: record.asn,
                    name: Some(record.name.clone()),
                    info_prefixes: PerFamily::from_fn(|family| record.prefixes[family].map(u64::from)),
                    irr_as_set: Some(record.irr_as_set.clone()).filter(|set| !set.is_empty()),
                    age_s: age_of(Some(record.fetched)),
                })
            })
            .collect();
        Ok(IrrStatus {
            configured: true,
            server: Some(config.irr.server.to_string()),
            sources: config.irr.sources.clone(),
            sets: sets(&status),
            peeringdb: Some(PeeringDbStatus {
                url: config.peeringdb.url.clone(),
                records: status.peeringdb.records as u64,
                age_s: seconds(status.peeringdb.oldest),
                last_error: status.peeringdb.last_error.clone(),
                queries_last_minute: status.peeringdb.queries_last_minute as u64,
            }),
            records,
        })
    }

    /// Prefixes and members of an as-set.
    pub(super) async fn irr_set(&self, name: &str, query: IrrSetQuery) -> Answer<IrrSetView> {
        let found = self.sources.registry.ask(|client| Some((client.list(name)?, client.status()))).flatten();
        let Some((view, status)) = found else {
            return Err(ApiError::not_found(format!("no peer uses {name}")));
        };
        let limit = query.page_limit();
        let families = Family::ALL.into_iter().filter(|family| query.family.is_none_or(|f| f == *family));
        let all: Vec<_> =
            families.flat_map(|family| view.prefixes[family].iter().flat_map(|l| l.iter())).collect();
        let members = view.members.as_deref().unwrap_or_default();
        Ok(IrrSetView {
            as_set: name.to_owned(),
            sets: sets(&status).into_iter().filter(|set| set.as_set == view.name).collect(),
            truncated: all.len() > limit || members.len() > limit,
            prefixes: all.into_iter().take(limit).copied().collect(),
            members: members.iter().take(limit).copied().collect(),
        })
    }

    /// Asks registries and PeeringDB again.
    pub(super) async fn irr_refresh(&self, request: IrrRefreshRequest) -> Answer<Done> {
        if let Some(peer) = &request.peer
            && lock(&self.peers).get(peer).is_none()
        {
            return Err(ApiError::not_found(format!("there is no peer named {peer}")));
        }
        let asked = self.sources.registry.ask(|client| client.refresh(request.peer.as_deref()));
        asked.ok_or_else(|| ApiError::refused("no peer uses registry data"))?;
        let what = request.peer.unwrap_or_else(|| "all peers".to_owned());
        Ok(Done { text: format!("the registries and PeeringDB are asked again for {what}") })
    }

    /// Puts a peer's lists in force that were kept back.
    pub(super) async fn irr_accept(&self, peer: &str) -> Answer<Done> {
        let accepted = self
            .sources
            .registry
            .ask(|client| client.accept(peer))
            .ok_or_else(|| ApiError::refused("no peer uses registry data"))?
            .map_err(|error| ApiError::refused(error.to_string()))?;
        let lists: Vec<String> = accepted
            .lists
            .iter()
            .map(|list| format!("{} {} went from {} to {} entries", list.name, list.part, list.from, list.to))
            .collect();
        let also = match accepted.also.as_slice() {
            [] => String::new(),
            others => format!("; used by {}, too", others.join(", ")),
        };
        Ok(Done { text: format!("{}{also}", lists.join(", ")) })
    }

    /// Drains the whole router, or announces again.
    pub(super) async fn drain(&self, drained: bool) -> Answer<Done> {
        self.drain_router(drained);
        let text = if drained {
            "every peer is told to look for other ways, and nothing more in a minute"
        } else if self.config().config.router.drain {
            "`drain` in the configuration keeps the router drained"
        } else {
            "every peer is told our routes again"
        };
        Ok(Done { text: text.into() })
    }
}

fn seconds(age: Option<Duration>) -> Option<u64> {
    age.map(|age| age.as_secs())
}

fn age_of(at: Option<SystemTime>) -> Option<u64> {
    seconds(at.and_then(|at| at.elapsed().ok()))
}

fn server(status: siskin_rpki_client::ServerStatus) -> RpkiServer {
    RpkiServer {
        server: status.name,
        connected: status.connected,
        version: status.version,
        session_id: status.session,
        serial: status.serial,
        vrps: PerFamily::from_fn(|family| status.vrps[family] as u64),
        aspas: status.aspas as u64,
        age_s: seconds(status.last_update),
        last_error: status.last_error,
        retry_in_s: seconds(status.next_retry),
    }
}

/// The lists of prefixes, each with how many members its set has.
fn sets(status: &siskin_irr::Status) -> Vec<IrrSet> {
    let members = |of: &SetStatus| {
        let same = |s: &&SetStatus| s.part == Part::Members && s.name == of.name && s.sources == of.sources;
        status.sets.iter().find(same).and_then(|set| set.entries).unwrap_or(0)
    };
    let one = |set: &SetStatus| {
        let Part::Prefixes(family) = set.part else { return None };
        Some(IrrSet {
            peers: set.peers.clone(),
            as_set: set.name.clone(),
            sources: set.sources.clone(),
            family,
            entries: set.entries.unwrap_or(0) as u64,
            members: members(set) as u64,
            age_s: seconds(set.age),
            last_attempt_s: age_of(set.last_attempt),
            state: match set.state {
                State::Fresh => IrrSetState::Fresh,
                State::Kept { .. } => IrrSetState::Kept,
                State::Alarm { .. } => IrrSetState::Alarm,
                State::Missing { .. } => IrrSetState::Missing,
            },
            offered: set.offered.map(|entries| entries as u64),
            reason: set.state.reason().map(str::to_owned),
        })
    };
    status.sets.iter().filter_map(one).collect()
}
