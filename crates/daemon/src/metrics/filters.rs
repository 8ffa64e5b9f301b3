//! Metrics of what filters rest on: RPKI data, IRR lists, PeeringDB, prefix limits, drains.

use prometheus::Registry;
use siskin_api::{IrrSetState, IrrStatus, LimitState, PeerDetail, RpkiStatus};
use siskin_net::Family;

use super::{gauges, set, signed};

const LIST_STATES: [IrrSetState; 4] =
    [IrrSetState::Fresh, IrrSetState::Kept, IrrSetState::Alarm, IrrSetState::Missing];
const LIMIT_STATES: [LimitState; 4] =
    [LimitState::Ok, LimitState::Warning, LimitState::Blocked, LimitState::Over];

pub(super) fn rpki(registry: &Registry, status: &RpkiStatus) {
    let vrps = gauges(registry, "siskin_rpki_vrps", "VRPs in use.", &["family"]);
    for family in Family::ALL {
        vrps.with_label_values(&[family.name()]).set(signed(status.vrps[family]));
    }
    set(registry, "siskin_rpki_aspas", "ASPA records in use.", status.aspas);
    set(registry, "siskin_rpki_age_seconds", "Age of the data in use.", status.age_s.unwrap_or(0));
    let up = gauges(registry, "siskin_rpki_server_up", "1 while the cache is connected.", &["server"]);
    let of_server = gauges(registry, "siskin_rpki_server_vrps", "VRPs of a cache.", &["server", "family"]);
    for server in &status.servers {
        up.with_label_values(&[server.server.as_str()]).set(i64::from(server.connected));
        for family in Family::ALL {
            of_server
                .with_label_values(&[server.server.as_str(), family.name()])
                .set(signed(server.vrps[family]));
        }
    }
}

pub(super) fn irr(registry: &Registry, status: &IrrStatus) {
    let labels = ["as_set", "family"];
    let prefixes = gauges(registry, "siskin_irr_prefixes", "Prefixes of an as-set in force.", &labels);
    let age = gauges(registry, "siskin_irr_age_seconds", "Age of the list in force.", &labels);
    let names = ["as_set", "family", "state"];
    let state = gauges(registry, "siskin_irr_list_state", "1 for the present state.", &names);
    for list in &status.sets {
        let labels = [list.as_set.as_str(), list.family.name()];
        prefixes.with_label_values(&labels).set(signed(list.entries));
        age.with_label_values(&labels).set(signed(list.age_s.unwrap_or(0)));
        for of in LIST_STATES {
            state.with_label_values(&[labels[0], labels[1], of.name()]).set(i64::from(of == list.state));
        }
    }
    let records = status.peeringdb.as_ref().map_or(0, |db| db.records);
    set(registry, "siskin_peeringdb_records", "PeeringDB records known.", records);
}

pub(super) fn limits(registry: &Registry, peers: &[PeerDetail]) {
    let labels = ["peer", "family", "direction"];
    let limit = gauges(registry, "siskin_peer_prefix_limit", "Prefixes allowed.", &labels);
    let names = ["peer", "family", "direction", "state"];
    let state = gauges(registry, "siskin_peer_prefix_limit_state", "1 for the present state.", &names);
    let blocked = gauges(registry, "siskin_peer_blocked_prefixes", "Kept out by a limit.", &labels[..2]);
    let drained = gauges(registry, "siskin_peer_drained", "1 while the peer is drained.", &["peer"]);
    for peer in peers {
        let name = peer.summary.name.as_str();
        drained.with_label_values(&[name]).set(i64::from(peer.summary.drained));
        for of in &peer.summary.families {
            let family = of.family.name();
            blocked.with_label_values(&[name, family]).set(signed(of.blocked));
            for (direction, view) in [("in", &of.max_prefix), ("out", &of.max_prefix_out)] {
                let Some(view) = view else { continue };
                let allowed = view.limit.or(view.received_limit).unwrap_or(0);
                limit.with_label_values(&[name, family, direction]).set(signed(allowed));
                for one in LIMIT_STATES {
                    state
                        .with_label_values(&[name, family, direction, one.name()])
                        .set(i64::from(one == view.state));
                }
            }
        }
    }
}
