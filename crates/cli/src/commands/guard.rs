//! `siskin guard`: what VM ports were refused, and what their filter dropped.

use std::process::Command;

use siskin_api::{FilterState, GuardPort, GuardView};

use super::{Client, Failure, Output, act, show};
use crate::args::GuardAction;
use crate::output::{Look, Tone};
use crate::table::{Cell, Table};
use crate::words::number;

pub(super) async fn run(
    client: &Client,
    output: &Output,
    action: Option<GuardAction>,
    all: bool,
) -> Result<(), Failure> {
    match action {
        None => show(client, output, "/v1/guard", |view, look| render(view, all, look)).await,
        Some(GuardAction::Remove) => match act(client, output, "/v1/guard/remove", Vec::new()).await {
            Err(Failure::Unreachable(why)) => remove_tables(output, &why),
            done => done,
        },
    }
}

/// Without a daemon the rules it left behind are ours to remove.
fn remove_tables(output: &Output, why: &str) -> Result<(), Failure> {
    let mut removed = 0;
    for family in ["bridge", "netdev"] {
        let nft = |verb: &str| Command::new("nft").args([verb, "table", family, "siskin"]).output();
        let failed = |what: &str| Failure::Unreachable(format!("{what} (and {why})"));
        let there = nft("list").map_err(|e| failed(&format!("`nft` cannot be run: {e}")))?;
        if !there.status.success() {
            if !String::from_utf8_lossy(&there.stderr).contains("No such file") {
                return Err(failed(String::from_utf8_lossy(&there.stderr).trim()));
            }
            continue;
        }
        let done = nft("delete").map_err(|e| failed(&format!("`nft` cannot be run: {e}")))?;
        if !done.status.success() {
            return Err(failed(String::from_utf8_lossy(&done.stderr).trim()));
        }
        removed += 1;
    }
    output.text(match removed {
        0 => "There is no daemon, and no filter in the kernel.\n",
        _ => "There is no daemon; the filter that it left is out of the kernel.\n",
    })
}

/// The filter, then a line for each port and reason; ports without any only with `all`.
pub(super) fn render(view: &GuardView, all: bool, look: Look) -> String {
    let (tone, state) = match view.filter.state {
        FilterState::Off => (Tone::Plain, "off: no interface that is there has `filter = true`"),
        FilterState::Installed => (Tone::Good, "in the kernel"),
        FilterState::Removed => (Tone::Warn, "removed by hand; `siskin config apply` puts it back"),
        FilterState::Failed => (Tone::Bad, "NOT in the kernel"),
    };
    let mut head = Table::new(["", ""]);
    head.row(["Filter".into(), Cell::toned(tone, state)]);
    if let Some(error) = &view.filter.error {
        head.row(["".into(), Cell::toned(Tone::Bad, error)]);
    }
    if view.filter.mended > 0 {
        head.row(["Put back".into(), format!("{} times", number(view.filter.mended)).into()]);
    }
    let refused: u64 = view.ports.iter().flat_map(|p| &p.refused).map(|r| r.frames).sum();
    let dropped: u64 = view.dropped.iter().map(|d| d.packets).sum();
    head.row(["Claims refused".into(), number(refused).into()]);
    head.row(["Frames dropped".into(), number(dropped).into()]);
    let mut text = head.take(look);
    let mut ports = Table::new(["PORT", "INTERFACE", "FILTERED", "WHAT", "WHY", "FRAMES"]);
    for port in &view.ports {
        port_rows(port, all, &mut ports);
    }
    text.push('\n');
    if ports.is_empty() {
        return text + "No port was refused anything.\n";
    }
    text + &ports.take(look)
}

fn port_rows(port: &GuardPort, all: bool, table: &mut Table) {
    let mut row = |what: &str, why: &str, frames: Option<u64>| {
        let filtered = if port.filtered { "yes" } else { "no" };
        let frames = frames.map_or(Cell::default(), |frames| Cell::number(number(frames)));
        table.row([
            port.port.as_str().into(),
            port.interface.as_str().into(),
            filtered.into(),
            what.into(),
            why.into(),
            frames,
        ]);
    };
    let before = port.refused.len() + port.dropped.len();
    for refused in &port.refused {
        row("claim refused", &refused.reason, Some(refused.frames));
    }
    for dropped in &port.dropped {
        row("dropped", &dropped.reason, Some(dropped.packets));
    }
    if port.throttled > 0 {
        row("not read", "more than it may send", Some(port.throttled));
    }
    if before == 0 && port.throttled == 0 && all {
        row("-", "-", None);
    }
}
