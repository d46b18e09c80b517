//! The life of one socket: greeted, then live, then gone. The loops here own timers, reads and closes; what a message
//! means is decided in [`machine`].

pub(crate) mod machine;

mod greeting;
mod inbound;
mod live;
mod rate;
mod refresh;

use std::{future::poll_fn, io::ErrorKind, net::Shutdown, sync::Arc, time::Duration};

use signal_wire::{close::CloseCode, frame::MAX_INBOUND_BYTES};
use socket2::SockRef;
use tokio::{net::TcpStream, time::timeout};
use tungstenite::{
    Error, Message,
    error::{CapacityError, ProtocolError},
    protocol::{Role, WebSocketConfig, WebSocketContext},
};

use self::rate::Rate;
use crate::{
    app::Shared,
    clock,
    connection::{Adapter, Link},
    metrics::{self, SocketGauge, SocketState},
    upgrade::Admitted,
};

/// Enough for a heartbeat; larger messages make it grow for as long as they last.
const READ_BUFFER: usize = 512;
/// How long a closing connection may take to take what waits, and to close its own end.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Frames of any kind that are read before others get their turn: reading is no wait, so that without it a client that
/// never stops talking would have a thread to itself.
const FRAMES_PER_TURN: usize = 32;

/// Serves a socket whose upgrade is answered. `early` is what the client sent behind its request.
pub(crate) async fn run(shared: Arc<Shared>, socket: TcpStream, early: Vec<u8>, admitted: Admitted) {
    // A message is worth more than a fuller packet.
    if socket.set_nodelay(true).is_err() {
        return;
    }
    let _counted = shared.registry.open_socket();
    let mut gauge = SocketGauge::new(SocketState::Greeting);
    let link = Link::new(socket, shared.settings.outbound_limit);
    let mut reader = Reader::new(early, Rate::new(shared.settings.message_rate));
    let Admitted { handshake, stream, slot } = admitted;
    // Boxed, so that an idle client's task does not have the room that greeting and closing take.
    let greeted = Box::pin(greeting::greet(&shared, &link, &mut reader, &handshake)).await;
    drop(handshake);
    if let Some(member) = greeted {
        gauge.enter(SocketState::Live);
        live::live(&shared, &member, &mut reader).await;
    }
    gauge.enter(SocketState::Closing);
    Box::pin(finish(link)).await;
    drop((stream, slot));
}

/// Writes what waits, among it the close, ends its own direction first as a server should (RFC 6455, 7.1.1), then
/// waits for the peer to end the other: closing a socket that has unread data would reset it, and could take the close
/// frame along.
async fn finish(link: Arc<Link>) {
    let close = async {
        poll_fn(|cx| link.poll_drained(cx)).await;
        if SockRef::from(link.socket()).shutdown(Shutdown::Write).is_err() {
            return;
        }
        let mut discarded = [0; 4096];
        loop {
            match link.socket().try_read(&mut discarded) {
                Ok(0) => break,
                // As when reading for good: without it the time would never be over for who never stops talking.
                Ok(_) => tokio::task::yield_now().await,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if link.socket().readable().await.is_err() {
                        break;
                    }
                }
                Err(_) => break,
            }
        }
    };
    // Whoever does not close within the time is closed.
    let _ = timeout(CLOSE_TIMEOUT, close).await;
}

/// What a read found when it found no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Nothing more for now.
    Empty,
    /// The peer said goodbye or vanished.
    Gone,
    /// The peer broke a rule of the transport, or talks too much.
    Broke(CloseCode),
}

/// tungstenite's state without its stream, and how fast it may be made to read.
#[derive(Debug)]
struct Reader {
    frames: WebSocketContext,
    rate: Rate,
}

impl Reader {
    fn new(early: Vec<u8>, rate: Rate) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            // Control frames are handed to the out-buffer at once.
            .write_buffer_size(0)
            .max_message_size(Some(MAX_INBOUND_BYTES))
            .max_frame_size(Some(MAX_INBOUND_BYTES));
        Self { frames: WebSocketContext::from_partially_read(early, Role::Server, Some(config)), rate }
    }

    /// The next frame; `None` for a control frame, which is answered already.
    fn read(&mut self, link: &Link) -> Result<Option<Message>, End> {
        let mut adapter = Adapter(link);
        let message = self.frames.read(&mut adapter).map_err(|error| End::of(&error, link))?;
        if let Message::Close(_) = message {
            // Lays the answer into the out-buffer; that the state is closed then is no error.
            let _ = self.frames.flush(&mut adapter);
            link.shut();
            return Err(End::Gone);
        }
        if !self.rate.take(clock::since_start()) {
            metrics::inbound_refused("rate");
            return Err(End::Broke(CloseCode::TooManyRequests));
        }
        link.heard();
        Ok(matches!(message, Message::Text(_) | Message::Binary(_)).then_some(message))
    }
}

impl End {
    fn of(error: &Error, link: &Link) -> Self {
        match error {
            Error::Io(error) if error.kind() == ErrorKind::WouldBlock => Self::Empty,
            Error::Capacity(CapacityError::MessageTooLong { .. }) => Self::Broke(CloseCode::FrameTooLarge),
            Error::Utf8(_) => Self::Broke(CloseCode::InvalidPayload),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                link.shut();
                Self::Gone
            }
            Error::Protocol(_) | Error::Capacity(_) => Self::Broke(CloseCode::WebSocketProtocol),
            _ => {
                link.shut();
                Self::Gone
            }
        }
    }
}
