//! Structured logs on standard error, in the form the journal likes when started by systemd.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging. `SISKIN_LOG` filters as `RUST_LOG` does elsewhere (`info` is the default); `SISKIN_LOG_FORMAT=json`
/// prints one JSON object a line.
pub(crate) fn start() {
    let filter = EnvFilter::try_from_env("SISKIN_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    if std::env::var("SISKIN_LOG_FORMAT").is_ok_and(|f| f == "json") {
        builder.json().flatten_event(true).init();
    } else if journal {
        builder.without_time().init();
    } else {
        builder.init();
    }
}
