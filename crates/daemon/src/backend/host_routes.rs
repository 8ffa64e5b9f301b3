//! What the API and the hooks say of single addresses of VMs.

use std::net::IpAddr;

use siskin_api::{ApiError, Done, HostRouteMove, HostRouteMoveKind, HostRouteRequest};
use siskin_config::MacAddress;
use siskin_neighbor::{DeclareError, MoveRecord, NoticeKind};

use super::stopping;
use crate::clock;
use crate::daemon::Daemon;
use crate::hosts::Declaration;
use crate::http::{Answer, HostRouteVerb};

/// A VM's name, at the most.
const LONGEST_NAME: usize = 128;
/// A port's name, at the most: as the kernel has it.
const LONGEST_PORT: usize = 15;

/// A remembered move in the API's form; `None` of what is none.
pub(super) fn moved(record: &MoveRecord) -> Option<HostRouteMove> {
    let kind = match record.kind {
        NoticeKind::Moved => HostRouteMoveKind::Moved,
        NoticeKind::TakenOver => HostRouteMoveKind::TakenOver,
        NoticeKind::Yielded => HostRouteMoveKind::Yielded,
        NoticeKind::Duplicate => HostRouteMoveKind::Duplicate,
        NoticeKind::Frozen => HostRouteMoveKind::Frozen,
        NoticeKind::Refused(..) | NoticeKind::Silent | NoticeKind::Mended => return None,
    };
    Some(HostRouteMove {
        age_s: clock::now().since(record.at).as_secs(),
        interface: record.domain.to_string(),
        address: record.address,
        mac: record.mac.to_string(),
        kind,
        originator: record.remote.map(|originator| originator.to_string()),
        sequence: record.sequence,
    })
}

impl Daemon {
    /// Declares that a VM has an address, now and after a restart.
    pub(super) async fn declare_host_route(
        &self,
        interface: &str,
        address: IpAddr,
        request: HostRouteRequest,
    ) -> Answer<Done> {
        let HostRouteRequest { mac, port, name, standby } = request;
        let mac: MacAddress = mac.parse().map_err(|why| ApiError::bad_request(format!("{mac}: {why}")))?;
        let name = name.unwrap_or_else(|| mac.to_string());
        let fits = |text: &str, most: usize| {
            !text.is_empty() && text.len() <= most && !text.contains(char::is_control)
        };
        if !fits(&name, LONGEST_NAME) {
            return Err(ApiError::bad_request(format!("a VM's name has 1 to {LONGEST_NAME} characters")));
        }
        if port.as_ref().is_some_and(|port| !fits(port, LONGEST_PORT)) {
            return Err(ApiError::bad_request(format!("a port's name has 1 to {LONGEST_PORT} characters")));
        }
        let (mac, interface) = (mac.to_string(), interface.to_owned());
        let declaration = Declaration { interface, address, mac, name, port, standby };
        let vm = declaration.vm().ok_or_else(|| ApiError::bad_request("the MAC address is none"))?;
        let domain = declaration.interface.clone();
        let missing =
            || ApiError::not_found(DeclareError::UnknownDomain(declaration.interface.clone()).to_string());
        if !self.hosts.is_active() {
            return Err(missing());
        }
        let declared =
            self.hosts.query(move |hosts| hosts.declare(&domain, &vm, standby, clock::now())).await;
        declared.ok_or_else(stopping)?.map_err(|error| match error {
            DeclareError::UnknownDomain(_) => missing(),
            DeclareError::Taken { .. } | DeclareError::Full => ApiError::refused(error.to_string()),
            _ => ApiError::bad_request(error.to_string()),
        })?;
        let what = if standby { "is awaited from another hypervisor" } else { "is declared" };
        let mut text = format!("{address} {what} for {} on {}", declaration.name, declaration.interface);
        if let Err(error) = self.keep(|declared| declared.put(declaration)).await? {
            tracing::warn!(%address, error, "a declared VM is not kept for the next start");
            text += &format!("; but it is not kept for the next start: {error}");
        }
        Ok(Done { text })
    }

    /// Does what was asked to one address.
    pub(super) async fn act_on_host_route(
        &self,
        interface: &str,
        address: IpAddr,
        verb: HostRouteVerb,
    ) -> Answer<Done> {
        let domain = interface.to_owned();
        let done = self.hosts.query(move |hosts| {
            let now = clock::now();
            match verb {
                HostRouteVerb::Remove => hosts.undeclare(&domain, address, now),
                HostRouteVerb::Migrate => hosts.migrate(&domain, address, now),
                HostRouteVerb::Release => hosts.release(&domain, address, now),
            }
        });
        let mut done = done.await.unwrap_or(false);
        let mut unkept = None;
        if verb == HostRouteVerb::Remove {
            let domain = interface.to_owned();
            match self.keep(move |declared| declared.remove(&domain, address)).await? {
                Ok(kept) => done |= kept,
                Err(error) => (done, unkept) = (true, Some(error)),
            }
        }
        let text = match (verb, done) {
            (HostRouteVerb::Remove, true) => "is not declared any more",
            (HostRouteVerb::Remove, false) => "was not declared while the daemon ran",
            (HostRouteVerb::Migrate, true) => "is about to leave: its route yields to the first other one",
            (HostRouteVerb::Migrate, false) => "is not announced here",
            (HostRouteVerb::Release, true) => "is withdrawn until its VM is heard",
            (HostRouteVerb::Release, false) => "is not known here",
        };
        let text = format!("{address} {text}");
        match (done, unkept) {
            (false, _) => Err(ApiError::not_found(format!("{text} ({interface})"))),
            (true, None) => Ok(Done { text }),
            (true, Some(error)) => {
                Ok(Done { text: format!("{text}, but will be at the next start: {error}") })
            }
        }
    }

    /// Does something to the file of declared VMs, on a thread that may wait for a disk.
    async fn keep<T: Send + 'static>(
        &self,
        work: impl FnOnce(&crate::hosts::Declarations) -> T + Send + 'static,
    ) -> Answer<T> {
        let hosts = self.hosts.clone();
        tokio::task::spawn_blocking(move || work(hosts.declared())).await.map_err(|_| stopping())
    }
}
