//! The key agreement of one connection.

use signal_seal::{
    Side,
    agreement::{AwsLc, InvalidPublicKey, KeyAgreement, NoRandomness, PublicKey, parse_public_key},
    derive::{Transcript, session_key_v1},
    identity::{IdentityKey, Signature},
    v1, v2,
};
use signal_wire::{connected::SALT_BYTES, protocol::Protocol};
use uuid::Uuid;

use crate::connection::Cipher;

/// What both sides need to talk in secret.
#[derive(Debug)]
pub(crate) struct Agreed {
    pub(crate) cipher: Cipher,
    pub(crate) public_key: PublicKey,
    pub(crate) salt: [u8; SALT_BYTES],
    /// By the edge's identity, if it has one and the version knows it.
    pub(crate) signature: Option<Signature>,
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
pub(crate) fn handshake(
    protocol: Protocol,
    client_key: Option<&str>,
    client_id: Uuid,
    identity: Option<&IdentityKey>,
) -> Result<Agreed, HandshakeError> {
    let client_key = parse_public_key(client_key.ok_or(HandshakeError::NoPublicKey)?)?;
    let salt: [u8; SALT_BYTES] = random()?;
    let pair = AwsLc::generate()?;
    let public_key = pair.public_key();
    let secret = pair.agree(&client_key)?;
    let (cipher, signature) = match protocol {
        Protocol::V1 => {
            let cipher = v1::Cipher::new(session_key_v1(&secret, &salt), Side::Edge, random()?);
            (Cipher::V1(cipher), None)
        }
        Protocol::V2 => {
            let transcript = Transcript::new(&client_key, &public_key, &salt, client_id.as_bytes());
            let signature = identity.map(|identity| identity.sign(&transcript)).transpose()?;
            (Cipher::V2(v2::Cipher::new(&secret, &salt, &transcript, Side::Edge)), signature)
        }
    };
    Ok(Agreed { cipher, public_key, salt, signature })
}

fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}
