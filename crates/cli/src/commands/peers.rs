//! `siskin peers`, `siskin peers NAME`, `siskin peer NAME ACTION`.

use siskin_api::{
    ActionDone, Direction, LastError, LimitSource, LimitState, MaxPrefix, MessageCounts, PeerAction,
    PeerDetail, PeerFamily, PeerKind, PeerState, PeerSummary, RoleState,
};

use super::{peer_name, show};
use crate::client::{Client, escape, understand};
use crate::failure::Failure;
use crate::output::{Look, Output, Tone};
use crate::table::{Cell, Table};
use crate::words::{clean, count, duration, family, number, or_dash, role};

/// Shows one peer in full.
pub(super) async fn one(client: &Client, output: &Output, given: &str) -> Result<(), Failure> {
    let name = peer_name(client, given).await?;
    show(client, output, &format!("/v1/peers/{}", escape(&name)), render_one).await
}

/// Does something to a peer.
pub(super) async fn act(
    client: &Client,
    output: &Output,
    given: &str,
    action: PeerAction,
) -> Result<(), Failure> {
    let name = peer_name(client, given).await?;
    let answer = client.post(&format!("/v1/peers/{}/{action}", escape(&name)), Vec::new()).await?;
    if output.is_json() {
        return output.answer(&answer);
    }
    let done: ActionDone = understand(&answer)?;
    output.text(&format!("{}: {}\n", done.peer, done.text))
}

/// Every peer: a line for each of its families, and below what needs a sentence.
pub(super) fn render_list(peers: &Vec<PeerSummary>, look: Look) -> String {
    if peers.is_empty() {
        return "No peers are configured.\n".to_owned();
    }
    let mut table = Table::new([
        "PEER",
        "AS",
        "ADDRESS",
        "ROLE",
        "STATE",
        "SINCE",
        "FAMILY",
        "RECEIVED",
        "ACCEPTED",
        "FILTERED",
        "ADVERTISED",
    ]);
    for peer in peers {
        let who = [
            peer.name.as_str().into(),
            Cell::number(or_dash(peer.asn)),
            place(peer).into(),
            peer.role.map_or("-", role).into(),
            Cell::toned(state_tone(peer.state), peer.state.title()),
            Cell::number(peer.since_s.map_or_else(|| "-".into(), duration)),
        ];
        let used = peer.families.iter().filter(|f| f.negotiated && peer.state == PeerState::Established);
        let mut lines = used.map(family_cells);
        table.row(who.into_iter().chain(lines.next().into_iter().flatten()));
        for line in lines {
            table.row(std::iter::repeat_n(Cell::default(), 6).chain(line));
        }
    }
    let mut text = table.take(look);
    text.push('\n');
    let notes: Vec<String> = peers.iter().flat_map(|p| notes(p, look)).collect();
    if !notes.is_empty() {
        text += &notes.concat();
        text.push('\n');
    }
    let up = peers.iter().filter(|p| p.state == PeerState::Established).count();
    text + &format!("{up} of {} established.\n", count(peers.len() as u64, "peer"))
}

fn family_cells(f: &PeerFamily) -> [Cell; 5] {
    [
        family(f.family).into(),
        Cell::number(number(f.received)),
        Cell::number(number(f.accepted)),
        Cell::number(number(f.filtered)),
        Cell::number(number(f.advertised)),
    ]
}

/// Address, interface, or both.
fn place(peer: &PeerSummary) -> String {
    match (&peer.address, &peer.interface) {
        (Some(address), Some(interface)) => format!("{address}%{interface}"),
        (Some(address), None) => address.to_string(),
        (None, Some(interface)) => format!("on {interface}"),
        (None, None) => "-".to_owned(),
    }
}

fn state_tone(state: PeerState) -> Tone {
    match state {
        PeerState::Established => Tone::Good,
        PeerState::Down => Tone::Dim,
        _ => Tone::Bad,
    }
}

/// What a table has no room for: why a session is not up, what keeps routes out, limits that come near.
fn notes(peer: &PeerSummary, look: Look) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note =
        |tone, text: String| notes.push(format!("{}\n", look.paint(tone, &format!("{}: {text}", peer.name))));
    if peer.state != PeerState::Established
        && let Some(error) = &peer.last_error
    {
        note(Tone::Bad, error_text(error, look));
    }
    if let Some(hint) = &peer.hint {
        note(Tone::Warn, hint.clone());
    }
    for f in &peer.families {
        for (max, has, verb) in
            [(&f.max_prefix, f.accepted, "has"), (&f.max_prefix_out, f.advertised, "is sent")]
        {
            let Some(max) = max.as_ref().filter(|max| max.state != LimitState::Ok) else { continue };
            let tone = if max.state == LimitState::Warning { Tone::Warn } else { Tone::Bad };
            note(tone, limit_text(f, max, has, verb));
        }
    }
    if peer.drained {
        note(Tone::Warn, "drained: nothing is announced to it".to_owned());
    }
    notes
}

