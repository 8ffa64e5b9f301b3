//! `siskin fib`, `siskin nexthops`.

use siskin_api::{FibCheck, FibFault, FibRoute, FibState, Hop, NextHops, RouteKind, TrackedNextHop};

use super::routes::{each_page, stream_json};
use crate::args::{FibArguments, FibWord};
use crate::client::{Client, query, understand};
use crate::failure::Failure;
use crate::output::{Look, Output, Tone};
use crate::table::{Cell, Table};
use crate::words::{count, number, or_dash};

/// Asks for pages and shows each as it comes.
pub(super) async fn run(client: &Client, output: &Output, arguments: FibArguments) -> Result<(), Failure> {
    if arguments.check {
        return check(client, output).await;
    }
    let state = arguments.state.map(|s| match s {
        FibWord::Installed => "installed",
        FibWord::Pending => "pending",
        FibWord::Failed => "failed",
    });
    let path = |cursor: Option<String>, limit: u64| {
        let parameters = [
            ("prefix", arguments.prefix.map(|p| p.to_string())),
            ("state", state.map(str::to_owned)),
            ("family", arguments.family().map(|f| f.to_string())),
            ("cursor", cursor),
            ("limit", Some(limit.to_string())),
        ];
        format!("/v1/fib{}", query(parameters))
    };
    let found = if output.is_json() {
        stream_json(client, output, arguments.limit, path).await?
    } else {
        let mut table = new_table();
        each_page(client, arguments.limit, path, |routes: Vec<FibRoute>| {
            routes.iter().for_each(|route| add_route(&mut table, route));
            output.text(&table.take(output.look()))
        })
        .await?
    };
    if found == 0 {
        let text = "there is no such route of ours in the kernel".to_owned();
        return Err(Failure::Negative((!output.is_json()).then_some(text)));
    }
    Ok(())
}

/// Has the daemon compare; a difference is a negative answer, although it is mended by then.
async fn check(client: &Client, output: &Output) -> Result<(), Failure> {
    let body = client.get("/v1/fib/check").await?;
    let found: FibCheck = understand(&body)?;
    if output.is_json() {
        output.answer(&body)?;
    } else {
        output.text(&render_check(&found, output.look()))?;
    }
    if found.different + found.objects + found.failed > 0 { Err(Failure::Negative(None)) } else { Ok(()) }
}

/// What differed, a line each, and the sum.
pub(super) fn render_check(found: &FibCheck, look: Look) -> String {
    let mut table = Table::new(["PREFIX", "IN THE KERNEL"]);
    for difference in &found.differences {
        let fault = match difference.fault {
            FibFault::Missing => "missing",
            FibFault::Changed => "changed",
            FibFault::Surplus => "not wanted",
        };
        let place = in_table(difference.table, &difference.prefix.to_string());
        table.row([place.into(), Cell::toned(Tone::Bad, fault)]);
    }
    let mut text = if table.is_empty() { String::new() } else { table.take(look) + "\n" };
    let routes = number(found.routes);
    if found.different + found.objects == 0 {
        text += &format!("The kernel has our {routes} routes as they are wanted.\n");
    } else {
        text += &format!(
            "Of {routes} routes in the kernel {} differed, and {} of the next-hop objects; they are mended.\n",
            number(found.different),
            number(found.objects)
        );
    }
    if found.failed > 0 {
        text += &format!("It refuses {}: see siskin fib --state failed.\n", count(found.failed, "route"));
    }
    text
}

/// A prefix, with its kernel table unless that is `main`.
fn in_table(table: u32, prefix: &str) -> String {
    const MAIN: u32 = 254;
    if table == MAIN { prefix.to_owned() } else { format!("{prefix} table {table}") }
}

fn new_table() -> Table {
    Table::new(["PREFIX", "STATE", "NEXT-HOP OBJECT", "VIA", ""])
}

/// A line for each hop; prefix and state stand in the first.
fn add_route(table: &mut Table, route: &FibRoute) {
    let state = match route.state {
        FibState::Installed => Cell::toned(Tone::Good, "installed"),
        FibState::Pending => Cell::toned(Tone::Warn, "pending"),
        FibState::Failed => Cell::toned(Tone::Bad, "failed"),
    };
    let mut hops = match route.kind {
        RouteKind::Blackhole => vec!["blackhole".to_owned()],
        RouteKind::Unreachable => vec!["unreachable".to_owned()],
        RouteKind::Prohibit => vec!["prohibit".to_owned()],
        RouteKind::Unicast => hop_list(&route.hops),
    }
    .into_iter();
    let object = Cell::number(or_dash(route.nexthop_id));
    let error = route.error.as_ref().map(|e| e.text.clone()).unwrap_or_default();
    table.row([
        in_table(route.table, &route.prefix.to_string()).into(),
        state,
        object,
        hops.next().unwrap_or_default().into(),
        Cell::toned(Tone::Bad, error),
    ]);
    for hop in hops {
        table.row([Cell::default(), Cell::default(), Cell::default(), hop.into()]);
    }
}

/// Each hop as `ip route` writes it, with its weight where weights differ.
pub(super) fn hop_list(hops: &[Hop]) -> Vec<String> {
    let weighted = hops.iter().any(|h| h.weight != 1);
    hops.iter()
        .map(|hop| if weighted { format!("{hop} weight {}", hop.weight) } else { hop.to_string() })
        .collect()
}

/// The hops of a BGP next hop, and the route of ours that leads to them.
fn tracked_way(hop: &TrackedNextHop) -> String {
    let hops = hop_list(&hop.hops).join(", ");
    match hop.via {
        Some(prefix) if hops.is_empty() => format!("route {prefix}"),
        Some(prefix) => format!("{hops} (route {prefix})"),
        None => hops,
    }
}

/// Next-hop objects, then the next hops of BGP paths.
pub(super) fn render_nexthops(nexthops: &NextHops, look: Look) -> String {
    let mut text = String::new();
    let mut objects = Table::new(["OBJECT", "ROUTES", "MEMBERS", "VIA"]);
    for object in &nexthops.objects {
        let members = match object.members.as_slice() {
            [] => "-".to_owned(),
            members => members.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        };
        objects.row([
            Cell::number(object.id.to_string()),
            Cell::number(number(object.routes)),
            members.into(),
            hop_list(&object.hops).join(", ").into(),
        ]);
    }
    if objects.is_empty() {
        text += "No next-hop objects of ours are in the kernel.\n";
    }
    text += &objects.take(look);
    for advice in nexthops.kernel.iter().flat_map(|k| &k.advice) {
        text += &format!("\nNote: {advice}.\n");
    }
    let mut tracked = Table::new(["NEXT HOP", "REACHABLE", "COST", "PATHS", "VIA"]);
    for hop in &nexthops.tracked {
        let address = match &hop.interface {
            Some(interface) => format!("{}%{interface}", hop.address),
            None => hop.address.to_string(),
        };
        tracked.row([
            address.into(),
            if hop.reachable { Cell::toned(Tone::Good, "yes") } else { Cell::toned(Tone::Bad, "no") },
            Cell::number(or_dash(hop.metric)),
            Cell::number(or_dash(hop.paths.map(number))),
            tracked_way(hop).into(),
        ]);
    }
    if !tracked.is_empty() {
        text.push('\n');
        text += &tracked.take(look);
    }
    text
}

#[cfg(test)]
pub(super) fn render_table(routes: &[FibRoute], look: Look) -> String {
    let mut table = new_table();
    routes.iter().for_each(|route| add_route(&mut table, route));
    table.take(look)
}
