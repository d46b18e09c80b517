//! One client. Its socket and what waits to be written are shared by the session that reads and the fan-out that
//! writes.
//!
//! Phases are types: a [`Link`] is a socket to somebody unknown and can carry only what the handshake says; it becomes
//! a [`Connection`] by being given an [`Identity`] and a cipher, and only a `Connection` can be pushed to.

mod cipher;
mod outbox;
mod ws_frame;

use std::{
    cell::RefCell,
    io,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU8, AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use signal_auth::UserId;
use signal_seal::DoesNotOpen;
use signal_wire::{close::CloseCode, message, protocol::Protocol, sealed::Sealed};
use tokio::net::TcpStream;
use uuid::Uuid;

pub(crate) use self::cipher::Cipher;
use self::outbox::{Discard, Offered, Outbox};
use crate::{clock, metrics};

/// Sealed frames gathered for one client leave once they are this many bytes, whatever else is ready.
const GATHER_BYTES: usize = 64 * 1024;

/// A socket and what waits to be written to it.
pub(crate) struct Link {
    socket: TcpStream,
    outbox: Mutex<Outbox>,
    /// Wakes the session when something waits that it must write.
    session: AtomicWaker,
    /// [`clock::seconds`] of the last inbound frame.
    last_heard: AtomicU32,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

/// What a turn of the session found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// There is something to read, or the peer is gone.
    Readable,
    /// A close frame is the last thing that waits, or waited.
    Closing,
    /// The socket failed.
    Broken,
}

impl Link {
    pub(crate) fn new(socket: TcpStream, limit: usize) -> Arc<Self> {
        Arc::new(Self {
            socket,
            outbox: Mutex::new(Outbox::new(limit)),
            session: AtomicWaker::new(),
            last_heard: AtomicU32::new(clock::seconds()),
        })
    }

    /// Says something in plaintext: the handshake and its errors.
    pub(crate) fn send_plain(&self, message: &[u8]) {
        let mut frame = Vec::with_capacity(message.len() + 10);
        ws_frame::text(message, &mut frame);
        self.offer(&mut self.outbox.lock(), &frame);
    }

    /// Ends the connection once what waits is written.
    pub(crate) fn close(&self, code: CloseCode) {
        let mut outbox = self.outbox.lock();
        if outbox.is_open() {
            metrics::closed(code);
            outbox.close(code, Discard::Nothing);
            drop(outbox);
            self.session.wake();
        }
    }

    /// `false` once nothing more is taken.
    fn offer(&self, outbox: &mut Outbox, frames: &[u8]) -> bool {
        let offered = outbox.offer(frames, |bytes| self.socket.try_write(bytes));
        match offered {
            Offered::Written | Offered::Queued => true,
            Offered::Refused => false,
            Offered::Waiting => {
                self.session.wake();
                true
            }
            Offered::Overflowed => {
                metrics::closed(CloseCode::TooSlow);
                self.session.wake();
                false
            }
        }
    }

    /// Writes what waits, then waits for something to read. For the session's task alone.
    pub(crate) fn poll_turn(&self, cx: &mut Context<'_>) -> Poll<Turn> {
        self.session.register(cx.waker());
        loop {
            let mut outbox = self.outbox.lock();
            let written = outbox.flush(|bytes| self.socket.try_write(bytes));
            if outbox.is_broken() {
                return Poll::Ready(Turn::Broken);
            }
            // Whether or not all is written: who does not read would never let it be.
            if !outbox.is_open() {
                return Poll::Ready(Turn::Closing);
            }
            drop(outbox);
            // The readiness that try_write found missing is asked for here, which registers the waker.
            if written || self.socket.poll_write_ready(cx).is_pending() {
                break;
            }
        }
        // A peer that is slow to read may still talk.
        self.socket.poll_read_ready(cx).map(|_| Turn::Readable)
    }

    /// Resolves once everything is written or the socket failed; the rest of a closing connection's life.
    pub(crate) fn poll_drained(&self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.outbox.lock().flush(|bytes| self.socket.try_write(bytes)) {
                return Poll::Ready(());
            }
            if self.socket.poll_write_ready(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Whether more may be said.
    pub(crate) fn is_open(&self) -> bool {
        self.outbox.lock().is_open()
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// The peer said goodbye, or talks what is no WebSocket: nothing is to be sent any more.
    pub(crate) fn shut(&self) {
        self.outbox.lock().shut();
    }

    pub(crate) fn heard(&self) {
        self.last_heard.store(clock::seconds(), Ordering::Relaxed);
    }

    pub(crate) fn silent_seconds(&self, now: u32) -> u32 {
        now.saturating_sub(self.last_heard.load(Ordering::Relaxed))
    }

    /// Bytes that wait for the client to read.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.outbox.lock().len()
    }
}

/// How tungstenite sees a link: it reads the socket; what it writes (pongs, answers to a close) goes where every
/// other frame goes.
#[derive(Debug)]
pub(crate) struct Adapter<'a>(pub(crate) &'a Link);

impl io::Read for Adapter<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.socket.try_read(buffer)
    }
}

impl io::Write for Adapter<'_> {
    fn write(&mut self, frames: &[u8]) -> io::Result<usize> {
        self.0.offer(&mut self.0.outbox.lock(), frames);
        Ok(frames.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Who a connection belongs to.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) id: Uuid,
    pub(crate) user: UserId,
    /// Unix seconds after which the token is no longer good that the client came with.
    pub(crate) expires_at: Option<i64>,
    pub(crate) protocol: Protocol,
}

