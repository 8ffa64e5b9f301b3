//! `siskin routes`: the table page by page, or every attribute of each path.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use siskin_api::{Attributes, DEFAULT_LIMIT, Path, Route, View};

use super::peer_name;
use crate::args::RoutesArguments;
use crate::client::{Client, query, understand};
use crate::failure::Failure;
use crate::output::{Look, Output, Tone};
use crate::table::{Cell, Table};
use crate::words::{duration, giver, number, or_dash};

/// A page whose items are not looked into, so that programs get all the daemon knows.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Page<T> {
    pub(super) routes: Vec<T>,
    pub(super) next_cursor: Option<String>,
    pub(super) total: Option<u64>,
}

/// Asks for pages and shows each as it comes.
pub(super) async fn run(client: &Client, output: &Output, arguments: RoutesArguments) -> Result<(), Failure> {
    let peer = match &arguments.peer {
        Some(given) => Some(peer_name(client, given).await?),
        None => None,
    };
    let view = arguments.view();
    let base = [
        ("prefix", arguments.prefix.map(|p| p.to_string())),
        ("longer", arguments.longer.then(|| "true".to_owned())),
        ("peer", peer),
        ("view", (view != View::All).then(|| view.name().to_owned())),
        ("family", arguments.family().map(|f| f.to_string())),
    ];
    let path = |cursor: Option<String>, limit: u64| {
        let [a, b, c, d, e] = base.clone();
        let cursor = ("cursor", cursor);
        format!("/v1/routes{}", query([a, b, c, d, e, cursor, ("limit", Some(limit.to_string()))]))
    };
    if arguments.count {
        return count_prefixes(client, output, path).await;
    }
    let found = if output.is_json() {
        stream_json(client, output, arguments.limit, path).await?
    } else if arguments.detail {
        let look = output.look();
        each_page(client, arguments.limit, path, |routes: Vec<Route>| {
            output.text(&routes.iter().map(|r| render_detail(r, look)).collect::<String>())
        })
        .await?
    } else {
        show_table(client, output, &arguments, path).await?
    };
    if found == 0 {
        return Err(Failure::Negative((!output.is_json()).then(|| match arguments.prefix {
            Some(prefix) => format!("there is no such route for {prefix}"),
            None => "there are no such routes".to_owned(),
        })));
    }
    Ok(())
}

async fn show_table(
    client: &Client,
    output: &Output,
    arguments: &RoutesArguments,
    path: impl Fn(Option<String>, u64) -> String,
) -> Result<u64, Failure> {
    let look = output.look();
    let view = arguments.view();
    let mut table = new_table(view);
    let found = each_page(client, arguments.limit, path, |routes: Vec<Route>| {
        for route in &routes {
            add_route(&mut table, route, view);
        }
        output.text(&table.take(look))
    })
    .await?;
    if look.person && found > 0 {
        output.text(&format!("\n{}", look.paint(Tone::Dim, &legend(found))))?;
    }
    Ok(found)
}

/// What the marks mean, and how much there was.
fn legend(found: u64) -> String {
    let prefixes = if found == 1 { "prefix" } else { "prefixes" };
    format!(
        "{} {prefixes}.  * best  = shares the load  ! next hop unreachable  x rejected  s stale\n",
        number(found)
    )
}

/// Follows the cursor to the end, or to `limit` items; says how many there were.
pub(super) async fn each_page<T: serde::de::DeserializeOwned>(
    client: &Client,
    limit: Option<u64>,
    path: impl Fn(Option<String>, u64) -> String,
    mut show: impl FnMut(Vec<T>) -> Result<(), Failure>,
) -> Result<u64, Failure> {
    let mut found = 0;
    let mut cursor = None;
    loop {
        let wanted =
            limit.map_or(u64::from(DEFAULT_LIMIT), |l| l.saturating_sub(found).min(u64::from(DEFAULT_LIMIT)));
        let page: Page<T> = understand(&client.get(&path(cursor, wanted)).await?)?;
        found += page.routes.len() as u64;
        show(page.routes)?;
        cursor = page.next_cursor;
        if cursor.is_none() || limit.is_some_and(|l| found >= l) {
            return Ok(found);
        }
    }
}

