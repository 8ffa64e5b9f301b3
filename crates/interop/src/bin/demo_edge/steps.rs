//! The steps: what the edge shows, and what has to be so.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use siskin_interop::show::Show;
use siskin_interop::wait::{SOON, stays, wait_for, wait_some};
use siskin_interop::{Result, fail};

use crate::network::{CONFIG, Network, PEERS};
use crate::services::neighbour_routes;
use crate::watch::{accepted, heard, in_kernel, rejected, state, wait_set};

/// The set that the customer is filtered by.
const CUSTOMER_SET: &str = "AS401005:AS-CUSTOMERS";

/// What is rejected at first: peer, prefix, rule, and a part of the reason.
const REJECTED: [(&str, &str, &str, &str); 4] = [
    ("upstream-a", "20.66.0.0/16", "rpki-invalid", "VRP 20.66.0.0/16 max 16 AS 401066"),
    ("route-server", "20.32.0.0/16", "transit-asn", "3356 in the path"),
    ("route-server", "20.33.0.0/16", "never-via-route-server", "401033 in the path"),
    ("customer", "20.51.0.0/16", "irr", "AS401005:AS-CUSTOMERS"),
];

/// What is accepted at first.
const ACCEPTED: [(&str, &str); 11] = [
    ("upstream-a", "20.11.0.0/16"),
    ("upstream-a", "2a0e:11::/32"),
    ("upstream-a", "20.55.0.0/16"),
    ("upstream-b", "20.12.0.0/16"),
    ("upstream-b", "20.55.0.0/16"),
    ("route-server", "20.31.0.0/16"),
    ("route-server", "2a0e:31::/32"),
    ("neighbour", "20.40.0.0/16"),
    ("customer", "20.50.0.0/16"),
    ("customer", "2a0e:50::/32"),
    ("customer", "20.52.0.0/16"),
];

/// Who is told of what, in the order of [`PEERS`].
const EXPORTED: [(&str, &str, [bool; 5]); 13] = [
    ("20.200.0.0/16", "our own", [true; 5]),
    ("2a0e:200::/32", "our own", [true; 5]),
    ("20.50.0.0/16", "customer", [true, true, true, true, false]),
    ("2a0e:50::/32", "customer", [true, true, true, true, false]),
    ("20.52.0.0/16", "behind customer", [true, true, true, true, false]),
    ("20.50.6.6/32", "customer, BLACKHOLE", [false; 5]),
    ("20.11.0.0/16", "upstream-a", [false, false, false, false, true]),
    ("20.55.0.0/16", "both upstreams", [false, false, false, false, true]),
    ("20.66.0.0/16", "upstream-a, no VRP", [false, false, false, false, true]),
    ("20.31.0.0/16", "route-server", [false, false, false, false, true]),
    ("20.40.0.0/16", "neighbour", [false, false, false, false, true]),
    ("20.32.0.0/16", "route-server, leak", [false; 5]),
    ("20.51.0.0/16", "customer, no object", [false; 5]),
];

fn cli(net: &Network, show: &Show, arguments: &str) -> Result {
    excerpt(net, show, arguments, 60)
}

fn excerpt(net: &Network, show: &Show, arguments: &str, lines: usize) -> Result {
    let words: Vec<&str> = arguments.split(' ').collect();
    show.excerpt(&format!("edge# siskin {arguments}"), &net.siskin.cli_text(&words)?, lines);
    Ok(())
}

