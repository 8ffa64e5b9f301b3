//! Failover that does not depend on the number of routes: the groups change, and the routes that use them do not.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use siskin_net::{IfIndex, NextHopGroup};

use super::Fib;

impl Fib {
    /// A BGP session is lost, or the gateways answer no more: takes these gateways out of the kernel's next-hop groups at once, with one message for
    /// each group that keeps another member; returns how many groups were changed. Single-hop routes, groups without
    /// another member, and inline routes wait for the RIB's changes. Until [`Fib::restore_gateways`] nothing puts the
    /// gateways back into these groups; a group first wanted later is made as wanted, since the RIB knows better.
    ///
    /// With `net.ipv4.nexthop_compat_mode` 0 the kernel's work does not depend on the number of IPv4 routes, and of
    /// IPv6 ones it only visits each (a quarter of a microsecond); with 1, its default, it announces each of both. If
    /// the exchange with the kernel fails, 0 is returned and [`Fib::write`] does the rest.
    pub fn fail_gateways(&mut self, gateways: &[(IfIndex, IpAddr)]) -> usize {
        match self.fail(gateways) {
            Ok(edited) => edited,
            Err(error) => {
                tracing::warn!(%error, "taking failed gateways out of next-hop groups failed");
                self.book.objects.suspect = true;
                0
            }
        }
    }

    fn fail(&mut self, gateways: &[(IfIndex, IpAddr)]) -> io::Result<usize> {
        let objects = &mut self.book.objects;
        if !objects.enabled {
            return Ok(0);
        }
        let first = objects.fail(gateways, &mut self.channel, &mut self.batch)?;
        if first.refused == 0 {
            return Ok(first.edited);
        }
        // Another member went with its link and no event told so far: with the kernel's view it will do.
        let lost = objects.verify(&mut self.channel).map_err(io::Error::other)?;
        let second = objects.fail(gateways, &mut self.channel, &mut self.batch);
        self.book.lost(&lost);
        self.heal_at = Some(Instant::now());
        Ok(first.edited + second?.edited)
    }

    /// A bundle goes elsewhere: its group gets other hops with one message, and all its routes follow. Where that cannot be
    /// (no next-hop objects, none of the hops can be used) nothing is done, and [`Fib::want`] changes route by route. Says
    /// whether it was.
    pub fn retarget(&mut self, from: &NextHopGroup, to: &Arc<NextHopGroup>) -> bool {
        let objects = &mut self.book.objects;
        let done = objects.retarget(from, to, &mut self.channel, &mut self.batch);
        let done = done.unwrap_or_else(|error| {
            tracing::warn!(%error, "changing a next-hop group failed");
            self.book.objects.suspect = true;
            true
        });
        if self.book.objects.incomplete {
            self.heal_at.get_or_insert_with(Instant::now);
        }
        done
    }

    /// The RIB has caught up with the failure: the groups that [`Fib::fail_gateways`] changed and that are still in use
    /// are made complete again, with one message each, and the failed gateways are forgotten. What the kernel refuses
    /// is mended by [`Fib::write`].
    pub fn restore_gateways(&mut self) {
        self.restore(None);
    }

    /// These gateways are back before the RIB has said anything: their groups are made complete again as by
    /// [`Fib::restore_gateways`], and other failed gateways stay out.
    pub fn gateways_are_back(&mut self, gateways: &[(IfIndex, IpAddr)]) {
        self.restore(Some(gateways));
    }

    fn restore(&mut self, gateways: Option<&[(IfIndex, IpAddr)]>) {
        match self.book.objects.restore(gateways, &mut self.channel, &mut self.batch) {
            Ok(usable) => self.book.unblocked(&usable),
            Err(error) => {
                tracing::warn!(%error, "completing next-hop groups failed");
                self.book.objects.suspect = true;
            }
        }
        if self.book.objects.incomplete {
            self.heal_at.get_or_insert_with(Instant::now);
        }
    }
}
