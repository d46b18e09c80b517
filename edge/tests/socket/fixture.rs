//! An edge in this process on the in-process backplane, and a client that is nothing but the protocol.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json, value::to_raw_value};
use signal_auth::{JwkSetClient, JwkSetOptions, Verifier, VerifierSettings};
use signal_bus::{Bus, Publication, memory::MemoryBus};
use signal_edge::{ClusterSettings, Edge, Parts, StreamSettings};
use signal_harness::{Issuer, Samples};
use signal_seal::{
    Side,
    agreement::{AwsLc, KeyAgreement, parse_public_key},
    derive::session_key_v1,
    v1::Cipher,
};
use signal_service::{
    health::Health,
    settings::{self, Source},
    shutdown::Shutdown,
    telemetry,
};
use signal_wire::{
    connected::{decode_exact, encode},
    envelope::{EMITTER, Envelope, Target},
    sealed::Sealed,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message},
};

use crate::rest;

/// Far beyond what anything here takes; a deadline, never a measure.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Edges that find each other, and themselves, sooner than in a deployment. Whoever is to be missed says so.
pub(crate) fn quick() -> ClusterSettings {
    ClusterSettings {
        announce_every: Duration::from_millis(50),
        lease: Duration::from_secs(6),
        reply_timeout: SOON,
        canary_every: Duration::from_millis(50),
        blind_after: SOON,
        ..ClusterSettings::default()
    }
}

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    stream: StreamSettings,
}

/// Unless a test says otherwise, a stop does not take its time.
pub(crate) fn stream_settings(variables: &[(&str, &str)]) -> StreamSettings {
    let source: Source = [("SIGNAL_DRAIN_WINDOW", "0")].iter().chain(variables).copied().collect();
    settings::parse::<Settings>(["edge"], &source).unwrap().stream
}

pub(crate) struct TestEdge {
    pub(crate) addr: SocketAddr,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) issuer: Issuer,
    pub(crate) shutdown: Shutdown,
    pub(crate) health: Health,
    pub(crate) edge: Edge,
}

impl TestEdge {
    pub(crate) async fn start(variables: &[(&str, &str)]) -> Self {
        let issuer = Issuer::launch().await;
        let url = issuer.jwks_url();
        Self::start_with(variables, issuer, &url).await
    }

    /// With a JWK set somewhere else than at the issuer.
    pub(crate) async fn start_with(variables: &[(&str, &str)], issuer: Issuer, jwks_url: &str) -> Self {
        Self::start_on(Arc::new(MemoryBus::new()), variables, issuer, jwks_url).await
    }

    pub(crate) async fn start_on(
        bus: Arc<dyn Bus>,
        variables: &[(&str, &str)],
        issuer: Issuer,
        jwks_url: &str,
    ) -> Self {
        Self::start_as(bus, variables, issuer, jwks_url, quick()).await
    }

    pub(crate) async fn start_as(
        bus: Arc<dyn Bus>,
        variables: &[(&str, &str)],
        issuer: Issuer,
        jwks_url: &str,
        cluster: ClusterSettings,
    ) -> Self {
        telemetry::metrics();
        let keys = Arc::new(JwkSetClient::new(jwks_url, JwkSetOptions::default()).unwrap());
        let health = Health::new();
        let shutdown = Shutdown::new(SOON);
        let settings = stream_settings(variables);
        let parts = Parts {
            bus: Arc::clone(&bus),
            verifier: Arc::new(Verifier::new(VerifierSettings::default(), keys)),
            identity: settings.identity().unwrap(),
            permissions: rest::permissions(),
            cluster,
            health: health.clone(),
            shutdown: shutdown.clone(),
        };
        let edge = Edge::start(settings, parts).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let serving = edge.clone();
        tokio::spawn(async move { serving.serve(listener, serving.router(rest::BASE)).await });
        Self { addr, bus, issuer, shutdown, health, edge }
    }

    pub(crate) async fn open(&self) -> Socket {
        let (socket, _) = connect_async(format!("ws://{}/stream", self.addr)).await.unwrap();
        Socket { socket, pair: Some(AwsLc::generate().unwrap()), cipher: None }
    }

    /// A client of this user that has heard `connected`.
    pub(crate) async fn client(&self, user: &str) -> Client {
        let mut socket = self.open().await;
        let connected = socket.authenticate(&self.issuer.token(user)).await;
        Client { id: connected["id"].as_str().unwrap().to_owned(), socket }
    }

    pub(crate) async fn say(&self, target: Target<'_>, event: &str, data: Value) {
        self.say_all(&[(target, event, data)]).await;
    }

    /// Publishes as a sister service does, in one batch.
    pub(crate) async fn say_all(&self, messages: &[(Target<'_>, &str, Value)]) {
        let batch: Vec<_> = messages
            .iter()
            .map(|(target, event, data)| {
                let data = to_raw_value(data).unwrap();
                let payload = Envelope::new(EMITTER, *target, event, Some(&data)).encode();
                Publication { channel: target.channel(), payload: payload.into() }
            })
            .collect();
        self.bus.publish(&batch).await.unwrap();
    }

    pub(crate) async fn say_raw(&self, channel: &str, payload: impl Into<Bytes>) {
        self.bus.publish(&[Publication { channel: channel.to_owned(), payload: payload.into() }]).await.unwrap();
    }
}

/// A counter's value, which tests in this process share: it only tells that it has grown.
pub(crate) fn counted(name: &str, labels: &[(&str, &str)]) -> f64 {
    Samples::parse(&telemetry::metrics().render()).sum(name, labels)
}

pub(crate) type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(crate) struct Socket {
    pub(crate) socket: Stream,
    pair: Option<AwsLc>,
    pub(crate) cipher: Option<Cipher>,
}

#[derive(Debug)]
pub(crate) enum Heard {
    Text(String),
    Binary(Bytes),
    Closed(u16, String),
}

/// An authenticated [`Socket`].
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) socket: Socket,
}

