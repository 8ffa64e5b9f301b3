//! `[rpki]`, `[irr]`, `[peeringdb]`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Checker;
use super::secret::SecretKeys;
use crate::model::{HostPort, Irr, PeeringDb, Rpki, RtrServer};
use crate::read::raw::{List, RawIrr, RawPeeringDb, RawRpki, RawRtrServer};
use crate::source::{Location, Spanned};

impl Checker<'_> {
    pub(super) fn rpki(&mut self, raw: Option<(Location, RawRpki)>) -> Rpki {
        let raw = raw.map(|(_, raw)| raw).unwrap_or_default();
        if let Some(expire) = raw.expire
            && let Some((key, other)) = [("refresh", raw.refresh), ("retry", raw.retry)]
                .into_iter()
                .filter_map(|(key, other)| Some((key, other?)))
                .find(|(_, other)| other.value >= expire.value)
        {
            self.report
                .error(expire.at, format!("`expire` must be longer than `{key}` (RFC 8210 section 6)"))
                .label("the data would expire between two queries")
                .also(other.at, format!("`{key}`"));
        }
        let default = Rpki::default();
        Rpki {
            servers: self.rtr_servers(raw.servers.map_or_else(Vec::new, |list| list.value)),
            slurm: raw.slurm.map(|s| s.value),
            startup_deadline: raw.startup_deadline.map_or(default.startup_deadline, |d| d.value),
            refresh: raw.refresh.map(|d| d.value),
            retry: raw.retry.map(|d| d.value),
            expire: raw.expire.map(|d| d.value),
            state: raw.state.map_or(default.state, |s| s.value),
        }
    }

    fn rtr_servers(&mut self, list: List<RawRtrServer>) -> Vec<RtrServer> {
        let mut seen = BTreeMap::new();
        let mut servers = Vec::with_capacity(list.len());
        for Spanned { value: raw, at } in list {
            let key = Spanned { value: raw.server.to_string(), at };
            if !self.is_first(&mut seen, key, |s| format!("`{s}` stands twice in `servers`")) {
                continue;
            }
            let password = self.secret(&SecretKeys {
                key: "password",
                value: &raw.password,
                file: &raw.password_file,
                max: super::MAX_MD5_KEY,
                required: true,
            });
            servers.push(RtrServer { server: raw.server, password });
        }
        servers
    }

    /// A missing key file is no reason to be without a router: PeeringDB answers anybody, only less often.
    pub(super) fn peeringdb(&mut self, raw: Option<(Location, RawPeeringDb)>) -> PeeringDb {
        let raw = raw.map(|(_, raw)| raw).unwrap_or_default();
        let api_key = self.secret(&SecretKeys {
            key: "api-key",
            value: &raw.api_key,
            file: &raw.api_key_file,
            max: 1024,
            required: false,
        });
        PeeringDb {
            url: raw.url.map_or_else(|| "https://www.peeringdb.com/api".to_owned(), |u| u.value),
            api_key,
            refresh: raw.refresh.map_or(Duration::from_secs(24 * 3600), |r| r.value),
        }
    }
}

pub(super) fn irr(raw: Option<(Location, RawIrr)>) -> Irr {
    let raw = raw.map(|(_, raw)| raw).unwrap_or_default();
    let sources = || ["RPKI", "RIPE", "ARIN", "APNIC", "AFRINIC", "LACNIC"].map(str::to_owned).to_vec();
    Irr {
        server: raw.server.map_or_else(|| HostPort { host: "rr.ntt.net".to_owned(), port: 43 }, |s| s.value),
        sources: raw.sources.map_or_else(sources, |s| s.value),
        refresh: raw.refresh.map_or(Duration::from_secs(12 * 3600), |r| r.value),
        timeout: raw.timeout.map_or(Duration::from_secs(60), |t| t.value),
        parallel: raw.parallel.map_or(4, |p| p.value),
    }
}
