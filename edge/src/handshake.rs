//! The key agreement of one connection.

use signal_seal::{
    agreement::{AwsLc, InvalidPublicKey, KeyAgreement, NoRandomness, PublicKey, parse_public_key},
    derive::session_key_v1,
    v1::{Cipher, Side},
};
use signal_wire::connected::SALT_BYTES;

/// What both sides need to talk in secret.
#[derive(Debug)]
pub(crate) struct Agreed {
    pub(crate) cipher: Cipher,
    pub(crate) public_key: PublicKey,
    pub(crate) salt: [u8; SALT_BYTES],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("the client offered no public key")]
    NoPublicKey,
    #[error(transparent)]
    PublicKey(#[from] InvalidPublicKey),
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

/// Makes a key pair for this connection alone and agrees with the client's.
pub(crate) fn handshake(client_key: Option<&str>) -> Result<Agreed, HandshakeError> {
    let client_key = parse_public_key(client_key.ok_or(HandshakeError::NoPublicKey)?)?;
    let mut salt = [0; SALT_BYTES];
    let mut iv_prefix = [0; 4];
    for random in [&mut salt[..], &mut iv_prefix[..]] {
        getrandom::fill(random).map_err(|_| NoRandomness)?;
    }
    let pair = AwsLc::generate()?;
    let public_key = pair.public_key();
    let key = session_key_v1(&pair.agree(&client_key)?, &salt);
    Ok(Agreed { cipher: Cipher::new(key, Side::Edge, iv_prefix), public_key, salt })
}