/// All pages as one JSON document of the API's shape, written as they come.
pub(super) async fn stream_json(
    client: &Client,
    output: &Output,
    limit: Option<u64>,
    path: impl Fn(Option<String>, u64) -> String,
) -> Result<u64, Failure> {
    let mut found = 0;
    let mut cursor = None;
    let mut text = String::from("{\"routes\":[");
    loop {
        let wanted =
            limit.map_or(u64::from(DEFAULT_LIMIT), |l| l.saturating_sub(found).min(u64::from(DEFAULT_LIMIT)));
        let page: Page<Value> = understand(&client.get(&path(cursor, wanted)).await?)?;
        for route in &page.routes {
            if found > 0 {
                text.push(',');
            }
            found += 1;
            text += &route.to_string();
        }
        cursor = page.next_cursor;
        if cursor.is_none() || limit.is_some_and(|l| found >= l) {
            let (next, total) = (Value::from(cursor), Value::from(page.total));
            output.text(&format!("{text}],\"next_cursor\":{next},\"total\":{total}}}\n"))?;
            return Ok(found);
        }
        output.text(&text)?;
        text.clear();
    }
}

async fn count_prefixes(
    client: &Client,
    output: &Output,
    path: impl Fn(Option<String>, u64) -> String,
) -> Result<(), Failure> {
    let page: Page<Value> = understand(&client.get(&path(None, 0)).await?)?;
    let total = match page.total {
        Some(total) => total,
        // The daemon does not keep this count: it is made here.
        None => each_page(client, None, path, |_: Vec<Value>| Ok(())).await?,
    };
    if output.is_json() {
        output.json(&Page::<Value> { routes: Vec::new(), next_cursor: None, total: Some(total) })?;
    } else {
        output.text(&format!("{total}\n"))?;
    }
    if total == 0 { Err(Failure::Negative(None)) } else { Ok(()) }
}

fn new_table(view: View) -> Table {
    match view {
        View::Filtered => Table::new(["", "PREFIX", "PEER", "AS PATH", "REJECTED BY", ""]),
        _ => Table::new(["", "PREFIX", "PEER", "NEXT HOP", "LOCAL-PREF", "MED", "AGE", "AS PATH"]),
    }
}

/// A line for each path; the prefix stands in the first.
fn add_route(table: &mut Table, route: &Route, view: View) {
    for (i, path) in route.paths.iter().enumerate() {
        let prefix = if i == 0 { route.prefix.to_string() } else { String::new() };
        let attributes = &path.attributes;
        let peer = giver(path.source, &path.peer);
        let mark = Cell::toned(mark_tone(path), mark(path));
        if let (View::Filtered, Some(rejected)) = (view, &path.rejected) {
            let as_path = as_path(attributes).into();
            table.row([
                mark,
                prefix.into(),
                peer.into(),
                as_path,
                rejected.rule.as_str().into(),
                rejected.text.as_str().into(),
            ]);
            continue;
        }
        table.row([
            mark,
            prefix.into(),
            peer.into(),
            next_hop(attributes).into(),
            Cell::number(or_dash(attributes.local_pref)),
            Cell::number(or_dash(attributes.med)),
            Cell::number(path.age_s.map_or_else(|| "-".into(), duration)),
            as_path(attributes).into(),
        ]);
    }
}

/// `*` best, `=` shares the load, `!` next hop unreachable, `x` rejected, and `s` beside it: stale.
pub(super) fn mark(path: &Path) -> String {
    let mark = if path.rejected.is_some() {
        "x"
    } else if path.best {
        "*"
    } else if path.multipath {
        "="
    } else if !path.next_hop_reachable {
        "!"
    } else {
        ""
    };
    if path.stale { format!("{mark}s") } else { mark.to_owned() }
}

pub(super) fn mark_tone(path: &Path) -> Tone {
    if path.rejected.is_some() || !path.next_hop_reachable {
        Tone::Bad
    } else if path.stale {
        Tone::Warn
    } else {
        Tone::Good
    }
}

