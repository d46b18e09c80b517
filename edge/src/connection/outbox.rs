//! What waits to be written to one client: bounded in bytes, and empty for nearly everybody nearly always.
//!
//! Pure: whoever calls hands in the write. The bytes are whole WebSocket frames, so that the buffer can be cut between
//! two of them.

use std::io::{self, ErrorKind};

use signal_wire::close::CloseCode;

use super::ws_frame;

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offered {
    /// Everything is with the operating system.
    Written,
    /// Something waits, and nothing waited before: the session must be told.
    Waiting,
    /// Something waited before, and this waits behind it.
    Queued,
    /// The client is too slow: what waited is thrown away, a close 4008 waits in its place.
    Overflowed,
    /// The connection is closing or broken; the frames went nowhere.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The last frame in the buffer is a close.
    Closing,
    Broken,
}

#[derive(Debug)]
pub(crate) struct Outbox {
    pending: Vec<u8>,
    /// How much of `pending` is written already.
    written: usize,
    /// How many of the bytes that follow belong to a frame of which a part is written: they must leave, or the stream
    /// is no WebSocket any more.
    begun: usize,
    limit: usize,
    state: State,
}

impl Outbox {
    pub(crate) fn new(limit: usize) -> Self {
        Self { pending: Vec::new(), written: 0, begun: 0, limit, state: State::Open }
    }

    /// Bytes that wait.
    pub(crate) fn len(&self) -> usize {
        self.pending.len() - self.written
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.state == State::Broken
    }

