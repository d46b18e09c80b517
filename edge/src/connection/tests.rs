//! What only shows on a socket that nobody reads.

use std::cell::Cell;

use signal_seal::{
    Side,
    agreement::{AwsLc, KeyAgreement},
    derive::session_key_v1,
    v1,
};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A client that does not read, and its end of the socket.
pub(crate) async fn stalled(limit: usize) -> (Arc<Connection>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    let (one, other) = (AwsLc::generate().unwrap(), AwsLc::generate().unwrap());
    let key = session_key_v1(&one.agree(&other.public_key()).unwrap(), &[0; 32]);
    let cipher = Cipher::V1(v1::Cipher::new(key, Side::Edge, [0; 4]));
    let identity = Identity {
        id: Uuid::new_v4(),
        user: UserId::from_text("an").unwrap(),
        expires_at: None,
        protocol: Protocol::V1,
    };
    (Connection::welcome(Link::new(socket, limit), b"connected", cipher, identity, |_| ()), client)
}

#[tokio::test]
async fn nothing_is_sealed_for_who_is_too_slow_to_be_sent_it() {
    let (connection, _client) = stalled(64 * 1024).await;
    let message = vec![b'x'; 256 * 1024];
    let sealed = Cell::new(0);
    let endless = || {
        std::iter::repeat_with(|| {
            sealed.set(sealed.get() + 1);
            &message[..]
        })
    };
    // More than the socket's buffers take: 200 MB.
    connection.push(endless().take(800));
    assert!(!connection.link().is_open());
    assert!(sealed.get() < 800, "sealed all {}", sealed.get());
    let before = sealed.get();
    connection.push(endless().take(800));
    assert!(sealed.get() <= before + 1, "a closing client costs nothing more");
}