/// In the place of an end that never comes.
const NEVER: i64 = i64::MAX;

/// The rooms that a client is in without asking. Not entries of the registry: that would cost each client a kilobyte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum AutomaticRoom {
    Own = 1,
    Default = 2,
    Notification = 4,
    Recipient = 8,
}

const ALL_AUTOMATIC: u8 = 15;
/// Beside the rooms' flags: the client has been told to go.
const RETIRED: u8 = 16;

/// An authenticated client.
#[derive(Debug)]
pub(crate) struct Connection {
    link: Arc<Link>,
    cipher: Mutex<Cipher>,
    pub(crate) identity: Identity,
    /// [`clock::since_start`] when it became one, in milliseconds.
    since_ms: u64,
    /// Unix seconds; [`NEVER`], or the end of the latest token.
    expires_at: AtomicI64,
    flags: AtomicU8,
}

thread_local! {
    /// Where frames are sealed before they are written; one for each thread, so that no client owns one.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

#[derive(Default)]
struct Scratch {
    work: Vec<u8>,
    frames: Vec<u8>,
}

impl Connection {
    /// Says `connected`, the last message in plaintext, and makes the client known by `register`. Whatever is published
    /// once the client has heard it finds the client, and nothing overtakes it: pushes need the cipher, which is held
    /// until it is said.
    pub(crate) fn welcome(
        link: Arc<Link>,
        connected: &[u8],
        cipher: Cipher,
        identity: Identity,
        register: impl FnOnce(&Arc<Self>),
    ) -> Arc<Self> {
        let connection = Arc::new(Self {
            link,
            cipher: Mutex::new(cipher),
            expires_at: AtomicI64::new(identity.expires_at.unwrap_or(NEVER)),
            identity,
            since_ms: clock::since_start().as_millis() as u64,
            flags: AtomicU8::new(ALL_AUTOMATIC),
        });
        let cipher = connection.cipher.lock();
        register(&connection);
        connection.link.send_plain(connected);
        drop(cipher);
        connection
    }

    /// Seals and sends messages, in order, in as few writes as they take.
    pub(crate) fn push<'a>(&self, plaintexts: impl IntoIterator<Item = &'a [u8]>) {
        SCRATCH.with_borrow_mut(|Scratch { work, frames }| {
            frames.clear();
            // Held until the frames are written or queued: they leave in the order in which they were sealed.
            let mut cipher = self.cipher.lock();
            let mut sealer = cipher.sealer();
            // Nothing is sealed for who is too slow to be sent it.
            let mut open = self.link.is_open();
            for plaintext in plaintexts {
                if !open {
                    break;
                }
                sealer.seal(plaintext, work, frames);
                if frames.len() >= GATHER_BYTES {
                    open = self.link.offer(&mut self.link.outbox.lock(), frames);
                    frames.clear();
                }
            }
            if open && !frames.is_empty() {
                self.link.offer(&mut self.link.outbox.lock(), frames);
            }
            // One large message must not make a thread hold its megabytes for ever.
            frames.shrink_to(2 * GATHER_BYTES);
            work.shrink_to(2 * GATHER_BYTES);
        });
    }

    pub(crate) fn push_error(&self, text: &str) {
        self.push([&message::compose_error(text)[..]]);
    }

    pub(crate) fn open_envelope(&self, envelope: &Sealed<'_>) -> Result<Vec<u8>, DoesNotOpen> {
        self.cipher.lock().open_envelope(envelope)
    }

    pub(crate) fn open_frame(&self, frame: &[u8]) -> Result<Vec<u8>, DoesNotOpen> {
        self.cipher.lock().open_frame(frame)
    }

    pub(crate) fn close(&self, code: CloseCode) {
        self.link.close(code);
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    pub(crate) fn is_in(&self, room: AutomaticRoom) -> bool {
        self.flags.load(Ordering::Acquire) & room as u8 != 0
    }

    pub(crate) fn enter(&self, room: AutomaticRoom) {
        self.flags.fetch_or(room as u8, Ordering::AcqRel);
    }

    pub(crate) fn leave(&self, room: AutomaticRoom) {
        self.flags.fetch_and(!(room as u8), Ordering::AcqRel);
    }

    /// When the session ends, in Unix seconds.
    pub(crate) fn expires_at(&self) -> Option<i64> {
        Some(self.expires_at.load(Ordering::Acquire)).filter(|at| *at != NEVER)
    }

    /// Lets the session outlive the token that it has; `false`, and nothing is changed, if this one ends earlier.
    pub(crate) fn extend(&self, until: Option<i64>) -> bool {
        let until = until.unwrap_or(NEVER);
        self.expires_at.fetch_max(until, Ordering::AcqRel) <= until
    }

    /// In Unix milliseconds.
    pub(crate) fn connected_at(&self) -> i64 {
        clock::unix_millis_at(Duration::from_millis(self.since_ms))
    }

    /// When it last said anything, in Unix milliseconds; exact to the second.
    pub(crate) fn last_heard_at(&self) -> i64 {
        let seconds = self.link.last_heard.load(Ordering::Relaxed);
        clock::unix_millis_at(Duration::from_secs(seconds.into())).max(self.connected_at())
    }

    pub(crate) fn age(&self) -> Duration {
        clock::since_start().saturating_sub(Duration::from_millis(self.since_ms))
    }

    /// Marks it as told to go; `false` if it was already.
    pub(crate) fn retire(&self) -> bool {
        self.flags.fetch_or(RETIRED, Ordering::AcqRel) & RETIRED == 0
    }
}

#[cfg(test)]
pub(crate) mod tests;