    /// Writes `frames`, or as much of them as the socket takes, and keeps the rest.
    pub(crate) fn offer(&mut self, frames: &[u8], mut write: impl FnMut(&[u8]) -> io::Result<usize>) -> Offered {
        if self.state != State::Open {
            return Offered::Refused;
        }
        if !self.is_empty() {
            if self.len() + frames.len() > self.limit {
                self.close(CloseCode::TooSlow, Discard::Waiting);
                return Offered::Overflowed;
            }
            self.compact();
            self.pending.extend_from_slice(frames);
            return Offered::Queued;
        }
        match write(frames) {
            Ok(count) if count == frames.len() => Offered::Written,
            Ok(count) => self.keep(frames, count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.keep(frames, 0),
            Err(_) => {
                self.break_off();
                Offered::Waiting
            }
        }
    }

    /// A single message may be larger than the limit; only what piles up behind another is bounded.
    fn keep(&mut self, frames: &[u8], count: usize) -> Offered {
        self.begun = rest_of_frame(frames, 0, count);
        self.pending = frames[count..].to_vec();
        self.written = 0;
        Offered::Waiting
    }

    /// Writes what waits; `true` once nothing waits any more.
    pub(crate) fn flush(&mut self, mut write: impl FnMut(&[u8]) -> io::Result<usize>) -> bool {
        while !self.is_empty() {
            match write(&self.pending[self.written..]) {
                Ok(0) => self.break_off(),
                Ok(count) => {
                    self.begun = rest_of_frame(&self.pending[self.written..], self.begun, count);
                    self.written += count;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(_) => self.break_off(),
            }
        }
        // An idle client owns no buffer.
        self.pending = Vec::new();
        self.written = 0;
        true
    }

    /// Puts a close frame last. Nothing is accepted after it.
    pub(crate) fn close(&mut self, code: CloseCode, discard: Discard) {
        if self.state != State::Open {
            return;
        }
        if discard == Discard::Waiting {
            self.pending.truncate(self.written + self.begun);
            self.pending.shrink_to_fit();
        }
        ws_frame::close(code, &mut self.pending);
        self.state = State::Closing;
    }

    /// The peer's close is answered, or the stream is unusable: nothing more is to be said.
    pub(crate) fn shut(&mut self) {
        if self.state == State::Open {
            self.state = State::Closing;
        }
    }

    /// The socket failed.
    pub(crate) fn break_off(&mut self) {
        self.state = State::Broken;
        self.pending = Vec::new();
        self.written = 0;
        self.begun = 0;
    }

    /// Moves what waits to the front once most of the buffer is behind it.
    fn compact(&mut self) {
        if self.written > self.pending.len() / 2 {
            self.pending.drain(..self.written);
            self.written = 0;
        }
    }
}

/// What a close does to the frames that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Discard {
    /// They leave before the close does.
    Nothing,
    /// They never leave, but for the rest of a frame that is begun.
    Waiting,
}

/// After `count` of `bytes` were written, of which the first `begun` finish an earlier frame: how many bytes are
/// missing of the frame in which the writing stopped.
fn rest_of_frame(bytes: &[u8], begun: usize, count: usize) -> usize {
    let mut end = begun;
    while end < count {
        end += ws_frame::frame_len(&bytes[end..]);
    }
    end - count
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(length: usize) -> Vec<u8> {
        let mut frame = Vec::new();
        ws_frame::text(&vec![b'x'; length], &mut frame);
        frame
    }

    fn blocked(_: &[u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }

    #[test]
    fn a_client_that_reads_owns_no_buffer() {
        let mut outbox = Outbox::new(1000);
        assert_eq!(outbox.offer(&frame(10), |bytes| Ok(bytes.len())), Offered::Written);
        assert_eq!(outbox.offer(&frame(10), blocked), Offered::Waiting);
        assert_eq!(outbox.offer(&frame(10), blocked), Offered::Queued);
        assert_eq!(outbox.len(), 24);
        assert!(outbox.flush(|bytes| Ok(bytes.len())));
        assert_eq!(outbox.pending.capacity(), 0);
    }

    #[test]
    fn overflow_keeps_the_frame_that_is_begun_and_closes() {
        let mut outbox = Outbox::new(100);
        assert_eq!(outbox.offer(&frame(50), |_| Ok(5)), Offered::Waiting);
        assert_eq!(outbox.offer(&frame(40), blocked), Offered::Queued);
        assert_eq!(outbox.offer(&frame(40), blocked), Offered::Overflowed);
        let mut expected = frame(50)[5..].to_vec();
        ws_frame::close(CloseCode::TooSlow, &mut expected);
        assert_eq!(outbox.pending, expected);
        assert_eq!(outbox.offer(&frame(1), blocked), Offered::Refused);
    }

    #[test]
    fn a_close_waits_for_what_was_said_before() {
        let mut outbox = Outbox::new(100);
        outbox.offer(&frame(50), blocked);
        outbox.close(CloseCode::AuthenticationFailed, Discard::Nothing);
        outbox.close(CloseCode::ServerShutdown, Discard::Nothing);
        let mut expected = frame(50);
        ws_frame::close(CloseCode::AuthenticationFailed, &mut expected);
        assert_eq!(outbox.pending, expected);
    }

    #[test]
    fn a_broken_socket_takes_nothing() {
        let mut outbox = Outbox::new(100);
        assert_eq!(outbox.offer(&frame(5), |_| Err(ErrorKind::BrokenPipe.into())), Offered::Waiting);
        assert!(outbox.is_broken());
        assert_eq!(outbox.offer(&frame(5), blocked), Offered::Refused);
        assert!(outbox.flush(|_| panic!("nothing to write")));
    }

    proptest! {
        /// Whatever the socket takes at a time, the client reads whole frames in order, then perhaps one close.
        #[test]
        fn what_leaves_is_a_prefix_of_what_was_offered(
            lengths in proptest::collection::vec(0usize..300, 1..40),
            takes in proptest::collection::vec(0usize..400, 1..40),
            flushes: Vec<bool>,
            limit in 1usize..3000,
        ) {
            let mut takes = takes.into_iter().cycle();
            let mut flushes = flushes.into_iter().chain([true]).cycle();
            let mut left: Vec<u8> = Vec::new();
            let mut outbox = Outbox::new(limit);
            let mut offered: Vec<u8> = Vec::new();
            let mut overflowed = false;
            for length in lengths {
                let frame = frame(length);
                let mut write = |bytes: &[u8]| match takes.next().unwrap().min(bytes.len()) {
                    0 => Err(ErrorKind::WouldBlock.into()),
                    count => { left.extend_from_slice(&bytes[..count]); Ok(count) }
                };
                match outbox.offer(&frame, &mut write) {
                    Offered::Overflowed => { overflowed = true; break }
                    Offered::Refused => unreachable!(),
                    _ => offered.extend_from_slice(&frame),
                }
                prop_assert!(outbox.len() <= limit.max(frame.len()));
                if flushes.next().unwrap() { outbox.flush(&mut write); }
            }
            outbox.flush(|bytes| { left.extend_from_slice(bytes); Ok(bytes.len()) });
            if overflowed {
                let mut close = Vec::new();
                ws_frame::close(CloseCode::TooSlow, &mut close);
                prop_assert!(left.ends_with(&close));
                left.truncate(left.len() - close.len());
                let mut whole = 0;
                while whole < left.len() { whole += ws_frame::frame_len(&left[whole..]); }
                prop_assert_eq!(whole, left.len());
                prop_assert!(offered.starts_with(&left));
            } else {
                prop_assert_eq!(left, offered);
            }
        }
    }
}
