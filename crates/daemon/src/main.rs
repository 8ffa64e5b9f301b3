//! `siskind`: the Siskin BGP daemon.
//!
//! This file reads the arguments, checks the configuration, and runs the daemon until a signal ends it. Exit codes:
//! 0 a clean stop or a good configuration, 1 the daemon could not start or failed, 2 usage, 4 the configuration is
//! invalid.

mod backend;
mod clock;
mod core;
mod daemon;
mod drain;
mod guard;
mod hosts;
mod http;
mod kernel;
mod limits;
mod listener;
mod local;
mod logging;
mod metrics;
mod peer;
mod privileges;
mod readiness;
mod reload;
mod restart;
mod sources;
mod state_file;
mod tcp;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The Siskin BGP daemon. Runs in the foreground and logs to standard error. SIGHUP reloads the configuration,
/// SIGTERM stops cleanly.
#[derive(Parser)]
#[command(
    name = "siskind",
    version,
    after_help = "Example: siskind --config /etc/siskin/siskin.toml --check"
)]
struct Arguments {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", default_value = "/etc/siskin/siskin.toml")]
    config: PathBuf,
    /// Check the configuration, print what is wrong with it, and exit: 0 good, 4 invalid.
    #[arg(long)]
    check: bool,
}

const INVALID_CONFIGURATION: u8 = 4;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let loaded = match siskin_config::load(&arguments.config) {
        Ok(loaded) => loaded,
        Err(diagnostics) => {
            eprint!("{}", diagnostics.render(color));
            return ExitCode::from(INVALID_CONFIGURATION);
        }
    };
    if !loaded.warnings.is_empty() {
        eprint!("{}", loaded.warnings.render(color));
    }
    if arguments.check {
        println!("{}: the configuration is good", arguments.config.display());
        return ExitCode::SUCCESS;
    }
    logging::start();
    match run(arguments.config, loaded) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(file: PathBuf, loaded: siskin_config::Loaded) -> Result<(), String> {
    let missing = privileges::missing_capabilities(&loaded.config);
    if !missing.is_empty() {
        return Err(missing.join("; "));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("io")
        .build()
        .map_err(|e| format!("cannot start the runtime: {e}"))?;
    runtime.block_on(daemon::run(file, loaded))
}
