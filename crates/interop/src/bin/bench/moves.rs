//! What a VM loses when it moves between hypervisors that are both alive, below a leaf of FRR or BIRD that uses one path
//! or all equal ones: a packet every millisecond from the leaf and back, in both families, from before the move until the
//! new route has settled. The old hypervisor keeps the port, with carrier: all it hears of the move is BGP.

use std::time::Duration;

use siskin_interop::Result;
use siskin_interop::fabric::{Fabric, LEAF, Plan, Roamer};
use siskin_interop::lab::Lab;
use siskin_interop::router::Kind;
use siskin_interop::stream::{Loss, Streams};
use siskin_interop::wait::{SOON, wait_for};

use super::Arguments;

/// How long a fresh announcement is preferred here.
const HOLD: Duration = Duration::from_secs(3);

/// What of a move's streams: family and direction.
const STREAMS: [&str; 4] = ["IPv4 to the VM", "IPv6 to the VM", "IPv4 from it", "IPv6 from it"];

/// Moves so many VMs below each leaf and prints what was lost.
pub(super) fn run_all(arguments: &Arguments) -> Result {
    println!(
        "{} moves below each leaf; packets lost and the longest gap in ms, median and most",
        arguments.rounds
    );
    let heads: String = STREAMS.iter().map(|name| format!("{name:>28}")).collect();
    println!("{:20}{heads}{:>16}", "", "on no cable");
    for leaf in Kind::ALL {
        for multipath in [false, true] {
            let lab = Lab::new("moves")?;
            let result = below(&lab, leaf, multipath, arguments.rounds);
            if result.is_err() {
                lab.keep();
            }
            result.map_err(|e| e.during(leaf))?;
        }
    }
    Ok(())
}

fn below(lab: &Lab, leaf: Kind, multipath: bool, moves: usize) -> Result {
    let fabric = Fabric::new(lab, &Plan { leaf, multipath: Some(multipath), hold: HOLD })?;
    let mut losses: [Vec<Loss>; STREAMS.len()] = Default::default();
    let mut unplugged = Vec::new();
    for number in (10..).take(moves) {
        let (took, lost) = one(lab, &fabric, number)?;
        unplugged.push(took);
        for (list, loss) in losses.iter_mut().zip(lost) {
            list.push(loss);
        }
    }
    let cells: String = losses.iter().map(|list| format!("{:>28}", cell(list))).collect();
    unplugged.sort_unstable();
    let took = unplugged.get(unplugged.len() / 2).copied().unwrap_or_default();
    let name = format!("{leaf}, {}", if multipath { "ECMP" } else { "single path" });
    println!("{name:20}{cells}{:>13.1} ms", took.as_secs_f64() * 1e3);
    Ok(())
}

/// Packets lost, and the longest gap: median (most).
fn cell(list: &[Loss]) -> String {
    let of = |field: fn(&Loss) -> u64| {
        let mut values: Vec<u64> = list.iter().map(field).collect();
        values.sort_unstable();
        let middle = values.get(values.len() / 2).copied().unwrap_or_default();
        format!("{middle} ({})", values.last().copied().unwrap_or_default())
    };
    format!("{} / {} ms", of(|loss| loss.lost), of(|loss| loss.gap_ms))
}

/// A VM's move, and what each of its streams lost.
fn one(lab: &Lab, fabric: &Fabric, number: u8) -> Result<(Duration, Vec<Loss>)> {
    let roamer = Roamer::new(lab, fabric, number)?;
    let vm = roamer.vm();
    let (four, six) = (vm.address4(), vm.address6());
    vm.speak()?;
    for prefix in [vm.v4(), vm.v6()] {
        fabric.wait_path(&prefix, "65101 65101", SOON)?;
    }
    for address in [&four, &six] {
        wait_for("an answer to the leaf", SOON, || fabric.leaf_ns.pings(address, 1))?;
    }
    let streams = Streams::start((&fabric.leaf_ns, &LEAF), (vm.ns(), &[&four, &six]))?;
    std::thread::sleep(Duration::from_secs(1));
    let took = roamer.go()?;
    for prefix in [vm.v4(), vm.v6()] {
        fabric.wait_path(&prefix, "65102 65102", HOLD + SOON)?;
    }
    std::thread::sleep(Duration::from_secs(1));
    let [to, from] = streams.finish_each()?;
    Ok((took, to.into_iter().chain(from).collect()))
}
