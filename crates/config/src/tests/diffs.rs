//! What a reload says it changes.

use super::{config, with_router};
use crate::{Config, load, reload};

const BEFORE: &str = "
[kernel]
metric = 32
[[originate]]
prefix = '192.0.2.0/24'
[peer.gone]
address = '192.0.2.9'
asn = 65009
[peer.a]
address = '192.0.2.1'
asn = 65001
[peer.b]
address = '192.0.2.2'
asn = 65002
password = 'one'
[peer.c]
address = '192.0.2.3'
asn = 65003
import = 'in'
[policy.in]
rules = ['accept if prefix.len <= 24', 'reject']
";

const AFTER: &str = "
[kernel]
metric = 64
prefsrc = { ipv4 = '192.0.2.10' }
[[originate]]
prefix = '192.0.2.0/24'
communities = ['64500:1']
[[originate]]
prefix = '198.51.100.0/24'
[peer.a]
address = '192.0.2.1'
asn = 65001
hold-time = '30s'
[peer.b]
address = '192.0.2.2'
asn = 65002
password = 'two'
[peer.c]
address = '192.0.2.3'
asn = 65003
import = 'in'
local-pref = 200
[peer.new]
address = '192.0.2.4'
asn = 65004
[policy.in]
rules = ['accept if prefix.len <= 25', 'reject']
";

#[test]
fn changes_are_told_key_by_key() {
    let (before, after) = (config(&with_router(BEFORE)), config(&with_router(AFTER)));
    let changes: Vec<String> = before.diff(&after).iter().map(ToString::to_string).collect();
    assert_eq!(
        changes,
        [
            "~ edge: own-prefixes: +\"198.51.100.0/24+\"",
            "~ kernel: metric: 32 → 64",
            "~ kernel: prefsrc: {} → { ipv4 = \"192.0.2.10\" }",
            "~ originate.192.0.2.0/24: communities: unset → [\"64500:1\"]",
            "+ originate.198.51.100.0/24",
            "~ peer.a: hold-time: \"90s\" → \"30s\" (the session restarts)",
            "~ peer.b: password changed (the session restarts)",
            "~ peer.c: local-pref: unset → 200",
            "- peer.gone (the session ends)",
            "+ peer.new",
            "~ policy.in: rules: -\"accept if prefix.len <= 24\" +\"accept if prefix.len <= 25\"",
        ]
    );
    assert!(before.diff(&before).is_empty());
}

#[test]
fn lists_are_told_by_their_members() {
    let with = |members: &str| config(&with_router(&format!("[prefix-set.s]\nprefixes = [{members}]\n")));
    let told =
        |old: &str, new: &str| with(old).diff(&with(new)).iter().map(ToString::to_string).collect::<Vec<_>>();
    let many: Vec<String> = (0..9).map(|n| format!("'192.0.{n}.0/24'")).collect();
    assert_eq!(
        told("'192.0.2.0/24', '198.51.100.0/24'", "'198.51.100.0/24', '192.0.2.0/24'"),
        ["~ prefix-set.s: prefixes: another order"]
    );
    assert_eq!(told("", &many.join(", ")), ["~ prefix-set.s: prefixes: 9 members differ"]);
}

#[test]
fn a_disabled_peer_has_no_session_to_lose() {
    let with =
        |more: &str| config(&with_router(&format!("[peer.a]\naddress = '192.0.2.1'\nasn = 65001\n{more}\n")));
    let restarts =
        |old: &str, new: &str| with(old).diff(&with(new)).iter().any(|change| change.restarts_session);
    assert!(restarts("", "enabled = false"));
    assert!(!restarts("enabled = false", ""));
    assert!(!restarts("enabled = false\nport = 179", "enabled = false\nport = 1790"));
}

#[test]
fn rules_keep_their_ids_over_a_reload() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("siskin.toml");
    let write = |rules: &str| {
        std::fs::write(&file, with_router(&format!("[policy.b]\nrules = ['accept']\n{rules}"))).unwrap()
    };
    let id = |config: &Config, name: &str| config.policies.get(name).unwrap().rules().next().unwrap().0;
    write("");
    let before = load(&file).unwrap().config;
    write("[policy.a]\nrules = ['reject']\n");
    let after = reload(&file, &before).unwrap().config;
    assert_eq!(id(&after, "b"), id(&before, "b"), "although `a` comes before it now");
    assert_ne!(id(&after, "a"), id(&after, "b"));
    assert_eq!(before.peers, after.peers);
}

#[test]
fn only_session_keys_cost_the_session() {
    let (before, after) = (config(&with_router(BEFORE)), config(&with_router(AFTER)));
    let differs = |name: &str| before.peers[name].session_differs(&after.peers[name]);
    assert!(differs("a") && differs("b") && !differs("c"));
}
