//! `siskin-demo-edge`: an edge with two upstreams, an exchange and a customer, in namespaces of this machine.
//!
//! Eleven lines of configuration stand where a filter generator, its cron job and the router it feeds stood. What an operator would
//! look at is printed step by step; each step checks what it shows: the first that fails ends the demo with status 1. The namespaces
//! go in any case.

mod network;
mod services;
mod speaker;
mod steps;
mod watch;

use clap::Parser;
use siskin_interop::Result;
use siskin_interop::lab::{Lab, clean_up_on_signals};
use siskin_interop::show::Show;

use network::{CONFIG, DRAWING, Network};

/// Siskin at the edge of an AS: filters by RPKI, IRR, PeeringDB and role.
///
/// Needs root, frr, bird2 and stayrtr (`make setup`). Example: siskin-demo-edge
#[derive(Debug, Parser)]
struct Arguments {
    /// Wait for Enter after every step, and before cleaning up after a failure.
    #[arg(long)]
    pause: bool,
}

fn main() {
    let show = Show::new(Arguments::parse().pause);
    clean_up_on_signals();
    match run(&show) {
        Ok(()) => show.say("Done: all steps worked. The namespaces are gone."),
        Err(error) => {
            show.say(&format!("FAILED: {error}"));
            std::process::exit(1);
        }
    }
}

fn run(show: &Show) -> Result {
    let lab = Lab::new("demo-edge")?;
    let result = all(&lab, show);
    if result.is_err() {
        lab.keep();
    }
    show.pause();
    result
}

fn all(lab: &Lab, show: &Show) -> Result {
    show.step(
        "The network",
        "Namespaces stand for machines, veth pairs for cables. This is the whole configuration of the edge; two of its lines name \
         stand-ins for the registry and PeeringDB, which would be there without.",
    );
    println!("{DRAWING}\n");
    show.quote("siskin.toml", CONFIG);
    let mut net = Network::start(lab)?;
    steps::sessions(&net, show)?;
    steps::filtered(&net, show)?;
    steps::vrp_goes(&mut net, show)?;
    steps::blackhole(&mut net, show)?;
    steps::export(&net, show)?;
    steps::limit(&mut net, show)?;
    steps::sources_fail(&mut net, show)?;
    steps::drain(&net, show)
}
