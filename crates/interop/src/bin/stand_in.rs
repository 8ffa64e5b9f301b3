//! `siskin-stand-in`: an IRRd server or a PeeringDB that knows what a file says, for namespaces, demos and trying things out.
//!
//! Commands on standard input: `fail WORD` (one of the failures of `irrd::Failure` or `peeringdb::Failure`), `heal`, `reload`
//! (reads the data again), `queries` (IRRd: prints what it was asked), `quit`. At the end of standard input it goes on. Prints `ready ADDRESS` when it listens.

use std::io::BufRead;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use siskin_interop::irrd::{self, Irrd};
use siskin_interop::peeringdb::{self, PeeringDb};
use siskin_interop::{Result, fail};

/// Stands in for servers that are not at hand.
///
/// Example: siskin-stand-in irrd --listen 127.0.0.1:4343 --data registry.txt
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    server: Server,
}

#[derive(Debug, Subcommand)]
enum Server {
    /// An IRRd server. The file has lines `source RIPE`, `set AS-X AS112 AS-Y`, `route AS112 192.0.2.0/24`.
    Irrd {
        /// Address and port to listen on.
        #[arg(long)]
        listen: SocketAddr,
        /// Its sets and routes.
        #[arg(long)]
        data: PathBuf,
    },
    /// PeeringDB's API. The files are pages of `net` as the API sends them, plain or gzip.
    Peeringdb {
        /// Address and port to listen on.
        #[arg(long)]
        listen: SocketAddr,
        /// Its records.
        #[arg(long, num_args = 1..)]
        data: Vec<PathBuf>,
    },
}

fn records(files: &[PathBuf]) -> Result<Vec<serde_json::Value>> {
    let mut records = Vec::new();
    for file in files {
        records.append(&mut peeringdb::read_page(file)?);
    }
    Ok(records)
}

/// Carries out commands until `quit`; a command that is none is told on standard error and does nothing.
fn obey(mut command: impl FnMut(&str, &str) -> Result) -> Result {
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        if word == "quit" {
            return Ok(());
        }
        if let Err(error) = command(word, rest) {
            eprintln!("{error:?}");
        }
    }
    loop {
        std::thread::park();
    }
}

fn main() -> Result {
    match Arguments::parse().server {
        Server::Irrd { listen, data } => {
            let server = Irrd::start(listen, irrd::read_file(&data)?)?;
            println!("ready {}", server.address());
            obey(|word, rest| match word {
                "fail" | "heal" => {
                    server.fail(if word == "fail" { Some(rest.parse()?) } else { None });
                    Ok(())
                }
                "queries" => {
                    println!("{}", server.queries().join("\n"));
                    Ok(())
                }
                "reload" => irrd::read_file(&data).map(|registry| server.update(|old| *old = registry)),
                _ => fail(format!("no command {word}: expected fail, heal, queries, reload or quit")),
            })
        }
        Server::Peeringdb { listen, data } => {
            let server = PeeringDb::start(listen, records(&data)?)?;
            println!("ready {}", server.url());
            obey(|word, rest| match word {
                "fail" | "heal" => {
                    server.fail(if word == "fail" { Some(rest.parse()?) } else { None });
                    Ok(())
                }
                "reload" => records(&data).map(|records| server.set_records(records)),
                _ => fail(format!("no command {word}: expected fail, heal, reload or quit")),
            })
        }
    }
}
