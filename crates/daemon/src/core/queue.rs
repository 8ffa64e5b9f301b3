//! The way from the RIB to a peer's socket: a queue that says when it has room, and wakes the RIB when it has again.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use siskin_net::PeerId;
use siskin_rib::Outbox;
use tokio::sync::mpsc;

/// Bytes that may wait for a peer's socket before the RIB stops handing it more. What the peer misses meanwhile is a
/// bit a destination, so a small number costs a slow peer nothing.
const HIGH_WATER: usize = 512 * 1024;
/// The RIB is woken when the queue has shrunk to this.
const LOW_WATER: usize = 128 * 1024;

#[derive(Debug, Default)]
struct Shared {
    queued: AtomicUsize,
    written: AtomicU64,
    updates: AtomicU64,
    starved: AtomicBool,
}

/// The sending end: for the RIB, and for the session's own messages.
#[derive(Clone, Debug)]
pub(crate) struct QueueSender {
    shared: Arc<Shared>,
    sender: mpsc::UnboundedSender<Bytes>,
}

/// The receiving end: the task that writes to the socket.
#[derive(Debug)]
pub(crate) struct QueueReceiver {
    shared: Arc<Shared>,
    receiver: mpsc::UnboundedReceiver<Bytes>,
}

/// A queue for one connection. It holds at most [`HIGH_WATER`] bytes and one turn's worth of the RIB's messages.
pub(crate) fn queue() -> (QueueSender, QueueReceiver) {
    let shared = Arc::new(Shared::default());
    let (sender, receiver) = mpsc::unbounded_channel();
    (QueueSender { shared: shared.clone(), sender }, QueueReceiver { shared, receiver })
}

impl QueueSender {
    /// Puts a whole message, or several, behind what waits already. After the connection closed it goes nowhere.
    pub(crate) fn send(&self, bytes: Bytes) {
        self.shared.queued.fetch_add(bytes.len(), Ordering::Relaxed);
        drop(self.sender.send(bytes));
    }

    /// Octets the socket has taken and UPDATEs among what was queued, since the connection began.
    pub(crate) fn sent(&self) -> (u64, u64) {
        (self.shared.written.load(Ordering::Relaxed), self.shared.updates.load(Ordering::Relaxed))
    }

    /// Lets what is queued go out and then closes the connection; whatever is sent after this goes nowhere.
    pub(crate) fn close(&self) {
        drop(self.sender.send(Bytes::new()));
    }

    /// Whether the RIB may send more; if not, the receiver will wake it.
    fn room(&self) -> bool {
        if self.shared.queued.load(Ordering::Relaxed) < HIGH_WATER {
            return true;
        }
        self.shared.starved.store(true, Ordering::SeqCst);
        // The receiver may have drained the queue just before the flag was set, and would then wake nobody.
        self.shared.queued.load(Ordering::SeqCst) < LOW_WATER
    }

    /// Bytes waiting, and bytes the socket has taken so far (for the send hold timer, RFC 9687).
    pub(crate) fn progress(&self) -> (usize, u64) {
        (self.shared.queued.load(Ordering::Relaxed), self.shared.written.load(Ordering::Relaxed))
    }
}

impl QueueReceiver {
    /// Waits for messages and moves up to `limit` of them into `batch`; 0 once every sender is gone.
    pub(crate) async fn receive(&mut self, batch: &mut Vec<Bytes>, limit: usize) -> usize {
        self.receiver.recv_many(batch, limit).await
    }

    /// Notes that the socket took `bytes`; true when the RIB waits for room and has it now.
    pub(crate) fn wrote(&self, bytes: usize) -> bool {
        self.shared.written.fetch_add(bytes as u64, Ordering::Relaxed);
        let before = self.shared.queued.fetch_sub(bytes, Ordering::SeqCst);
        before.saturating_sub(bytes) < LOW_WATER && self.shared.starved.swap(false, Ordering::SeqCst)
    }
}

/// The queues of the established peers, as the RIB sees them.
#[derive(Debug, Default)]
pub(super) struct Queues(HashMap<PeerId, QueueSender>);

impl Queues {
    pub(super) fn insert(&mut self, peer: PeerId, queue: QueueSender) {
        self.0.insert(peer, queue);
    }

    pub(super) fn remove(&mut self, peer: PeerId) {
        self.0.remove(&peer);
    }
}

impl Outbox for Queues {
    fn room(&self, peer: PeerId) -> bool {
        self.0.get(&peer).is_some_and(QueueSender::room)
    }

    fn send(&mut self, peer: PeerId, bytes: Bytes) {
        if let Some(queue) = self.0.get(&peer) {
            queue.shared.updates.fetch_add(messages(&bytes), Ordering::Relaxed);
            queue.send(bytes);
        }
    }
}

/// How many messages a run of whole messages holds.
fn messages(mut run: &[u8]) -> u64 {
    let mut count = 0;
    while let Some(&[high, low]) = run.get(16..18) {
        count += 1;
        // A length below a header's is no message of ours; it must not keep us here for ever.
        let len = usize::from(u16::from_be_bytes([high, low])).max(siskin_bgp::wire::HEADER_LEN);
        run = run.get(len..).unwrap_or_default();
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_a_run_are_counted() {
        let mut run = bytes::BytesMut::new();
        for _ in 0..3 {
            siskin_bgp::wire::encode_keepalive(&mut run);
        }
        assert_eq!(messages(&run), 3);
        assert_eq!(messages(&[]), 0);
        assert_eq!(messages(&[0; 64]), 3, "no length, and yet an end");
    }

    #[tokio::test]
    async fn a_full_queue_has_no_room_and_wakes_the_rib_once_drained() {
        let (sender, mut receiver) = queue();
        let mut queues = Queues::default();
        queues.insert(PeerId(7), sender);
        let chunk = Bytes::from(vec![0; HIGH_WATER / 4]);
        for _ in 0..4 {
            assert!(queues.room(PeerId(7)));
            queues.send(PeerId(7), chunk.clone());
        }
        assert!(!queues.room(PeerId(7)));
        assert!(!queues.room(PeerId(8)), "an unknown peer never has room");

        let mut batch = Vec::new();
        assert_eq!(receiver.receive(&mut batch, 16).await, 4);
        let woke: Vec<bool> = batch.iter().map(|b| receiver.wrote(b.len())).collect();
        assert_eq!(woke, [false, false, false, true], "below the low-water mark, once");
        assert!(queues.room(PeerId(7)));
    }
}
