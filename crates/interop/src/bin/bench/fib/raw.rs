//! The bound of an install: a writer that does nothing but send ready-made messages, in order of prefix, by next-hop
//! objects, 64 KiB at a time, and asks for no answer.

use std::path::Path;
use std::time::Instant;

use siskin_interop::lab::{Lab, Ns};
use siskin_interop::{Result, mrt};
use siskin_net::{Family, Prefix};
use socket2::{Domain, Protocol, Socket, Type};

use super::super::Arguments;

const AF_NETLINK: i32 = 16;
const NETLINK_ROUTE: i32 = 0;
const RTM_NEWROUTE: u16 = 24;
/// Request, create, exclusively.
const FLAGS: u16 = 0x1 | 0x400 | 0x200;
const ROOM: usize = 64 * 1024;
const OBJECTS: [(Family, u32); 2] = [(Family::Ipv4, 77), (Family::Ipv6, 78)];

/// Seconds for the whole table, both families.
pub(super) fn install(lab: &Lab, mrt: &Path, arguments: &Arguments) -> Result<f64> {
    let (us, peer) = (lab.ns("us")?, lab.ns("one")?);
    lab.link(
        (&peer, "eth0", &["10.0.0.1/24", "2001:db8::1/64"]),
        (&us, "up0", &["10.0.0.2/24", "2001:db8::2/64"]),
    )?;
    us.ip("nexthop add id 77 via 10.0.0.1 dev up0")?;
    us.ip("nexthop add id 78 via 2001:db8::1 dev up0")?;
    let mut prefixes: Vec<Prefix> = Vec::new();
    let (mut four, mut six) = (0, 0);
    mrt::routes(mrt, arguments.as_peer, |prefix, _| {
        let count = if prefix.family() == Family::Ipv4 { &mut four } else { &mut six };
        if *count < arguments.limit {
            *count += 1;
            prefixes.push(prefix);
        }
        Ok(())
    })?;
    prefixes.sort_unstable();
    prefixes.dedup();
    let mut batches: Vec<Vec<u8>> = vec![Vec::new()];
    for prefix in prefixes {
        let message = message(prefix);
        match batches.last_mut().filter(|batch| batch.len() + message.len() <= ROOM) {
            Some(batch) => batch.extend(message),
            None => batches.push(message),
        }
    }
    send(&us, &batches)
}

fn send(us: &Ns, batches: &[Vec<u8>]) -> Result<f64> {
    us.within(|| {
        let socket = Socket::new(Domain::from(AF_NETLINK), Type::RAW, Some(Protocol::from(NETLINK_ROUTE)))?;
        socket.set_send_buffer_size(1 << 20)?;
        let start = Instant::now();
        for batch in batches {
            socket.send(batch)?;
        }
        Ok(start.elapsed().as_secs_f64())
    })
}

/// A route of protocol 201 and metric 32 in the table `main`.
fn message(prefix: Prefix) -> Vec<u8> {
    let bits = prefix.bits().to_be_bytes();
    let (family, length) = if prefix.family() == Family::Ipv4 { (2, 4) } else { (10, 16) };
    let object = OBJECTS.iter().find(|(family, _)| *family == prefix.family()).map_or(0, |(_, id)| *id);
    let mut message = vec![0; 16];
    message.extend([family, prefix.len(), 0, 0, 254, 201, 0, 1, 0, 0, 0, 0]);
    let attributes: [(u16, &[u8]); 3] =
        [(1, bits.get(..length).unwrap_or_default()), (6, &32u32.to_ne_bytes()), (30, &object.to_ne_bytes())];
    for (kind, data) in attributes {
        message.extend(u16::try_from(4 + data.len()).unwrap_or(0).to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend(data);
    }
    let head = [
        &u32::try_from(message.len()).unwrap_or(0).to_ne_bytes()[..],
        &RTM_NEWROUTE.to_ne_bytes(),
        &FLAGS.to_ne_bytes(),
    ];
    for (slot, octet) in message.iter_mut().zip(head.concat()) {
        *slot = octet;
    }
    message
}
