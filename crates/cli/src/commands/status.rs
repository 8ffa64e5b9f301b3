//! `siskin status`.

use siskin_api::Status;
use siskin_net::Family;

use crate::output::{Look, Tone};
use crate::table::{Cell, Table};
use crate::words::{count, duration, family, number};

/// The daemon at a glance.
pub(super) fn render(status: &Status, look: Look) -> String {
    let host = status.hostname.as_deref().map(|h| format!(" on {h}")).unwrap_or_default();
    let mut text = format!(
        "siskind {}{host}, AS{}, router id {}, up {}\n\n",
        status.version,
        status.asn,
        status.router_id,
        duration(status.uptime_s)
    );
    let mut facts = Table::new(["", ""]);
    let ready = if status.ready { Cell::toned(Tone::Good, "yes") } else { Cell::toned(Tone::Bad, "no") };
    facts.row(["Ready".into(), ready]);
    for gate in status.gates.iter().filter(|g| !g.open) {
        facts.row(["".into(), Cell::toned(Tone::Warn, format!("{}: {}", gate.name, gate.text))]);
    }
    if status.drained {
        facts.row([
            "Drained".into(),
            Cell::toned(Tone::Warn, "nothing is announced; `siskin undrain` or the configuration ends it"),
        ]);
    }
    let peers = status.peers;
    let all_up = peers.established == peers.configured;
    let established = format!("{} of {} established", number(peers.established), number(peers.configured));
    facts.row(["Peers".into(), Cell::toned(if all_up { Tone::Good } else { Tone::Warn }, established)]);
    facts.row(["Host routes".into(), format!("{} announced", number(status.host_routes)).into()]);
    for advice in status.kernel.iter().flat_map(|k| &k.advice) {
        facts.row(["Kernel".into(), Cell::toned(Tone::Warn, advice.clone())]);
    }
    let config = &status.config;
    facts.row([
        "Configuration".into(),
        format!("{}, generation {}, in force for {}", config.file, config.generation, duration(config.age_s))
            .into(),
    ]);
    if config.warnings > 0 {
        facts.row(["".into(), Cell::toned(Tone::Warn, count(config.warnings, "warning"))]);
    }
    if let Some(error) = &config.last_error {
        facts.row(["".into(), Cell::toned(Tone::Bad, format!("the last reload failed: {error}"))]);
    }
    text += &facts.take(look);
    text.push('\n');
    let mut tables = Table::new(["", "PREFIXES", "PATHS", "IN KERNEL", "PENDING", "FAILED"]);
    for f in Family::ALL {
        let (rib, fib) = (status.rib[f], status.fib[f]);
        let failed = Cell::number(number(fib.failed));
        tables.row([
            family(f).into(),
            Cell::number(number(rib.prefixes)),
            Cell::number(number(rib.paths)),
            Cell::number(number(fib.installed)),
            Cell::number(number(fib.pending)),
            if fib.failed > 0 { failed.tone(Tone::Bad) } else { failed },
        ]);
    }
    text + &tables.take(look)
}
