//! What the author of a wrong file reads. The snapshots are the text; here stand the mistakes.

use super::{check, errors, with_router};

macro_rules! golden {
    ($($name:ident: $text:expr;)*) => {
        $(#[test]
        fn $name() {
            insta::assert_snapshot!(errors($text).render(false));
        })*
    };
}

golden! {
    not_toml: "[router]\nasn = = 64500\nrouter-id = \"192.0.2.1\n";
    no_router: "[kernel]\nmetric = 1\n";
    router_without_asn: "[router]\nrouter-id = \"0.0.0.0\"\nlisten = [\"0.0.0.0\", \"[::]:179\", \"[::]:179\"]\n";
    unknown_keys: &with_router("[peers.a]\n[kernel]\nmax_paths = 4\nmetrik = 3\ncolour = 1\n[peer.a]\naddress = '192.0.2.1'\nasn = 65001\nhold-tme = '9s'\n");
    wrong_types: &with_router("[kernel]\ninstall = \"yes\"\nmetric = 0\nmax-paths = 4.5\ntable = \"mian\"\non-stop = \"kep\"\n[api]\nhttp = 9179\n");
    tables_that_are_not: &with_router("peer = 1\noriginate = { prefix = '192.0.2.0/24' }\n[policy]\nrules = ['accept']\n");
    durations: &with_router("[peer-group.a]\nhold-time = 90\n[peer-group.b]\nhold-time = '90'\n[peer-group.c]\nhold-time = '2s'\n[peer-group.d]\nhold-time = '500ms'\n[irr]\nrefresh = '1s'\n");
    prefixes: &with_router("[[originate]]\nprefix = '192.0.2.1/24'\n[[originate]]\nprefix = '192.0.2.0'\n[[originate]]\nprefix = '192.0.2.0/33'\n[[originate]]\nkernel = 'drop'\n");
    prefix_sets: &with_router("[prefix-set.own]\nprefixes = [\n  \"203.0.113.0/24{23,28}\",\n  \"10.0.0.1/8+\",\n  \"2001:db8::/32-48\",\n]\n[community-set.x]\ncommunities = ['65536:1']\n");
    peers_without_parts: &with_router("[peer.a]\n[peer.b]\naddress = '192.0.2.1'\n[peer.c]\naddress = 'fe80::1'\nasn = 65001\n[peer.d]\naddress = '192.0.2.0/24'\nasn = 0\n");
    peers_twice: &with_router("[peer.a]\naddress = '192.0.2.1'\nasn = 65001\n[peer.b]\naddress = '192.0.2.1'\nasn = 65001\n[peer.'two words']\naddress = '192.0.2.3'\nasn = 1\n");
    names_of_nothing: &with_router("[peer-group.transit]\nrole = 'provider'\n[policy.fabric-in]\nrules = ['accept']\n[peer.a]\naddress = '192.0.2.1'\nasn = 65001\ngroup = 'transti'\nimport = 'fabric_in'\nexport = 'acept-all'\n[redistribute.connected]\npolicy = 'nothing'\n");
    as_numbers: &with_router("[peer-group.a]\nasn = 'externl'\n[peer-group.b]\nasn = '65101-65199'\n[peer-group.c]\nasn = ['65199-65101']\n[peer-group.d]\nasn = 4294967296\n[peer.e]\naddress = '192.0.2.1'\nasn = [64500, 65001]\n");
    contradictions: &with_router("[peer.a]\naddress = '192.0.2.1'\nsource = '2001:db8::1'\nasn = 65001\npassword = 'x'\npassword-file = 'y'\nnext-hop-self = true\nnext-hop-unchanged = true\nmultihop = 2\nttl-security = 3\nroute-reflector-client = true\n[peer.b]\naddress = '192.0.2.2'\nasn = 64500\nrole = 'peer'\n");
    filters: &with_router("[peer-group.a]\nmax-prefix = 'peeringbd'\n[peer-group.b]\nmax-prefix = { action = 'warn', restart-after = '5m', ipv4 = 1 }\n[peer-group.c]\nmax-prefix = { warn-at = 200 }\n[peer-group.d]\nirr = {}\n[peer-group.e]\nirr = { as-set = 'EXAMPLE' }\n[peer-group.f]\nrole = 'upstream'\nfamilies = ['ipv4']\n");
    gateway_of_the_other_family: &with_router("[host-routes.vmbr1]\nprefixes = ['198.51.100.0/24']\ngateway = { ipv4 = 'fe80::1', ipv6 = '169.254.0.1', ipv5 = 'x' }\n");
    host_routes: &with_router("[host-routes.a-very-long-interface]\n[host-routes.vmbr1]\nprefixes = ['198.51.100.0/24']\ngateway = { ipv4 = '198.51.100.1' }\n[[host-routes.vmbr1.vm]]\nname = 'a'\nmac = '52:02:45:76:d2'\naddresses = ['198.51.100.2']\n[[host-routes.vmbr1.vm]]\nname = 'b'\nmac = '52:02:45:76:d2:35'\naddresses = ['198.51.100.1', '192.0.2.1', '198.51.100.3', '198.51.100.3']\n[[host-routes.vmbr1.vm]]\nname = 'b'\nmac = '52:02:45:76:d2:36'\naddresses = ['198.51.100.4']\n");
    host_route_times: &with_router("[host-routes.vmbr1]\nprefixes = ['198.51.100.0/24']\npreset = 'rdnbr'\ntimers = { probe-interval = '1ms', probe-count = 0, probe-gaps = '1s' }\nlimits = { per-port = 5000 }\n[[host-routes.vmbr1.vm]]\nname = 'a'\nmac = '52:02:45:76:d2:35'\naddresses = ['198.51.100.2']\nport = 'a/b'\n");
    rules: &with_router("[policy.a]\nrules = [\n  \"accept if prefix in own-nets\",\n  'rejct if rpki invalid',\n  \"set local-pref 200 if community hs 65001:200\",\n  \"\"\"\n  reject \\\n    if as-path ~ \"(\" \"\"\",\n  \"reject \\\"n\\u00f6\\\" iff med > 3\",\n]\n[policy.accept-all]\nrules = ['reject']\n[policy.loop]\nrules = ['call loop']\n");
}

