//! Somebody who ends TLS between a client and an edge, and swaps the keys of the handshake for his own.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use signal_client::dial::{Dial, Transport};
use signal_seal::{
    Side,
    agreement::{KeyAgreement, Portable, PublicKey, parse_public_key},
    derive::Transcript,
    v2,
};
use signal_wire::connected::{decode_exact, encode};
use tokio::io::DuplexStream;
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message as RawFrame};

use crate::fake_edge::{FakeEdge, Pipe, soon};

type FromClient = WebSocketStream<DuplexStream>;
type ToEdge = WebSocketStream<Box<dyn Transport>>;

pub(super) struct Middle {
    front: FakeEdge,
    way: Pipe,
}

impl Middle {
    /// Clients come out at `front`; `way` leads to the edge.
    pub(super) fn new(front: FakeEdge, way: Pipe) -> Self {
        Self { front, way }
    }

    /// The next client's connection, with one of his own to the edge behind it.
    async fn open(&mut self) -> (FromClient, ToEdge) {
        let stranger = self.front.accept().await;
        let stream = self.way.dial("edge.test", 80).await.unwrap();
        let (edge, _) = soon(client_async("ws://edge.test/stream", stream)).await.unwrap();
        (stranger.socket, edge)
    }

    pub(super) async fn hand_on(&mut self) -> Gateway {
        let (mut client, mut edge) = self.open().await;
        let authenticate = hear(&mut client).await;
        edge.send(authenticate).await.unwrap();
        let connected = hear(&mut edge).await;
        client.send(connected).await.unwrap();
        Gateway { client, edge }
    }

    /// A handshake with each side, each of which sees a key of his in place of the other's.
    pub(super) async fn swap_keys(&mut self) -> Eavesdropper {
        let (mut client, mut edge) = self.open().await;
        let (to_client, to_edge) = (Portable::generate().unwrap(), Portable::generate().unwrap());
        let (as_server, as_client) = (to_client.public_key(), to_edge.public_key());

        let mut authenticate = json(&hear(&mut client).await);
        let client_key = swap(&mut authenticate, "publicKey", &as_client);
        edge.send(RawFrame::text(authenticate.to_string())).await.unwrap();
        let mut connected = json(&hear(&mut edge).await);
        let edge_key = swap(&mut connected, "serverPublicKey", &as_server);
        client.send(RawFrame::text(connected.to_string())).await.unwrap();

        let salt = decode_exact(connected["data"]["salt"].as_str().unwrap()).unwrap();
        let id = u128::from_str_radix(&connected["data"]["id"].as_str().unwrap().replace('-', ""), 16).unwrap();
        let cipher = |pair: Portable, peer: &PublicKey, client: &PublicKey, server: &PublicKey, side| {
            let transcript = Transcript::new(client, server, &salt, &id.to_be_bytes());
            v2::Cipher::new(&pair.agree(peer).unwrap(), &salt, &transcript, side)
        };
        Eavesdropper {
            client_cipher: cipher(to_client, &client_key, &client_key, &as_server, Side::Edge),
            edge_cipher: cipher(to_edge, &edge_key, &as_client, &edge_key, Side::Client),
            client,
            edge,
        }
    }
}

/// Somebody through whom everything goes unread.
pub(super) struct Gateway {
    client: FromClient,
    edge: ToEdge,
}

impl Gateway {
    pub(super) async fn hand_on_to_edge(&mut self) {
        let frame = hear(&mut self.client).await;
        self.edge.send(frame).await.unwrap();
    }
}

/// Somebody who has both sides' keys.
pub(super) struct Eavesdropper {
    client: FromClient,
    edge: ToEdge,
    client_cipher: v2::Cipher,
    edge_cipher: v2::Cipher,
}

impl Eavesdropper {
    /// Reads what the client says and hands it on.
    pub(super) async fn relay_to_edge(&mut self) -> Value {
        let read = self.client_cipher.open(&hear(&mut self.client).await.into_data()).unwrap();
        let mut sealed = Vec::new();
        self.edge_cipher.sealer().seal(&read, &mut sealed);
        self.edge.send(RawFrame::binary(sealed)).await.unwrap();
        serde_json::from_slice(&read).unwrap()
    }

    /// Reads what the edge says and hands it on.
    pub(super) async fn relay_to_client(&mut self) -> Value {
        let read = self.edge_cipher.open(&hear(&mut self.edge).await.into_data()).unwrap();
        let mut sealed = Vec::new();
        self.client_cipher.sealer().seal(&read, &mut sealed);
        self.client.send(RawFrame::binary(sealed)).await.unwrap();
        serde_json::from_slice(&read).unwrap()
    }

    /// The client's next frame; `None` once it is gone.
    pub(super) async fn hear_client(&mut self) -> Option<RawFrame> {
        soon(self.client.next()).await.and_then(Result::ok)
    }
}

async fn hear<S>(socket: &mut WebSocketStream<S>) -> RawFrame
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    soon(socket.next()).await.unwrap().unwrap()
}

fn json(frame: &RawFrame) -> Value {
    serde_json::from_str(frame.to_text().unwrap()).unwrap()
}

/// Puts `own` in the place of a key, and returns that.
fn swap(message: &mut Value, name: &str, own: &PublicKey) -> PublicKey {
    let key = parse_public_key(message["data"][name].as_str().unwrap()).unwrap();
    message["data"][name] = json!(encode(own));
    key
}