/// Five sessions, three sources.
pub(crate) fn sessions(net: &Network, show: &Show) -> Result {
    show.step(
        "Sessions and sources",
        "The peers come up. VRPs come from StayRTR, the lists of customer and neighbour from the registry (the neighbour's as-set \
         and its number of prefixes from PeeringDB). Until the VRPs are there nothing is imported.",
    );
    for peer in PEERS {
        net.siskin.wait_established(peer)?;
        let role = net.siskin.peer(peer)?["role_state"].clone();
        if role != "agreed" {
            return fail(format!("the role of {peer} is {role}"));
        }
    }
    wait_for("the RPKI data", SOON, || Ok(net.siskin.cli_json(&["rpki"])?["origin"] == "live"))?;
    wait_set(&net.siskin, CUSTOMER_SET, "fresh")?;
    wait_set(&net.siskin, "RIPE::AS-NEIGHBOUR", "fresh")?;
    ACCEPTED.iter().try_for_each(|(peer, prefix)| accepted(&net.siskin, peer, prefix).map(drop))?;
    in_kernel(net, "20.55.0.0/16", |route| route.hops.len() == 2)?;
    wait_for("readiness", SOON, || Ok(net.siskin.api("/v1/status")?["ready"] == true))?;
    for arguments in ["status", "peers", "rpki", "irr"] {
        cli(net, show, arguments)?;
    }
    Ok(())
}

/// Each rule that had something to reject.
pub(crate) fn filtered(net: &Network, show: &Show) -> Result {
    show.step(
        "What is filtered, and why",
        "upstream-a announces a prefix that a VRP gives to another AS; a member of the exchange leaks its transit (AS 3356) through \
         the route server, and another wants no route servers in its path; the customer announces a prefix that is not registered.",
    );
    for (peer, prefix, rule, part) in REJECTED {
        let text = rejected(&net.siskin, peer, prefix, rule)?;
        if !text.contains(part) {
            return fail(format!("{prefix} of {peer}: {text:?} does not say {part}"));
        }
        if !net.siskin.paths(prefix)?.is_empty() {
            return fail(format!("{prefix} is in the table"));
        }
    }
    cli(net, show, "routes --filtered")?;
    excerpt(net, show, "policy show customer", 34)?;
    cli(net, show, "explain 20.51.0.0/16")?;
    show.say("One that was accepted, by two ways; the kernel shares the load:");
    cli(net, show, "explain 20.55.0.0/16")
}

/// An invalid route comes in when its VRP goes.
pub(crate) fn vrp_goes(net: &mut Network, show: &Show) -> Result {
    show.step(
        "A VRP is withdrawn",
        "20.66.0.0/16 of upstream-a is invalid. StayRTR drops that VRP: the route comes in without a route refresh.",
    );
    let verdict = net.siskin.cli(&["rpki", "check", "20.66.0.0/16", "401001"])?;
    if verdict.status.code() != Some(1) {
        return fail(format!("`siskin rpki check` ended with {}", verdict.status));
    }
    show.command("edge# siskin rpki check 20.66.0.0/16 401001", &String::from_utf8_lossy(&verdict.stdout));
    let start = Instant::now();
    net.services()?.withdraw_vrp()?;
    accepted(&net.siskin, "upstream-a", "20.66.0.0/16")?;
    let took = start.elapsed();
    in_kernel(net, "20.66.0.0/16", |_| true)?;
    show.say(&format!("It is in the table {} ms after StayRTR was told to read its file.", took.as_millis()));
    let sent = net.siskin.api("/v1/peers/upstream-a")?["messages"]["sent"]["route_refresh"].clone();
    if sent != 0 {
        return fail(format!("{sent} route refreshes were sent"));
    }
    cli(net, show, "routes 20.66.0.0/16")
}

/// RFC 7999.
pub(crate) fn blackhole(net: &mut Network, show: &Show) -> Result {
    show.step(
        "A customer asks for a blackhole",
        "20.50.6.6 is under attack; the customer announces 20.50.6.6/32 with BLACKHOLE (65535:666, RFC 7999). It lies within what is \
         registered for the customer, so the kernel drops what is sent there. The same for 20.40.6.6/32, which is not the customer's, is rejected.",
    );
    net.announce("customer", |routes| {
        for prefix in ["20.50.6.6/32", "20.40.6.6/32"] {
            routes.push((prefix.to_owned(), "bgp_community.add((65535,666));".to_owned()));
        }
    })?;
    accepted(&net.siskin, "customer", "20.50.6.6/32")?;
    in_kernel(net, "20.50.6.6/32", |route| route.kind == "blackhole")?;
    let why = rejected(&net.siskin, "customer", "20.40.6.6/32", "blackhole")?;
    show.command("edge# ip route show type blackhole", &net.edge.ip("-4 route show type blackhole")?);
    show.say(&format!("20.40.6.6/32: blackhole: {why}."));
    Ok(())
}

