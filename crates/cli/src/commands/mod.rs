//! The commands: each asks the daemon and shows the answer. What is shown is made by plain functions of the answer.

mod config;
mod doctor;
mod drain;
mod explain;
mod fib;
mod guard;
mod host_routes;
mod irr;
mod manual;
mod monitor;
mod peers;
mod policy;
mod routes;
mod rpki;
mod status;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use siskin_api::{Done, PeerSummary};

use crate::args::{Arguments, Command, DEFAULT_SOCKET};
use crate::client::{Client, understand};
use crate::failure::Failure;
use crate::output::{Look, Output};
use crate::words::clean;

/// Runs a command.
pub(crate) async fn run(arguments: Arguments, output: &Output) -> Result<(), Failure> {
    output.set_json(arguments.json);
    let client = Client::new(socket(arguments.socket));
    match arguments.command {
        Command::Status => show(&client, output, "/v1/status", status::render).await,
        Command::Peers { peer: None } => show(&client, output, "/v1/peers", peers::render_list).await,
        Command::Peers { peer: Some(peer) } => peers::one(&client, output, &peer).await,
        Command::Routes(arguments) => routes::run(&client, output, arguments).await,
        Command::Explain { prefix, peer } => explain::run(&client, output, prefix, peer).await,
        Command::HostRoutes { action } => host_routes::run(&client, output, action).await,
        Command::Guard { all, action } => guard::run(&client, output, action, all).await,
        Command::Fib(arguments) => fib::run(&client, output, arguments).await,
        Command::Nexthops => show(&client, output, "/v1/nexthops", fib::render_nexthops).await,
        Command::Peer { peer, action } => peers::act(&client, output, &peer, action.into()).await,
        Command::Rpki { action } => rpki::run(&client, output, action).await,
        Command::Irr { action } => irr::run(&client, output, action).await,
        Command::Policy { action } => policy::run(&client, output, action).await,
        Command::Drain => drain::run(&client, output, true).await,
        Command::Undrain => drain::run(&client, output, false).await,
        Command::Config { action } => config::run(&client, output, action).await,
        Command::Monitor { kind } => monitor::run(&client, output, kind).await,
        Command::Completions { shell } => manual::completions(output, shell),
        Command::Man { out } => manual::man(output, out.as_deref()),
    }
}

/// The option, else the environment, else the default.
fn socket(option: Option<PathBuf>) -> PathBuf {
    let environment = || std::env::var_os("SISKIN_SOCKET").filter(|s| !s.is_empty()).map(PathBuf::from);
    option.or_else(environment).unwrap_or_else(|| PathBuf::from(DEFAULT_SOCKET))
}

/// Asks and shows: for programs the answer as it came, for people what `render` makes of it.
async fn show<T: serde::de::DeserializeOwned>(
    client: &Client,
    output: &Output,
    path: &str,
    render: impl FnOnce(&T, Look) -> String,
) -> Result<(), Failure> {
    let answer = client.get(path).await?;
    if output.is_json() {
        return output.answer(&answer);
    }
    output.text(&render(&understand(&answer)?, output.look()))
}

/// Acts and shows the sentence that comes back.
async fn act(client: &Client, output: &Output, path: &str, body: Vec<u8>) -> Result<(), Failure> {
    done(output, &client.post(path, body).await?)
}

/// Shows the sentence that came back.
fn done(output: &Output, answer: &[u8]) -> Result<(), Failure> {
    if output.is_json() {
        return output.answer(answer);
    }
    let done: Done = understand(answer)?;
    output.text(&format!("{}\n", clean(&done.text)))
}

/// A request's body.
fn body<T: serde::Serialize>(request: &T) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(request).map_err(|e| Failure::Usage(format!("this has no JSON form: {e}")))
}

/// A file as the daemon must be told of it.
fn absolute(file: &Path) -> Result<String, Failure> {
    let file = std::path::absolute(file)
        .map_err(|e| Failure::Usage(format!("the file's path cannot be made absolute: {e}")))?;
    Ok(file.display().to_string())
}

/// A peer's name: what was given, unless that is the address of a peer.
async fn peer_name(client: &Client, given: &str) -> Result<String, Failure> {
    let Ok(address) = given.parse::<IpAddr>() else { return Ok(given.to_owned()) };
    let peers: Vec<PeerSummary> = client.get_as("/v1/peers").await?;
    match peers.into_iter().find(|p| p.address == Some(address)) {
        Some(peer) => Ok(peer.name),
        None => Err(Failure::Negative(Some(format!("no peer has the address {address}")))),
    }
}

#[cfg(test)]
mod tests;
