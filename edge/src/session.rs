//! The life of one socket: greeted, then live, then gone. The loops here own timers, reads and closes; what a message
//! means is decided in [`machine`].

pub(crate) mod machine;

mod greeting;
mod live;

use std::{future::poll_fn, io::ErrorKind, net::Shutdown, sync::Arc, time::Duration};

use signal_wire::{close::CloseCode, frame::MAX_INBOUND_BYTES};
use socket2::SockRef;
use tokio::{net::TcpStream, time::timeout};
use tungstenite::{
    Error, Message,
    error::{CapacityError, ProtocolError},
    protocol::{Role, WebSocketConfig, WebSocketContext},
};

use crate::{
    app::Shared,
    connection::{Adapter, Link},
};

/// Enough for a heartbeat; larger messages make it grow for as long as they last.
const READ_BUFFER: usize = 512;
/// How long a closing connection may take to take what waits, and to close its own end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Frames of any kind that are read before others get their turn: reading is no wait, so that without it a client that
/// never stops talking would have a thread to itself.
const FRAMES_PER_TURN: usize = 32;

/// Serves a socket whose upgrade is answered. `early` is what the client sent behind its request.
pub(crate) async fn run(shared: Arc<Shared>, socket: TcpStream, early: Vec<u8>) {
    // A message is worth more than a fuller packet.
    if socket.set_nodelay(true).is_err() {
        return;
    }
    let _counted = shared.registry.open_socket();
    let link = Link::new(socket, shared.settings.outbound_limit);
    let mut reader = Reader::new(early);
    // Boxed, so that an idle client's task does not have the room that greeting and closing take.
    let greeted = Box::pin(greeting::greet(&shared, &link, &mut reader)).await;
    if let Some(member) = greeted {
        live::live(&shared, &member, &mut reader).await;
    }
    Box::pin(finish(link)).await;
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
    /// The peer broke a rule of the transport.
    Broke(CloseCode),
}

/// tungstenite's state without its stream.
#[derive(Debug)]
struct Reader(WebSocketContext);

impl Reader {
    fn new(early: Vec<u8>) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            // Control frames are handed to the out-buffer at once.
            .write_buffer_size(0)
            .max_message_size(Some(MAX_INBOUND_BYTES))
            .max_frame_size(Some(MAX_INBOUND_BYTES));
        Self(WebSocketContext::from_partially_read(early, Role::Server, Some(config)))
    }

    /// The next frame; `None` for a control frame, which is answered already.
    fn read(&mut self, link: &Link) -> Result<Option<Message>, End> {
        let mut adapter = Adapter(link);
        match self.0.read(&mut adapter) {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                link.heard();
                Ok(Some(message))
            }
            Ok(Message::Close(_)) => {
                // Lays the answer into the out-buffer; that the state is closed then is no error.
                let _ = self.0.flush(&mut adapter);
                link.shut();
                Err(End::Gone)
            }
            Ok(_) => {
                link.heard();
                Ok(None)
            }
            Err(error) => Err(End::of(&error, link)),
        }
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
