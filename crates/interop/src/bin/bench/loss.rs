//! What is lost through a hypervisor while something happens to it: every event of [`siskin_interop::loss`], Siskin beside
//! BIRD 2 and FRR in the same network, in turns.

use siskin_interop::Result;
use siskin_interop::lab::Lab;
use siskin_interop::loss::{Event, Outcome, Scene};
use siskin_interop::make::Make;
use siskin_interop::stream::RATE;

use super::{Arguments, median_of};

/// Packets lost and the longest time without any, of one direction.
type Cost = (u64, u64);

/// What the rounds found of one event: from the VM, and to it.
type Found = Vec<[Cost; 2]>;

/// Runs all rounds and prints the medians.
pub(super) fn run_all(arguments: &Arguments) -> Result {
    let (rounds, makes) = (arguments.rounds, arguments.makes(&Make::ALL));
    println!(
        "{RATE} packets a second and family in each direction; an event on the left way touches half of those from the VM; \
         {rounds} rounds"
    );
    let mut found: Vec<Vec<Found>> = makes.iter().map(|_| vec![Found::new(); Event::ALL.len()]).collect();
    for round in 1..=rounds {
        for (make, list) in makes.iter().copied().zip(&mut found) {
            all_events(round, make, list).map_err(|e| e.during(make))?;
        }
    }
    println!("\nmedians of {rounds}: packets lost and milliseconds, from the VM | to the VM");
    let heads: String = makes.iter().map(|make| format!("{make:>32}")).collect();
    println!("{:28}{heads}", "");
    for (number, event) in Event::ALL.iter().enumerate() {
        let cells: String = found.iter().map(|list| cell(list.get(number))).collect();
        println!("{:28}{cells}", event.name());
    }
    Ok(())
}

/// One network for all events, one after the other; another one where a daemon does not come back to what it was.
fn all_events(round: usize, make: Make, list: &mut [Found]) -> Result {
    let mut scene: Option<(Scene, Lab)> = None;
    for (event, found) in Event::ALL.into_iter().zip(list) {
        let (mut now, lab) = match scene.take() {
            Some(standing) => standing,
            None => {
                let lab = Lab::new("loss")?;
                (Scene::new(&lab, make)?, lab)
            }
        };
        let outcome = match now.run(event) {
            Ok(outcome) => outcome,
            Err(error) => {
                println!("    {make}, {}: {error}", event.name());
                continue;
            }
        };
        let shown = outcome.as_ref().map(costs).map_or_else(|| "-".to_owned(), |costs| line(&costs));
        println!("round {round} {make:8}{:28}{shown:>32}", event.name());
        found.extend(outcome.as_ref().map(costs));
        match now.put_right(event) {
            Ok(()) => scene = Some((now, lab)),
            Err(error) => println!("    {make} was not what it was before: {error}"),
        }
    }
    Ok(())
}

fn costs(outcome: &Outcome) -> [Cost; 2] {
    outcome.each_ref().map(|loss| (loss.lost, loss.gap_ms))
}

fn line(costs: &[Cost; 2]) -> String {
    let [(lost, gap), (back, back_gap)] = costs;
    format!("{lost:>6} {gap:>6} | {back:>6} {back_gap:>6}")
}

fn cell(found: Option<&Found>) -> String {
    let text = match found.filter(|found| !found.is_empty()) {
        None => "-".to_owned(),
        Some(found) => {
            let number = |pick: fn(&[Cost; 2]) -> u64| median_of(found.iter().map(pick)).unwrap_or_default();
            line(&[
                (number(|[(lost, _), _]| *lost), number(|[(_, gap), _]| *gap)),
                (number(|[_, (lost, _)]| *lost), number(|[_, (_, gap)]| *gap)),
            ])
        }
    };
    format!("{text:>32}")
}
