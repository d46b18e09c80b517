//! Which edges a client talks to: those that sign the handshake with a key that was pinned.

use std::sync::Arc;

use signal_seal::{
    derive::Transcript,
    identity::{JwkError, PublicIdentity},
};
use signal_wire::connected::{Connected, decode_exact};

/// Longer than any thumbprint, short enough for a log.
const SHOWN_KEY_ID: usize = 64;

/// Why an edge is not taken for one that is pinned. Somebody may stand between it and this client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Only v2 proves who an edge is.
    #[error("the edge answered with protocol v1, which proves nothing")]
    Downgraded,
    #[error("the edge did not sign the handshake")]
    Unsigned,
    #[error("the edge signed with a key that is not pinned: {0}")]
    UnknownKey(String),
    /// Another key signed, or the edge saw another handshake than this client.
    #[error("the edge's signature does not hold for this handshake")]
    Forged,
}

/// Public keys of edges, any of which will do. With none, any edge will do.
#[derive(Clone, Debug, Default)]
pub(super) struct Pins(Arc<Vec<PublicIdentity>>);

impl Pins {
    pub(super) fn add(&mut self, json: &str) -> Result<(), JwkError> {
        Arc::make_mut(&mut self.0).extend(PublicIdentity::read(json)?);
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a v1 answer is worth.
    pub(super) fn allow_v1(&self) -> Result<(), IdentityError> {
        if self.is_empty() { Ok(()) } else { Err(IdentityError::Downgraded) }
    }

    /// The id of the pinned key that signed; `None` if nothing is pinned, and so nothing was looked at.
    pub(super) fn verify(&self, offer: &Connected, transcript: &Transcript) -> Result<Option<String>, IdentityError> {
        if self.is_empty() {
            return Ok(None);
        }
        let (key_id, signature) = offer.key_id.as_ref().zip(offer.signature.as_ref()).ok_or(IdentityError::Unsigned)?;
        let Some(identity) = self.0.iter().find(|identity| identity.key_id() == key_id) else {
            return Err(IdentityError::UnknownKey(key_id.chars().take(SHOWN_KEY_ID).collect()));
        };
        let signature = decode_exact(signature).ok_or(IdentityError::Forged)?;
        identity.verify(transcript, &signature).map_err(|_| IdentityError::Forged)?;
        Ok(Some(key_id.clone()))
    }
}
