//! From a shared secret to the keys of a connection: HKDF-SHA-256 (RFC 5869).

use aes_gcm::{Aes256Gcm, KeyInit};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use signal_wire::connected::SALT_BYTES;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::agreement::{PublicKey, SharedSecret};

const INFO_V1: &[u8] = b"ignis-ecdh-p256-aes-256-gcm-v1";
const TRANSCRIPT_V2: &[u8] = b"signal-v2";
const CLIENT_TO_SERVER_V2: &[u8] = b"signal-v2 client->server";
const SERVER_TO_CLIENT_V2: &[u8] = b"signal-v2 server->client";

/// An AES-256 key. Kept as 32 bytes, not as an expanded schedule: a connection is idle nearly always, and expanding
/// costs a tenth of a microsecond where the schedule would cost a kilobyte.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SessionKey(pub(crate) [u8; 32]);

impl SessionKey {
    pub(crate) fn expand(&self) -> Aes256Gcm {
        Aes256Gcm::new(&self.0.into())
    }
}

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKey(..)")
    }
}

/// What both ends have seen of a v2 handshake, hashed. It goes into the keys and under the edge's signature, so that
/// ends which saw different handshakes never understand each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transcript([u8; 32]);

impl Transcript {
    /// `client_id` is the UUID's 16 raw bytes.
    pub fn new(client: &PublicKey, server: &PublicKey, salt: &[u8; SALT_BYTES], client_id: &[u8; 16]) -> Self {
        let mut hash = Sha256::new();
        for part in [TRANSCRIPT_V2, client, server, salt, client_id] {
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The one key of a v1 connection, used in both directions.
pub fn session_key_v1(secret: &SharedSecret, salt: &[u8; SALT_BYTES]) -> SessionKey {
    expand(&extract(secret, salt), &[INFO_V1])
}

/// The keys of a v2 connection, one for each direction.
#[derive(Debug)]
pub struct DirectionKeys {
    pub client_to_server: SessionKey,
    pub server_to_client: SessionKey,
}

impl DirectionKeys {
    pub fn new(secret: &SharedSecret, salt: &[u8; SALT_BYTES], transcript: &Transcript) -> Self {
        let secret = extract(secret, salt);
        Self {
            client_to_server: expand(&secret, &[CLIENT_TO_SERVER_V2, transcript.as_bytes()]),
            server_to_client: expand(&secret, &[SERVER_TO_CLIENT_V2, transcript.as_bytes()]),
        }
    }
}

fn extract(secret: &SharedSecret, salt: &[u8; SALT_BYTES]) -> Hkdf<Sha256> {
    Hkdf::new(Some(salt), &secret.0)
}

fn expand(secret: &Hkdf<Sha256>, info: &[&[u8]]) -> SessionKey {
    let mut key = SessionKey([0; 32]);
    secret.expand_multi_info(info, &mut key.0).expect("32 bytes are within what HKDF-SHA-256 can expand to");
    key
}
