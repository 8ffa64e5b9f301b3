//! Packets through a hypervisor with Siskin while something happens to it: 1,000 a second, family and direction. What the
//! kernel keeps or a group does by itself loses nothing; what must be noticed first loses little. `siskin-bench --loss`
//! measures the same beside BIRD and FRR.

use siskin_interop::Result;
use siskin_interop::lab::lab;
use siskin_interop::loss::{Event, Scene};
use siskin_interop::make::Make;

/// What an event may cost from the VM, and to it: the longest time without packets, in milliseconds. A loaded machine
/// delays everybody; what is promised is much less.
type Bound = [u64; 2];

/// The upstream's part: it has to notice, and to tell beyond.
const UPSTREAM: u64 = 5_000;

fn at_most(event: Event, bound: Bound) -> Result {
    lab("loss", |lab| {
        let mut scene = Scene::new(lab, Make::Siskin)?;
        let losses = scene.run(event)?;
        let losses = losses.ok_or_else(|| siskin_interop::Error::new("nothing happened"))?;
        for (loss, bound) in losses.iter().zip(bound) {
            println!("{:28} {loss}", event.name());
            assert!(loss.sent > 3_000, "{losses:?}");
            assert!(loss.gap_ms <= bound, "{losses:?}");
            assert!(bound > 0 || loss.lost == 0, "{losses:?}");
        }
        scene.put_right(event)
    })
}

#[test]
fn a_reload_loses_nothing() -> Result {
    at_most(Event::Reload, [0, 0])
}

#[test]
fn another_weight_loses_nothing() -> Result {
    at_most(Event::Weight, [0, 0])
}

#[test]
fn a_restart_loses_nothing() -> Result {
    at_most(Event::Restart, [0, 0])
}

#[test]
fn a_crash_loses_nothing() -> Result {
    at_most(Event::Crash, [0, 0])
}

#[test]
fn a_link_that_goes_down_loses_little() -> Result {
    at_most(Event::LinkDown, [500, UPSTREAM])
}

#[test]
fn a_link_that_comes_back_loses_little() -> Result {
    at_most(Event::LinkUp, [500, UPSTREAM])
}

#[test]
fn a_closed_session_loses_nothing_on_the_way_out() -> Result {
    at_most(Event::SessionClosed, [0, UPSTREAM])
}

#[test]
fn a_killed_peer_loses_nothing_on_the_way_out() -> Result {
    at_most(Event::PeerKilled, [0, UPSTREAM])
}

/// Its kernel has no routes for a moment before it hangs up.
#[test]
fn a_stopped_peer_loses_little() -> Result {
    at_most(Event::PeerStopped, [1_000, UPSTREAM])
}

/// Long before the hold time is over.
#[test]
fn a_silent_gateway_is_left() -> Result {
    at_most(Event::Silent, [10_000, 60_000])
}

#[test]
fn other_addresses_of_our_own_lose_nothing_on_the_way_out() -> Result {
    at_most(Event::OwnAddress, [0, UPSTREAM])
}

#[test]
fn other_addresses_of_the_upstream_lose_nothing_on_the_way_out() -> Result {
    at_most(Event::TheirAddress, [0, UPSTREAM])
}