/// `IPv4 has 900,000 prefixes accepted, the limit is 900,000 (peeringdb): no more are taken`.
fn limit_text(f: &PeerFamily, max: &MaxPrefix, has: u64, verb: &str) -> String {
    let family = family(f.family);
    // What went beyond the limit went with its session: the counts of now say nothing.
    let down = max.state == LimitState::Over && (max.restarts_in_s.is_some() || !f.negotiated);
    let limits = if down {
        let limits = [
            max.limit.map(|n| format!("{} prefixes", number(n))),
            max.received_limit.map(|n| format!("{} received", number(n))),
        ];
        format!(
            "{family} was beyond its limit of {}",
            limits.into_iter().flatten().collect::<Vec<_>>().join(" or ")
        )
    } else {
        let limits = [
            max.limit
                .map(|n| format!("{family} {verb} {} prefixes, the limit is {}", number(has), number(n))),
            max.received_limit.map(|n| format!("received {} of at most {}", number(f.received), number(n))),
        ];
        limits.into_iter().flatten().collect::<Vec<_>>().join(", ")
    };
    let source = match max.source {
        LimitSource::Config => "",
        LimitSource::PeeringDb => " (PeeringDB)",
    };
    let outcome = match (max.state, max.restarts_in_s) {
        (LimitState::Blocked, _) => match f.blocked {
            0 => ": no more are taken".to_owned(),
            n => format!(": no more are taken, {} kept out", number(n)),
        },
        (LimitState::Over, Some(s)) => format!(": the session is down, and tried again in {}", duration(s)),
        (LimitState::Ok | LimitState::Warning | LimitState::Over, _) => format!(" ({})", max.action),
    };
    format!("{limits}{source}{outcome}")
}

/// `it sent Cease/Administrative Shutdown (6/2) "text", 5m ago`.
fn error_text(error: &LastError, look: Look) -> String {
    let who = match error.direction {
        Direction::Sent => "we sent ",
        Direction::Received => "it sent ",
        Direction::Local => "",
    };
    let code = match (error.code, error.subcode) {
        (Some(code), subcode) => format!(" ({code}/{})", subcode.unwrap_or(0)),
        _ => String::new(),
    };
    let text = error.text.as_deref().map(|t| match error.direction {
        Direction::Received => format!(" \"{}\"", clean(t)),
        Direction::Sent | Direction::Local => format!(", {t}"),
    });
    let text = text.unwrap_or_default();
    format!("{who}{}{code}{text}, {} ago", error.name, duration(look.now.saturating_sub(error.at)))
}

/// One peer in full.
pub(super) fn render_one(peer: &PeerDetail, look: Look) -> String {
    let summary = &peer.summary;
    let state = look.paint(state_tone(summary.state), summary.state.title());
    let since = summary.since_s.map(|s| format!(" for {}", duration(s))).unwrap_or_default();
    let mut text = format!("{}  {state}{since}\n", look.paint(Tone::Bold, &summary.name));
    if let Some(description) = &summary.description {
        text += &format!("{}\n", clean(description));
    }
    text.push('\n');
    text += &facts(peer, look).take(look);
    text.push('\n');
    text += &families(summary, look);
    text += &messages(peer, look);
    text += &capabilities(peer, look);
    text
}