/// The table of who is told of what, from the peers' own tables.
pub(crate) fn export(net: &Network, show: &Show) -> Result {
    show.step(
        "Who is told of what",
        "Providers, route servers and peers hear our own and our customers' routes; customers hear everything. These are the tables of \
         the peers themselves.",
    );
    let expected = |index: usize| -> BTreeSet<&str> {
        let rows = EXPORTED.iter().filter(|row| row.2.get(index).copied().unwrap_or(false));
        rows.map(|row| row.0).collect()
    };
    let mut tables = Vec::new();
    let complete = wait_for("every peer to be told what it should", SOON, || {
        tables = heard(net)?;
        Ok((0..)
            .zip(&tables)
            .all(|(index, table)| expected(index).iter().all(|prefix| table.contains(*prefix))))
    });
    let mut text = format!("{:16}{:22}", "PREFIX", "FROM");
    for peer in PEERS {
        // Writing to a string cannot fail.
        let _ = write!(text, "{peer:>14}");
    }
    let mut right = true;
    for (prefix, from, told) in EXPORTED {
        let _ = write!(text, "\n{prefix:16}{from:22}");
        for (table, should) in tables.iter().zip(told) {
            let is = table.contains(prefix);
            right &= is == should;
            let _ = write!(text, "{:>14}", if is { "yes" } else { "-" });
        }
    }
    show.command("who hears", &text);
    complete?;
    if !right {
        return fail("a peer was told of what it should not hear");
    }
    let text = net.siskin.cli_text(&["explain", "20.31.0.0/16"])?;
    let export = text.find("Export").and_then(|at| text.get(at..)).unwrap_or(&text);
    show.command("edge# siskin explain 20.31.0.0/16 (its last part)", export);
    Ok(())
}

/// A limit from PeeringDB.
pub(crate) fn limit(net: &mut Network, show: &Show) -> Result {
    show.step(
        "A prefix limit",
        "PeeringDB says that the neighbour has two prefixes; with the headroom 12 are allowed. It announces 16 more, all of them \
         registered: the session ends, and comes back after 15 minutes, or when it is told to.",
    );
    let extra = neighbour_routes();
    net.announce("neighbour", |routes| {
        routes.extend(extra.iter().map(|prefix| (prefix.clone(), String::new())));
    })?;
    wait_for("the session to be closed", SOON, || {
        let error = net.siskin.peer("neighbour")?["last_error"]["name"].clone();
        Ok(error.as_str().is_some_and(|name| name.contains("Maximum Number of Prefixes Reached")))
    })?;
    cli(net, show, "peers")?;
    net.announce("neighbour", |routes| routes.truncate(1))?;
    net.siskin.cli_text(&["peer", "neighbour", "up"])?;
    net.siskin.wait_established("neighbour")?;
    accepted(&net.siskin, "neighbour", "20.40.0.0/16")?;
    show.say("The neighbour has mended it, `siskin peer neighbour up` brings the session back at once.");
    Ok(())
}

