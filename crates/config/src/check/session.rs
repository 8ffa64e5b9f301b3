//! What a peer's session is made of, with the defaults of its kind.

use std::net::IpAddr;
use std::time::Duration;

use siskin_net::{Asn, FamilySet};

use super::Checker;
use super::peer::Table;
use super::secret::SecretKeys;
use crate::model::{AddPath, AddPathSend, AsnRule, Endpoint, GracefulRestart, SessionSettings, Ttl};
use crate::read::TtlSecurity;
use crate::read::raw::PeerKeys;
use crate::source::Spanned;

impl Checker<'_> {
    pub(super) fn session(
        &mut self,
        keys: &PeerKeys,
        table: &Table,
        endpoint: Option<&Endpoint>,
        router_asn: Asn,
    ) -> Option<SessionSettings> {
        let source = self.source(keys, endpoint);
        let password = self.secret(&SecretKeys {
            key: "password",
            value: &keys.password,
            file: &keys.password_file,
            max: super::MAX_MD5_KEY,
            required: true,
        });
        let local_asn = keys.local_asn.map_or(router_asn, |l| l.value);
        let asn = self.asn(keys, table, local_asn);
        let ttl = self.ttl(keys, asn.as_ref().is_some_and(|rule| rule.is_internal(local_asn)));
        if let Some(add_path) = keys.add_path.filter(|a| a.value.receive || a.value.send != AddPathSend::Off)
        {
            self.not_yet("peer.add-path", &table.key("add-path"), add_path.at);
        }
        let default_restart =
            GracefulRestart { time: Duration::from_secs(120), stale: Duration::from_secs(300) };
        Some(SessionSettings {
            asn: asn?,
            local_asn,
            port: keys.port.map_or(179, |p| p.value),
            source,
            passive: keys.passive.is_some_and(|p| p.value),
            password,
            ttl,
            hold_time: keys.hold_time.map_or(Duration::from_secs(90), |h| h.value),
            families: keys.families.map_or(FamilySet::BOTH, |f| f.value.set),
            extended_next_hop: keys.families.is_some_and(|f| f.value.extended_next_hop)
                || endpoint.is_some_and(Endpoint::is_link_local),
            add_path: keys.add_path.map_or(AddPath { receive: false, send: AddPathSend::Off }, |a| a.value),
            graceful_restart: keys.graceful_restart.map_or(Some(default_restart), |g| g.value),
            role: keys.role.map(|r| r.value),
            role_strict: self.role_strict(keys),
            route_reflector_client: keys.route_reflector_client.is_some_and(|c| c.value),
        })
    }

    fn role_strict(&mut self, keys: &PeerKeys) -> bool {
        let Some(strict) = keys.role_strict.filter(|strict| strict.value) else { return false };
        if keys.role.is_none() {
            self.report
                .error(strict.at, "`role-strict` asks the peer for a role, but it has none here")
                .label("no `role`")
                .help("role = \"peer\" says what the peer is to us (RFC 9234)");
        }
        true
    }

    fn asn(&mut self, keys: &PeerKeys, table: &Table, local_asn: Asn) -> Option<AsnRule> {
        let Some(asn) = &keys.asn else {
            if !keys.wrong.contains(&"asn") {
                self.report
                    .error(table.at, format!("`asn` is missing in [{}]", table.path))
                    .label("the peer's AS number is needed")
                    .help("a number, or \"external\" (any but ours), or \"internal\" (ours)");
            }
            return None;
        };
        let mixed = match &asn.value {
            AsnRule::OneOf(ranges) => {
                ranges.iter().any(|r| r.contains(&local_asn))
                    && ranges.iter().any(|r| *r.start() != local_asn || *r.end() != local_asn)
            }
            AsnRule::Is(_) | AsnRule::External | AsnRule::Internal => false,
        };
        if mixed {
            self.report
                .error(asn.at, format!("the list mixes our own AS {local_asn} with others"))
                .label("internal and external peers are treated differently")
                .help("make two sections of it");
            return None;
        }
        Some(asn.value.clone())
    }

    fn source(&mut self, keys: &PeerKeys, endpoint: Option<&Endpoint>) -> Option<IpAddr> {
        let source = keys.source?;
        match endpoint {
            Some(Endpoint::Unnumbered { .. }) => {
                self.report
                    .error(source.at, "an unnumbered session runs between link-local addresses")
                    .label("`source` has no place here");
                None
            }
            Some(Endpoint::Address { address, .. }) if address.is_ipv4() != source.value.is_ipv4() => {
                let draft = self
                    .report
                    .error(source.at, "`source` and `address` are of different families")
                    .label("of the other family");
                if let Some(address) = &keys.address {
                    draft.also(address.at, "the peer's address");
                }
                None
            }
            _ => Some(source.value),
        }
    }

    fn ttl(&mut self, keys: &PeerKeys, internal: bool) -> Ttl {
        let multihop = keys.multihop.and_then(|m| m.value.map(|hops| Spanned { value: hops, at: m.at }));
        let security = keys.ttl_security.map(|t| t.value);
        match (security, multihop) {
            (Some(TtlSecurity::Hops(hops)), Some(multihop)) => {
                self.report
                    .error(multihop.at, "`multihop` and `ttl-security` both say how far away the peer may be")
                    .label("say it once");
                Ttl::Security(hops)
            }
            (Some(TtlSecurity::Hops(hops)), None) => Ttl::Security(hops),
            (Some(TtlSecurity::On), multihop) => Ttl::Security(multihop.map_or(1, |m| m.value)),
            (_, Some(multihop)) => Ttl::Send(multihop.value),
            (_, None) => Ttl::Send(if internal { 64 } else { 1 }),
        }
    }
}