/// The next hop; a link-local one with its interface.
pub(super) fn next_hop(attributes: &Attributes) -> String {
    match (&attributes.next_hop, &attributes.next_hop_interface) {
        (Some(address), Some(interface)) => format!("{address}%{interface}"),
        (address, _) => or_dash(*address),
    }
}

/// The path with the origin's letter behind it, as routers have written it for thirty years.
pub(super) fn as_path(attributes: &Attributes) -> String {
    let letter = match attributes.origin.as_str() {
        "igp" => "i",
        "egp" => "e",
        _ => "?",
    };
    if attributes.as_path.is_empty() { letter.to_owned() } else { format!("{} {letter}", attributes.as_path) }
}

/// A prefix with every attribute of its paths.
pub(super) fn render_detail(route: &Route, look: Look) -> String {
    let mut text = format!("{}\n", look.paint(Tone::Bold, &route.prefix.to_string()));
    for path in &route.paths {
        let mut facts = vec![giver(path.source, &path.peer)];
        facts.extend(path.path_id.map(|id| format!("path id {id}")));
        facts.extend(path.best.then(|| "best".to_owned()));
        facts.extend((path.multipath && !path.best).then(|| "shares the load".to_owned()));
        facts.extend((!path.next_hop_reachable).then(|| "next hop unreachable".to_owned()));
        facts.extend(path.stale.then(|| "stale".to_owned()));
        facts.extend(path.rejected.as_ref().map(|r| format!("rejected by {}: {}", r.rule, r.text)));
        facts.extend(path.age_s.map(|age| format!("for {}", duration(age))));
        text += &format!("  {}\n", look.paint(mark_tone(path), &facts.join(", ")));
        let mut table = Table::new(["", ""]).indented(4);
        for (name, value) in attribute_list(&path.attributes) {
            table.row([Cell::toned(Tone::Dim, name), value.into()]);
        }
        text += &table.take(look);
    }
    text + "\n"
}

/// The attributes that are there, by the names of the RFCs.
pub(super) fn attribute_list(attributes: &Attributes) -> Vec<(&'static str, String)> {
    let a = attributes;
    let list = |items: &[String]| (!items.is_empty()).then(|| items.join(" "));
    let as_path = if a.as_path.is_empty() { "(empty)".to_owned() } else { a.as_path.clone() };
    [
        ("ORIGIN", Some(a.origin.clone())),
        ("AS_PATH", Some(as_path)),
        ("NEXT_HOP", a.next_hop.map(|_| next_hop(a))),
        ("link-local next hop", a.link_local_next_hop.map(|n| n.to_string())),
        ("MULTI_EXIT_DISC", a.med.map(|m| m.to_string())),
        ("LOCAL_PREF", a.local_pref.map(|l| l.to_string())),
        ("weight", (a.weight > 0).then(|| number(a.weight.into()))),
        ("table", a.table.map(|table| table.to_string())),
        ("COMMUNITIES", list(&a.communities)),
        ("LARGE_COMMUNITY", list(&a.large_communities)),
        ("EXTENDED COMMUNITIES", list(&a.ext_communities)),
        ("ATOMIC_AGGREGATE", a.atomic_aggregate.then(|| "yes".to_owned())),
        ("AGGREGATOR", a.aggregator.as_ref().map(|g| format!("AS{} {}", g.asn, g.router_id))),
        ("ORIGINATOR_ID", a.originator_id.map(|o| o.to_string())),
        ("CLUSTER_LIST", list(&a.cluster_list.iter().map(ToString::to_string).collect::<Vec<_>>())),
        ("ONLY_TO_CUSTOMER", a.otc.map(|o| o.to_string())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .chain(
        a.unknown
            .iter()
            .map(|u| ("unknown", format!("type {}, flags {:#04x}: {}", u.code, u.flags, u.value))),
    )
    .collect()
}

#[cfg(test)]
pub(super) fn render_table(routes: &[Route], view: View, look: Look) -> String {
    let mut table = new_table(view);
    for route in routes {
        add_route(&mut table, route, view);
    }
    table.take(look)
}
