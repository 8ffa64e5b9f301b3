//! `siskin`: the operator's tool. It asks the daemon over its Unix socket and shows the answer as a table for people
//! or, with `--json`, as the API gave it.
//!
//! Exit codes: 0 done or found, 1 not found or a negative answer, 2 usage, 3 daemon unreachable, 4 configuration
//! invalid, 5 refused.

mod alias;
mod args;
mod client;
mod commands;
mod failure;
mod later;
mod output;
mod table;
mod words;

use std::process::ExitCode;

use clap::Parser;

use failure::Failure;
use output::Output;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let output = Output::standard();
    match run(&output).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.show(&output);
            ExitCode::from(failure.code())
        }
    }
}

async fn run(output: &Output) -> Result<(), Failure> {
    let words = alias::expand(std::env::args_os().collect())?;
    later::refuse(&words)?;
    let arguments = match args::Arguments::try_parse_from(words) {
        Ok(arguments) => arguments,
        // Help and version are no failures, and clap knows on which stream each belongs.
        Err(error) => error.exit(),
    };
    commands::run(arguments, output).await
}