#[test]
fn a_long_line_is_cut_around_its_caret() {
    let text =
        with_router(&format!("[prefix-set.s]\nprefixes = [{}'x/8']\n", "'192.0.2.0/24', ".repeat(2_000)));
    let shown = errors(&text).render(false);
    assert!(shown.len() < 2_000 && shown.contains("x/8"), "{shown}");
}

#[test]
fn many_errors_are_counted_and_not_all_shown() {
    let text: String = (0..1_000).map(|n| format!("key{n} = 1\n")).collect();
    let diagnostics = errors(&with_router(&text));
    assert_eq!((diagnostics.len(), diagnostics.iter().count()), (1_000, 200));
    assert!(diagnostics.render(false).ends_with("1000 errors (the first 200 are shown)\n"));
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let diagnostics = errors(&with_router("\"a\\u001b[31m\" = 1\n"));
    assert!(!diagnostics.render(false).contains('\u{1b}'), "{diagnostics:?}");
    assert!(diagnostics.render(true).contains('\u{1b}'), "colour is there when asked for");
}

#[test]
fn programs_get_the_same_as_people() {
    let diagnostics = errors(&with_router("[kernel]\nmetrik = 3\n"));
    insta::assert_json_snapshot!(diagnostics, @r#"
    [
      {
        "severity": "error",
        "file": "siskin.toml",
        "line": 3,
        "column": 1,
        "message": "unknown key `metrik` in [kernel]",
        "help": "did you mean `metric`?"
      }
    ]
    "#);
}

#[test]
fn unreachable_rules_are_a_warning() {
    let loaded =
        check(&with_router("[policy.p]\nrules = ['accept', 'reject']\n[policy.empty]\nrules = []\n"))
            .unwrap();
    insta::assert_snapshot!(loaded.warnings.render(false));
}
