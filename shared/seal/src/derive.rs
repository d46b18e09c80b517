//! From a shared secret to the key of a connection: HKDF-SHA-256 (RFC 5869).

use hkdf::Hkdf;
use sha2::Sha256;
use signal_wire::connected::SALT_BYTES;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::agreement::SharedSecret;

const INFO_V1: &[u8] = b"ignis-ecdh-p256-aes-256-gcm-v1";

/// An AES-256 key. Kept as 32 bytes, not as an expanded schedule: a connection is idle nearly always, and expanding
/// costs a tenth of a microsecond where the schedule would cost a kilobyte.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SessionKey(pub(crate) [u8; 32]);

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKey(..)")
    }
}

/// The one key of a v1 connection, used in both directions.
pub fn session_key_v1(secret: &SharedSecret, salt: &[u8; SALT_BYTES]) -> SessionKey {
    let mut key = SessionKey([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), &secret.0)
        .expand(INFO_V1, &mut key.0)
        .expect("32 bytes are within what HKDF-SHA-256 can expand to");
    key
}