impl Socket {
    pub(crate) async fn say(&mut self, message: impl Into<String>) {
        self.socket.send(Message::text(message.into())).await.unwrap();
    }

    pub(crate) async fn send(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    pub(crate) fn public_key(&self) -> String {
        encode(&self.pair.as_ref().unwrap().public_key())
    }

    /// Says `authenticate` and returns the data of `connected`, which must be the next thing heard.
    pub(crate) async fn authenticate(&mut self, token: &str) -> Value {
        self.offer(token).await;
        self.accept().await
    }

    pub(crate) async fn offer(&mut self, token: &str) {
        let data = json!({ "type": "Bearer", "token": token, "publicKey": self.public_key() });
        self.say(json!({ "event": "authenticate", "data": data }).to_string()).await;
    }

    pub(crate) async fn accept(&mut self) -> Value {
        let connected = self.hear_frame().await.unwrap();
        self.accept_frame(&connected)
    }

    /// Takes `connected` as it crossed the wire.
    pub(crate) fn accept_frame(&mut self, connected: &str) -> Value {
        let connected: Value = serde_json::from_str(connected).unwrap();
        assert_eq!(connected["event"], "connected", "{connected}");
        let data = &connected["data"];
        let server_key = parse_public_key(data["serverPublicKey"].as_str().unwrap()).unwrap();
        let salt = decode_exact(data["salt"].as_str().unwrap()).unwrap();
        let secret = self.pair.take().unwrap().agree(&server_key).unwrap();
        self.cipher = Some(Cipher::new(session_key_v1(&secret, &salt), Side::Client, [1, 2, 3, 4]));
        data.clone()
    }

    /// The next text frame as it crossed the wire.
    pub(crate) async fn hear_frame(&mut self) -> Result<String, (u16, String)> {
        match self.hear_any().await {
            Heard::Text(text) => Ok(text),
            Heard::Closed(code, reason) => Err((code, reason)),
            binary @ Heard::Binary(_) => panic!("heard {binary:?}"),
        }
    }

    /// The next frame as it crossed the wire.
    pub(crate) async fn hear_any(&mut self) -> Heard {
        loop {
            let message = tokio::time::timeout(SOON, self.socket.next()).await.expect("nothing heard");
            match message {
                Some(Ok(Message::Text(text))) => return Heard::Text(text.to_string()),
                Some(Ok(Message::Binary(bytes))) => return Heard::Binary(bytes),
                Some(Ok(Message::Close(Some(close)))) => {
                    return Heard::Closed(close.code.into(), close.reason.to_string());
                }
                Some(Ok(Message::Close(None))) => return Heard::Closed(1005, String::new()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                None | Some(Err(Error::ConnectionClosed)) => return Heard::Closed(1006, String::new()),
                other => panic!("heard {other:?}"),
            }
        }
    }

    /// The next message; after `connected` it must have been sealed.
    pub(crate) async fn hear(&mut self) -> Value {
        let frame = self.hear_frame().await.unwrap_or_else(|close| panic!("closed: {close:?}"));
        self.read(&frame)
    }

    pub(crate) fn read(&self, frame: &str) -> Value {
        let message: Value = serde_json::from_str(frame).unwrap();
        match &self.cipher {
            None => message,
            Some(cipher) => {
                assert_eq!(message["event"], "encrypted", "{message}");
                let data = message["data"].to_string();
                serde_json::from_slice(&cipher.open(&Sealed::parse(&data).unwrap()).unwrap()).unwrap()
            }
        }
    }

    pub(crate) async fn hear_error(&mut self) -> String {
        let message = self.hear().await;
        assert_eq!(message["event"], "error", "{message}");
        message["data"]["message"].as_str().unwrap().to_owned()
    }

    /// The close, which must be the next thing heard.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        match self.hear_any().await {
            Heard::Text(frame) => panic!("heard {} and no close", self.read(&frame)),
            Heard::Binary(frame) => panic!("heard {} sealed bytes and no close", frame.len()),
            Heard::Closed(code, reason) => (code, reason),
        }
    }

    /// The close, whatever was said before it.
    pub(crate) async fn close_after_errors(&mut self) -> (u16, String) {
        loop {
            if let Err(close) = self.hear_frame().await {
                return close;
            }
        }
    }

    /// Says something in an envelope.
    pub(crate) async fn say_sealed(&mut self, message: &Value) {
        let mut frame = Vec::new();
        self.cipher.as_mut().unwrap().sealer().seal(message.to_string().as_bytes(), &mut Vec::new(), &mut frame);
        self.say(String::from_utf8(frame).unwrap()).await;
    }

    /// Everything that was said before has been handled once this returns; nothing else may be heard meanwhile.
    pub(crate) async fn settle(&mut self) {
        self.say("settle").await;
        assert_eq!(self.hear_error().await, "Invalid message format");
    }
}