fn facts(peer: &PeerDetail, look: Look) -> Table {
    let summary = &peer.summary;
    let mut table = Table::new(["", ""]);
    let mut fact = |name: &str, value: Cell| table.row([name.into(), value]);
    let kind = summary.kind.map_or("", |k| match k {
        PeerKind::External => ", external",
        PeerKind::Internal => ", internal",
    });
    let agreed = match summary.role_state {
        Some(RoleState::Agreed) => " (RFC 9234: agreed)",
        Some(RoleState::Unconfirmed) => " (RFC 9234: not confirmed by it)",
        None => "",
    };
    let peer_role = summary.role.map(|r| format!(", our {}{agreed}", role(r))).unwrap_or_default();
    let asn = summary.asn.map_or_else(|| "AS not known yet".to_owned(), |a| format!("AS{a}"));
    fact("Peer", format!("{asn}{kind}{peer_role}; we are AS{}", summary.local_asn).into());
    fact("Address", place(summary).into());
    if let (Some(local), Some(remote)) = (&peer.local_address, &peer.remote_address) {
        fact("Connection", format!("{local} (here) to {remote}").into());
    }
    if let Some(id) = peer.router_id {
        fact("Router id", id.to_string().into());
    }
    if summary.drained {
        fact("Drained", Cell::toned(Tone::Warn, "nothing is announced to it"));
    }
    if peer.passive {
        fact("Passive", "waits for the peer to connect".into());
    }
    let policy = |p: &Option<String>| p.clone().unwrap_or_else(|| "none".into());
    fact("Policies", format!("import {}, export {}", policy(&peer.import), policy(&peer.export)).into());
    let timers = peer.timers;
    let left = timers.hold_remaining_s.map(|s| format!(" ({s} s left)")).unwrap_or_default();
    let retry = timers.retry_in_s.map(|s| format!(", next attempt in {s} s")).unwrap_or_default();
    fact(
        "Timers",
        format!("hold {} s{left}, keepalive {} s{retry}", timers.hold_time_s, timers.keepalive_s).into(),
    );
    let (up, down) = (count(peer.established_count, "time"), count(peer.dropped_count, "time"));
    fact("Sessions", format!("came up {up}, went down {down}").into());
    if let Some(error) = &summary.last_error {
        let tone = if summary.state == PeerState::Established { Tone::Plain } else { Tone::Bad };
        fact("Last error", Cell::toned(tone, error_text(error, look)));
    }
    if let Some(hint) = &summary.hint {
        fact("Hint", Cell::toned(Tone::Warn, hint.as_str()));
    }
    table
}

fn families(peer: &PeerSummary, look: Look) -> String {
    let mut table = Table::new([
        "FAMILY",
        "RECEIVED",
        "ACCEPTED",
        "FILTERED",
        "BEST",
        "ADVERTISED",
        "PENDING",
        "LIMIT",
        "END-OF-RIB",
    ]);
    for f in &peer.families {
        if !f.negotiated {
            table.row([family(f.family).into(), Cell::toned(Tone::Dim, "not negotiated")]);
            continue;
        }
        let limit = f.max_prefix.as_ref().and_then(|m| m.limit.or(m.received_limit)).map(number);
        table.row([
            family(f.family).into(),
            Cell::number(number(f.received)),
            Cell::number(number(f.accepted)),
            Cell::number(number(f.filtered)),
            Cell::number(number(f.best)),
            Cell::number(number(f.advertised)),
            Cell::number(number(f.pending)),
            Cell::number(or_dash(limit)),
            if f.end_of_rib { "received" } else { "awaited" }.into(),
        ]);
    }
    table.take(look) + "\n"
}

fn messages(peer: &PeerDetail, look: Look) -> String {
    let mut table =
        Table::new(["MESSAGES", "OPEN", "UPDATE", "NOTIFICATION", "KEEPALIVE", "ROUTE-REFRESH", "OCTETS"]);
    let mut line = |name: &str, m: MessageCounts| {
        let counts = [m.open, m.update, m.notification, m.keepalive, m.route_refresh, m.bytes];
        table.row(std::iter::once(name.into()).chain(counts.map(|n| Cell::number(number(n)))));
    };
    line("received", peer.messages.received);
    line("sent", peer.messages.sent);
    table.take(look) + "\n"
}

/// Each capability once, with what each side says of it in brackets.
fn capabilities(peer: &PeerDetail, look: Look) -> String {
    let capabilities = &peer.capabilities;
    let mut names: Vec<&str> = Vec::new();
    for text in capabilities.local.iter().chain(&capabilities.remote).chain(&capabilities.negotiated) {
        let (name, _) = name_and_parameters(text);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut table = Table::new(["CAPABILITY", "OURS", "THEIRS", "USED"]);
    for name in names {
        let lists = [&capabilities.local, &capabilities.remote, &capabilities.negotiated];
        table.row(std::iter::once(name.into()).chain(sides(name, lists)));
    }
    table.take(look)
}

fn sides(name: &str, lists: [&Vec<String>; 3]) -> [Cell; 3] {
    lists.map(|list| {
        let own = list.iter().map(|text| name_and_parameters(text)).filter(|(n, _)| *n == name);
        let parameters: Vec<&str> = own.map(|(_, parameters)| parameters.unwrap_or("yes")).collect();
        if parameters.is_empty() { Cell::toned(Tone::Dim, "-") } else { parameters.join(", ").into() }
    })
}

/// `four-octet AS (64500)` is `four-octet AS` with `64500`.
fn name_and_parameters(text: &str) -> (&str, Option<&str>) {
    match text.strip_suffix(')').and_then(|t| t.split_once(" (")) {
        Some((name, parameters)) => (name, Some(parameters)),
        None => (text, None),
    }
}
