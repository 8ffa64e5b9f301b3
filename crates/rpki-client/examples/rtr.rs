//! Asks caches as the daemon does and prints what comes: `rtr HOST:PORT [HOST:PORT …]`. Ends with Ctrl-C.
#![expect(clippy::print_stdout, reason = "an example that prints")]

use std::error::Error;
use std::time::Instant;

use siskin_net::Family;
use siskin_rpki_client::{Config, Server, plain_connector, start};
use tokio::sync::mpsc;

/// Resident memory in MiB, now and at its highest.
fn memory() -> Result<(u64, u64), Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kib = |key: &str| -> Option<u64> {
        status.lines().find(|l| l.starts_with(key))?.split_whitespace().nth(1)?.parse().ok()
    };
    Ok((kib("VmRSS:").unwrap_or(0) / 1024, kib("VmHWM:").unwrap_or(0) / 1024))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut servers = Vec::new();
    for name in std::env::args().skip(1) {
        let (host, port) = name.rsplit_once(':').ok_or("usage: rtr HOST:PORT …")?;
        let host = host.trim_matches(['[', ']']).to_string();
        servers.push(Server { host, port: port.parse()?, password: None, name });
    }
    let begin = Instant::now();
    let (sender, mut updates) = mpsc::channel(4);
    let client = start(Config { servers, ..Config::default() }, plain_connector(), sender);
    loop {
        tokio::select! {
            update = updates.recv() => {
                let Some(update) = update else { break };
                let status = client.status();
                println!(
                    "{:8.3} s: +{} -{}, now {} IPv4 and {} IPv6 VRPs, {} ASPAs, {:?}",
                    begin.elapsed().as_secs_f64(), update.announced.len(), update.withdrawn.len(),
                    status.vrps[Family::Ipv4], status.vrps[Family::Ipv6], status.aspas, update.origin,
                );
                drop(update);
                let (now, most) = memory()?;
                println!("            resident: {now} MiB, at most {most} MiB");
                for server in status.servers {
                    println!(
                        "            {}: version {:?}, session {:?}, serial {:?}, {:?}",
                        server.name, server.version, server.session, server.serial, server.last_error,
                    );
                }
            }
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    client.stop().await;
    Ok(())
}
