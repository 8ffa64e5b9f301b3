//! Prefix limits: what the RIB says of them is logged and told, and sessions that are beyond one end, for a time or until the
//! operator brings them up. The RIB itself takes no more than a limit allows (RFC 4271 section 6.7, RFC 4486).

use std::sync::Arc;

use siskin_api::{EventBody, LimitState};
use siskin_bgp::session::AdminStop;
use siskin_config::{LimitAction, MaxPrefix};
use siskin_net::{Family, PeerId};
use siskin_rib::{LimitEvent, LimitKind, LimitOf, RibEvent};
use tokio::sync::mpsc;

use crate::clock;
use crate::daemon::Daemon;
use crate::peer::{Control, Entry, lock};

impl Daemon {
    /// Acts on the RIB's news until it ends.
    pub(crate) async fn take_rib_events(self: Arc<Self>, mut events: mpsc::UnboundedReceiver<RibEvent>) {
        while let Some(event) = events.recv().await {
            match event {
                RibEvent::Limit { peer, family, limit } => self.take_limit(peer, family, limit),
                RibEvent::Judged(judged) => self.rpki_judged(judged),
            }
        }
    }

    fn take_limit(&self, id: PeerId, family: Family, event: LimitEvent) {
        let mut peers = lock(&self.peers);
        let Some((name, entry)) = peers.by_id(id) else { return };
        let name = name.clone();
        let config = match event.of {
            LimitOf::Advertised => entry.config.routes.max_prefix_out.clone(),
            LimitOf::Received | LimitOf::Accepted => entry.config.routes.max_prefix.clone(),
        };
        let what = match event.of {
            LimitOf::Received => "received",
            LimitOf::Accepted => "accepted",
            LimitOf::Advertised => "advertised",
        };
        let numbers = format!("{} {family} prefixes {what}, {} are allowed", event.count, event.limit);
        let (state, text) = match event.kind {
            LimitKind::Near => (LimitState::Warning, numbers),
            LimitKind::Below => (LimitState::Ok, numbers),
            LimitKind::Room => {
                let asked = ask_again(entry);
                (LimitState::Ok, format!("there is room again for {family} prefixes: {asked}"))
            }
            LimitKind::Over => {
                let blocked =
                    config.as_ref().is_some_and(|config| matches!(config.action, LimitAction::Block));
                let done = config.map_or("nothing is done", |config| act(entry, &config, family, event));
                let state = if blocked { LimitState::Blocked } else { LimitState::Over };
                (state, format!("{numbers}: {done}"))
            }
        };
        match event.kind {
            LimitKind::Near | LimitKind::Over => tracing::warn!(peer = %name, "prefix limit: {text}"),
            LimitKind::Below | LimitKind::Room => tracing::info!(peer = %name, "prefix limit: {text}"),
        }
        drop(peers);
        self.event(EventBody::Limit { peer: name, family, state, text });
    }

    /// Sessions that a limit ended for a time are tried again.
    pub(crate) fn restart_limited_peers(&self) {
        let now = clock::now();
        for (name, entry) in lock(&self.peers).iter_mut() {
            if entry.restart_at.is_some_and(|at| at <= now) && entry.tell(Control::Start) {
                (entry.restart_at, entry.down) = (None, false);
                tracing::info!(peer = %name, "the session is tried again after its prefix limit");
            }
        }
    }
}

/// Does what the configuration wants beyond a limit, and says it.
fn act(entry: &mut Entry, config: &MaxPrefix, family: Family, event: LimitEvent) -> &'static str {
    let text = match config.action {
        LimitAction::Warn => return "nothing is done",
        LimitAction::Block => return "further ones are kept out",
        LimitAction::Restart { after } => {
            entry.restart_at = Some(clock::now() + after);
            "the session ends and is tried again later"
        }
        LimitAction::Shutdown => {
            entry.restart_at = None;
            "the session ends until `up`"
        }
    };
    entry.down = true;
    entry.tell(Control::Stop(AdminStop::MaxPrefixes { family, limit: event.limit }));
    text
}

/// Asks a peer for the routes that were not taken.
fn ask_again(entry: &Entry) -> &'static str {
    if entry.shared.view().negotiated.is_some_and(|n| n.route_refresh) {
        entry.tell(Control::RefreshIn);
        "the peer is asked for all its routes"
    } else {
        entry.tell(Control::Stop(AdminStop::Reset(String::new())));
        entry.tell(Control::Start);
        "the session is established again"
    }
}
