//! How long the filter takes with many ports: `unshare -n filter_scale [PORTS]` makes the rules, gives them to `nft`, and
//! then changes one port. Times are printed; nothing else is.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Instant;

use siskin_neighbor::guard::{Counts, DomainView, Hook, PortView, Ruleset, View};
use siskin_neighbor::{Gateway, Guard, Mac};

fn nft(text: &str) -> std::io::Result<()> {
    let mut child = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text.as_bytes())?;
    }
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(std::io::Error::other(format!("nft: {status}"))) }
}

fn port(number: u32) -> PortView {
    let [_, a, b, c] = number.to_be_bytes();
    let mac = Mac([0x52, 0, 0, a, b, c]);
    let six = std::net::Ipv6Addr::from_bits(0x2001_0db8_0100_0000_0000_0000_0000_0000 | u128::from(number));
    PortView {
        index: number + 10,
        name: format!("tap{number}i0").into(),
        owners: vec![(mac, [10, a, b, c].into()), (mac, six.into())],
    }
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    println!("{what}: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    result
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ports: u32 = std::env::args().nth(1).map_or(Ok(4000), |text| text.parse())?;
    let mut view = View {
        domains: vec![DomainView {
            name: "vmbr1".into(),
            hook: Hook::Bridge,
            bridge: Some("vmbr1".into()),
            guard: Guard::Pinned,
            isolate: true,
            gateway: Gateway { ipv4: Some("169.254.0.1".parse()?), ipv6: Some("fe80::1".parse()?) },
            mac: None,
            prefixes: vec!["10.0.0.0/8".parse()?, "2001:db8:100::/56".parse()?],
            declared: Vec::new(),
            ports: (0..ports).map(port).collect(),
            unplaced: Vec::new(),
        }],
        ..View::default()
    };
    let none = Ruleset::default();
    let whole = timed("rules of all ports", || Ruleset::of(&view));
    let text = timed("their text", || whole.change_from(&none, &Counts::default()));
    timed("nft, all ports", || nft(&text))?;
    if let Some(domain) = view.domains.first_mut() {
        domain.ports.push(port(ports));
    }
    let more = timed("rules with one port more", || Ruleset::of(&view));
    let text = timed("the difference", || more.change_from(&whole, &Counts::default()));
    timed("nft, one port more", || nft(&text))?;
    let text = timed("the difference back", || whole.change_from(&more, &Counts::default()));
    timed("nft, one port less", || nft(&text))?;
    let mut list = Command::new("nft");
    list.args(["-j", "list", "table", "bridge", "siskin"]).stdout(Stdio::null());
    timed("nft, listing as JSON", || list.status())?;
    Ok(())
}
