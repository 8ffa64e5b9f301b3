//! What the tests of Siskin share: the plain topology of one peer and one Siskin, and pieces of
//! configuration.
//!
//! The peer is 10.0.0.1 and 2001:db8::1, Siskin 10.0.0.2 and 2001:db8::2; a second link, where there is one,
//! has 10.0.1.0/24 and 2001:db8:1::/64.

use std::net::IpAddr;

use crate::Result;
use crate::lab::{Lab, Ns};
use crate::router::{Announcement, Attributes, Config, Neighbor, Router};
use crate::siskin::Siskin;
use crate::wait::{SOON, wait_for, wait_some};

/// The peer's address on the first link.
pub const PEER: &str = "10.0.0.1";
/// Siskin's address on the first link.
pub const US: &str = "10.0.0.2";
/// The peer's AS number.
pub const PEER_AS: u32 = 65_001;
/// Siskin's AS number.
pub const OUR_AS: u32 = 65_002;

/// The `[router]` keys of most tests.
pub const ROUTER: &str = "asn = 65002\nrouter-id = \"10.0.0.2\"\n";

/// Both directions open, for tests that are not about policy.
pub const OPEN: &str = "import = \"accept-all\"\nexport = \"accept-all\"";

/// An address that is known to be one.
///
/// # Panics
/// When it is none: the texts are constants of tests.
#[must_use]
#[expect(clippy::expect_used, reason = "a constant of a test, wrong only when the test is")]
pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// The peer's namespace and Siskin's, on one link: `eth0` here, `up0` there.
///
/// # Errors
/// When the kernel refuses.
pub fn pair(lab: &Lab) -> Result<(Ns, Ns)> {
    let (peer, us) = (lab.ns("peer")?, lab.ns("us")?);
    first_link(lab, &peer, &us)?;
    Ok((peer, us))
}

/// A line of three: the first pair, and a second peer behind Siskin's `up1`.
///
/// # Errors
/// When the kernel refuses.
pub fn chain(lab: &Lab) -> Result<(Ns, Ns, Ns)> {
    let (peer, us) = pair(lab)?;
    let second = lab.ns("second")?;
    second_link(lab, &second, &us)?;
    Ok((peer, us, second))
}

/// The first link.
///
/// # Errors
/// When the kernel refuses.
pub fn first_link(lab: &Lab, peer: &Ns, us: &Ns) -> Result {
    lab.link(
        (peer, "eth0", &["10.0.0.1/24", "2001:db8::1/64"]),
        (us, "up0", &["10.0.0.2/24", "2001:db8::2/64"]),
    )
}

/// The second link.
///
/// # Errors
/// When the kernel refuses.
pub fn second_link(lab: &Lab, second: &Ns, us: &Ns) -> Result {
    lab.link(
        (second, "eth0", &["10.0.1.1/24", "2001:db8:1::1/64"]),
        (us, "up1", &["10.0.1.2/24", "2001:db8:1::2/64"]),
    )
}

/// The peer's configuration: one neighbour, Siskin.
#[must_use]
pub fn peer_config(routes: Vec<Announcement>) -> Config {
    let neighbor = Neighbor::new(ip(US), OUR_AS).next_hop(ip("2001:db8::1"));
    Config::new(PEER_AS, [10, 0, 0, 1], vec![neighbor], routes)
}

/// The second peer's configuration.
#[must_use]
pub fn second_config(asn: u32, routes: Vec<Announcement>) -> Config {
    let neighbor = Neighbor::new(ip("10.0.1.2"), OUR_AS).next_hop(ip("2001:db8:1::1"));
    Config::new(asn, [10, 0, 1, 1], vec![neighbor], routes)
}

/// A `[peer.NAME]` table with further keys.
#[must_use]
pub fn peer(name: &str, address: &str, asn: u32, keys: &str) -> String {
    format!("\n[peer.{name}]\naddress = \"{address}\"\nasn = {asn}\n{keys}\n")
}

/// Siskin with one open session to the first peer.
#[must_use]
pub fn open_to_peer() -> String {
    format!("{ROUTER}{}", peer("first", PEER, PEER_AS, OPEN))
}

/// Siskin with open sessions to both peers.
#[must_use]
pub fn open_to_both(second_as: u32) -> String {
    format!("{}{}", open_to_peer(), peer("second", "10.0.1.1", second_as, OPEN))
}

/// Waits for Siskin's best path.
///
/// # Errors
/// When it does not happen in time.
pub fn best(siskin: &Siskin, prefix: &str) -> Result<Attributes> {
    wait_some(&format!("siskin's best path for {prefix}"), SOON, || siskin.best(prefix))
}

/// Waits until Siskin has no path.
///
/// # Errors
/// When it does not happen in time.
pub fn gone(siskin: &Siskin, prefix: &str) -> Result {
    wait_for(&format!("siskin to lose {prefix}"), SOON, || Ok(siskin.paths(prefix)?.is_empty()))
}

/// Waits for a peer's best route.
///
/// # Errors
/// When it does not happen in time.
pub fn at_peer(router: &dyn Router, prefix: &str) -> Result<Attributes> {
    let prefix = prefix.parse()?;
    wait_some(&format!("the peer's route for {prefix}"), SOON, || router.route(prefix))
}

/// Waits until a peer has no route.
///
/// # Errors
/// When it does not happen in time.
pub fn gone_at_peer(router: &dyn Router, prefix: &str) -> Result {
    let prefix = prefix.parse()?;
    wait_for(&format!("the peer to lose {prefix}"), SOON, || Ok(router.route(prefix)?.is_none()))
}
