//! An edge that does what a test says. Streams are pipes in memory, so that a paused clock moves only when everybody
//! waits.

use std::{io, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use signal_client::{
    Backoff, Builder, Client, Connected, Disconnect, Event, Events,
    dial::{Dial, Dialing, Transport},
};
use signal_seal::identity::IdentityKey;
use signal_wire::message;
use tokio::{
    io::{DuplexStream, duplex},
    sync::mpsc,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, accept_async,
    tungstenite::{Message as RawFrame, protocol::CloseFrame},
};

mod peer;

pub(crate) use peer::Peer;

/// Longer than anything that a client waits for by default.
const SOON: Duration = Duration::from_secs(1000);

pub(crate) const CLIENT_ID: &str = "0f0e0d0c-0b0a-4908-8706-050403020100";

pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(SOON, what).await.expect("it happens before everything has timed out")
}

/// Where a client's connections come out.
pub(crate) struct FakeEdge {
    incoming: mpsc::UnboundedReceiver<DuplexStream>,
}

/// The client's way to a [`FakeEdge`]; without the edge, connections are refused.
#[derive(Clone, Debug)]
pub(crate) struct Pipe {
    edge: mpsc::UnboundedSender<DuplexStream>,
    capacity: usize,
}

impl Dial for Pipe {
    fn dial<'a>(&'a self, _host: &'a str, _port: u16) -> Dialing<'a> {
        Box::pin(async move {
            let (near, far) = duplex(self.capacity);
            self.edge.send(far).map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
            Ok(Box::new(near) as Box<dyn Transport>)
        })
    }
}

impl FakeEdge {
    pub(crate) fn new() -> (Self, Pipe) {
        Self::with_pipes_of(1024 * 1024)
    }

    pub(crate) fn with_pipes_of(capacity: usize) -> (Self, Pipe) {
        let (edge, incoming) = mpsc::unbounded_channel();
        (Self { incoming }, Pipe { edge, capacity })
    }

    pub(crate) async fn stream(&mut self) -> DuplexStream {
        soon(self.incoming.recv()).await.expect("the client has the other end")
    }

    /// The next connection, upgraded; the client has not said anything yet.
    pub(crate) async fn accept(&mut self) -> Stranger {
        Stranger { socket: accept_async(self.stream().await).await.unwrap() }
    }

    /// The next connection, let in.
    pub(crate) async fn admit(&mut self) -> Peer {
        self.accept().await.authenticate().await.admit().await
    }

    /// Nobody has tried to connect.
    pub(crate) fn is_left_alone(&mut self) -> bool {
        self.incoming.try_recv().is_err()
    }
}

pub(crate) struct Stranger {
    pub(crate) socket: WebSocketStream<DuplexStream>,
}

impl Stranger {
    pub(crate) async fn authenticate(mut self) -> Applicant {
        let frame = soon(self.socket.next()).await.unwrap().unwrap();
        let frame: Value = serde_json::from_str(frame.to_text().unwrap()).unwrap();
        assert_eq!(frame["event"], "authenticate");
        assert_eq!(frame["data"]["type"], "Bearer");
        let text = |name: &str| frame["data"][name].as_str().unwrap().to_owned();
        let protocol = frame["data"].get("protocol").map(|protocol| protocol.as_u64().unwrap());
        Applicant { token: text("token"), public_key: text("publicKey"), protocol, socket: self.socket }
    }
}

pub(crate) struct Applicant {
    pub(crate) token: String,
    pub(crate) public_key: String,
    /// What it asks for, if it says anything about it.
    pub(crate) protocol: Option<u64>,
    pub(crate) socket: WebSocketStream<DuplexStream>,
}

impl Applicant {
    /// Lets it in as edges do: with the protocol that it asks for.
    pub(crate) async fn admit(self) -> Peer {
        self.admit_signed(None).await
    }

    /// Lets it in as an edge does that knows v1 alone.
    pub(crate) async fn admit_v1(mut self) -> Peer {
        self.protocol = None;
        self.admit().await
    }

    pub(crate) async fn admit_signed(self, identity: Option<&IdentityKey>) -> Peer {
        self.answer(identity, |_| {}).await
    }

    /// Lets it in with an answer to which something is done.
    pub(crate) async fn answer(self, identity: Option<&IdentityKey>, alter: impl FnOnce(&mut Value)) -> Peer {
        let (mut offer, cipher) = peer::agree(&self.public_key, self.protocol, identity);
        alter(&mut offer);
        let mut peer = Peer { cipher, socket: self.socket };
        peer.say_raw(RawFrame::text(json!({ "event": "connected", "data": offer }).to_string())).await;
        peer
    }

    pub(crate) async fn refuse(mut self, said: &str, code: u16, reason: &str) {
        let error = message::compose_error(said);
        self.socket.send(RawFrame::text(String::from_utf8(error).unwrap())).await.unwrap();
        close(&mut self.socket, code, reason).await;
    }
}

async fn close(socket: &mut WebSocketStream<DuplexStream>, code: u16, reason: &str) {
    let frame = CloseFrame { code: code.into(), reason: reason.into() };
    soon(socket.send(RawFrame::Close(Some(frame)))).await.unwrap();
    // The client answers a close, or is gone already.
    while let Some(Ok(_)) = soon(socket.next()).await {}
}

pub(crate) fn builder(pipe: Pipe) -> Builder {
    Client::builder("ws://edge.test/stream")
        .token(|| async { Ok::<_, io::Error>("token-1".to_owned()) })
        .backoff(Backoff::new(Duration::from_secs(1), Duration::from_secs(8)))
        .dial_with(pipe)
}

/// A client that has been let in by an edge that knows v1 alone.
pub(crate) async fn connected_v1(configure: impl FnOnce(Builder) -> Builder) -> (FakeEdge, Peer, Client, Events) {
    let (mut edge, pipe) = FakeEdge::new();
    let (client, mut events) = configure(builder(pipe)).connect().unwrap();
    let peer = edge.accept().await.authenticate().await.admit_v1().await;
    expect_connected(&mut events).await;
    (edge, peer, client, events)
}

/// A client that has been let in.
pub(crate) async fn connected(configure: impl FnOnce(Builder) -> Builder) -> (FakeEdge, Peer, Client, Events) {
    let (mut edge, pipe) = FakeEdge::new();
    let (client, mut events) = configure(builder(pipe)).connect().unwrap();
    let peer = edge.admit().await;
    expect_connected(&mut events).await;
    (edge, peer, client, events)
}

pub(crate) async fn next(events: &mut Events) -> Event {
    soon(events.next()).await.expect("the client is not closed")
}

pub(crate) async fn expect_connected(events: &mut Events) -> Connected {
    match next(events).await {
        Event::Connected(connected) => connected,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn expect_disconnected(events: &mut Events) -> (Disconnect, Duration) {
    match next(events).await {
        Event::Disconnected { cause, retry_in } => (cause, retry_in),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn expect_resync(events: &mut Events) -> String {
    match next(events).await {
        Event::Resync { reason } => reason,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn expect_message(events: &mut Events) -> (String, Value) {
    match next(events).await {
        Event::Message(message) => (message.event().to_owned(), message.data().unwrap()),
        other => panic!("{other:?}"),
    }
}
