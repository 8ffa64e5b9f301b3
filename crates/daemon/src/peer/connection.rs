//! One TCP connection of a session: a reader with its buffer, and a task that writes what the queue holds.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use siskin_bgp::session::SendQueue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use crate::core::{QueueReceiver, QueueSender, RibHandle, queue};

/// Room made for one read: large enough that a full table costs few system calls.
const READ_SIZE: usize = 256 * 1024;
/// Messages, or runs of them, written with one system call.
const WRITE_BATCH: usize = 64;
/// What is queued when a connection closes (a NOTIFICATION, mostly) has this long to leave.
const FAREWELL: Duration = Duration::from_secs(2);

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    reader: OwnedReadHalf,
    /// Bytes read and not yet cut into messages.
    pub(super) buffer: BytesMut,
    /// Where messages to the peer go.
    pub(super) queue: QueueSender,
    /// What the socket had taken when last asked.
    written: u64,
    /// The two ends.
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
}

impl Connection {
    /// Takes over a connected socket and starts its writer.
    pub(super) fn new(stream: TcpStream, rib: RibHandle) -> io::Result<Connection> {
        let (local, remote) = (stream.local_addr()?, stream.peer_addr()?);
        let (reader, writer) = stream.into_split();
        let (sender, receiver) = queue();
        tokio::spawn(write(writer, receiver, rib));
        Ok(Connection { reader, buffer: BytesMut::new(), queue: sender, written: 0, local, remote })
    }

    /// Reads what is there, at least one byte; 0 at the end of the stream. Safe to cancel.
    pub(super) async fn read(&mut self) -> io::Result<usize> {
        if self.buffer.capacity() - self.buffer.len() < READ_SIZE / 4 {
            self.buffer.reserve(READ_SIZE);
        }
        self.reader.read_buf(&mut self.buffer).await
    }

    /// How the queue moved since the last time.
    pub(super) fn queue_state(&mut self) -> SendQueue {
        let (queued, written) = self.queue.progress();
        let before = std::mem::replace(&mut self.written, written);
        match queued {
            0 => SendQueue::Empty,
            _ if written > before => SendQueue::Progress,
            _ => SendQueue::Blocked,
        }
    }

    /// Whether the peer has sent something that was not read yet.
    pub(super) fn has_unread(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit(); 1];
        !self.buffer.is_empty()
            || socket2::SockRef::from(self.reader.as_ref()).peek(&mut byte).is_ok_and(|n| n > 0)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.queue.close();
    }
}

async fn write(mut socket: OwnedWriteHalf, mut queue: QueueReceiver, rib: RibHandle) {
    let mut batch = Vec::with_capacity(WRITE_BATCH);
    while queue.receive(&mut batch, WRITE_BATCH).await > 0 {
        let last = batch.iter().position(Bytes::is_empty);
        let end = last.unwrap_or(batch.len());
        let messages = batch.get_mut(..end).unwrap_or_default();
        let written = write_all(&mut socket, messages, &queue, &rib);
        let result = if last.is_some() {
            timeout(FAREWELL, written).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        } else {
            written.await
        };
        if result.is_err() || last.is_some() {
            break;
        }
        batch.clear();
    }
    drop(timeout(FAREWELL, socket.shutdown()).await);
}

/// Writes every message, many with one system call, and counts as it goes.
async fn write_all(
    socket: &mut OwnedWriteHalf,
    messages: &mut [Bytes],
    queue: &QueueReceiver,
    rib: &RibHandle,
) -> io::Result<()> {
    let mut first = 0;
    while let Some(rest) = messages.get_mut(first..).filter(|r| !r.is_empty()) {
        let mut taken = {
            let slices: smallvec::SmallVec<[IoSlice<'_>; WRITE_BATCH]> =
                rest.iter().map(|m| IoSlice::new(m)).collect();
            socket.write_vectored(&slices).await?
        };
        if taken == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        if queue.wrote(taken) {
            rib.wake();
        }
        for message in rest {
            let step = taken.min(message.len());
            message.advance(step);
            taken -= step;
            if !message.is_empty() {
                break;
            }
            first += 1;
        }
    }
    Ok(())
}