/// The registry forgets a set, then all sources die.
pub(crate) fn sources_fail(net: &mut Network, show: &Show) -> Result {
    show.step(
        "Sources fail",
        "First the registry says that the customer's as-set does not exist. That is an alarm, and the list before stays in force. Then \
         registry, PeeringDB and the RTR cache die. No route and no session changes.",
    );
    wait_for("all peers to be told", SOON, || {
        Ok(heard(net)?.iter().all(|table| table.contains("20.50.0.0/16") || table.contains("20.40.0.0/16")))
    })?;
    let (before, tables) = (state(net)?, heard(net)?);
    net.services()?.forget_sets(true);
    net.siskin.cli_text(&["irr", "refresh", "customer"])?;
    wait_set(&net.siskin, CUSTOMER_SET, "alarm")?;
    cli(net, show, "irr")?;
    net.services()?.forget_sets(false);
    net.siskin.cli_text(&["irr", "refresh", "customer"])?;
    wait_set(&net.siskin, CUSTOMER_SET, "fresh")?;

    net.services = None;
    net.siskin.cli_text(&["irr", "refresh"])?;
    wait_set(&net.siskin, CUSTOMER_SET, "kept")?;
    wait_for("the cache to be missed", SOON, || {
        Ok(net.siskin.cli_json(&["rpki"])?["servers"][0]["connected"] == false)
    })?;
    stays("sessions, routes and kernel", Duration::from_secs(1), || Ok(state(net)? == before))?;
    if heard(net)? != tables {
        return fail("a peer has other routes than before");
    }
    rejected(&net.siskin, "customer", "20.51.0.0/16", "irr")?;
    cli(net, show, "irr")?;
    cli(net, show, "rpki")?;
    show.say("The same sessions, routes and kernel routes as before; 20.51.0.0/16 is rejected still.");
    Ok(())
}

/// RFC 8326, then silence.
pub(crate) fn drain(net: &Network, show: &Show) -> Result {
    show.step(
        "Work on an upstream, then on the edge itself",
        "`siskin peer upstream-a drain` gives notice for a minute (GRACEFUL_SHUTDOWN, RFC 8326) before it gives nothing, and takes \
         its routes as the last resort: the kernel sends by upstream-b. `drain = true` in the file gives nothing at once. Sessions stay.",
    );
    let count = |name| Ok(net.siskin.api(&format!("/v1/peers/{name}"))?["established_count"].clone());
    let before = PEERS.into_iter().map(count).collect::<Result<Vec<_>>>()?;
    net.siskin.cli_text(&["peer", "upstream-a", "drain"])?;
    let warned = wait_some("the notice at upstream-a", SOON, || {
        let route = net.router("upstream-a")?.route("20.200.0.0/16")?;
        let is = |c: &String| c == "65535:0" || c == "graceful-shutdown";
        Ok(route.filter(|route| route.communities.iter().any(is)))
    })?;
    let communities = Vec::from_iter(warned.communities).join(" ");
    show.say(&format!("upstream-a has 20.200.0.0/16 with the community {communities}."));
    in_kernel(net, "20.55.0.0/16", |route| route.hops == ["10.1.2.1%upstream-b"])?;
    show.command("edge# ip route show 20.55.0.0/16", &net.edge.ip("route show 20.55.0.0/16")?);

    net.siskin.cli_text(&["peer", "upstream-a", "undrain"])?;
    in_kernel(net, "20.55.0.0/16", |route| route.hops.len() == 2)?;
    show.say("`siskin peer upstream-a undrain` ends it. Now the whole router, by its file:");

    net.siskin.write_config(&CONFIG.replace("asn = 401000,", "asn = 401000, drain = true,"))?;
    cli(net, show, "config apply")?;
    wait_for("the peers to have nothing of ours", SOON, || Ok(heard(net)?.iter().all(BTreeSet::is_empty)))?;
    for (name, before) in PEERS.into_iter().zip(before) {
        let peer = net.siskin.api(&format!("/v1/peers/{name}"))?;
        if peer["established_count"] != before || peer["state"] != "established" {
            return fail(format!("the session to {name} did not stay"));
        }
    }
    accepted(&net.siskin, "upstream-b", "20.12.0.0/16")?;
    cli(net, show, "status")?;
    cli(net, show, "peers")
}
