//! From a token and a public key to somebody who can be pushed to.

use std::{sync::Arc, time::Instant};

use signal_auth::{Principal, VerifyError};
use signal_bus::Channels;
use signal_seal::identity::IdentityKey;
use signal_wire::{
    close::CloseCode,
    connected::{Connected, encode},
    envelope::Target,
    frame::Authenticate,
    message::{self, error, event},
    protocol::Protocol,
    room, timestamp,
};
use uuid::Uuid;

use crate::{
    app::Shared,
    connection::{Cipher, Identity},
    handshake::{Agreed, HandshakeError, handshake},
    metrics,
};

/// A client's offer, out of its frame.
#[derive(Debug)]
pub(crate) struct Offer {
    token: Option<String>,
    public_key: Option<String>,
    protocol: Protocol,
}

impl From<Authenticate<'_>> for Offer {
    fn from(data: Authenticate<'_>) -> Self {
        Self { token: data.token.map(Into::into), public_key: data.public_key.map(Into::into), protocol: data.protocol }
    }
}

/// Somebody, whose channels are subscribed; only the word to the client is missing.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) identity: Identity,
    pub(crate) cipher: Cipher,
    /// `connected`, the last message in plaintext.
    pub(crate) connected: Vec<u8>,
    pub(crate) presence: Presence,
}

/// Why a client stays nobody: what it is told, how it is closed, and the label under which it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) message: &'static str,
    pub(crate) close: CloseCode,
    pub(crate) label: &'static str,
}

pub(crate) async fn authenticate(shared: &Shared, offer: &Offer) -> Result<Accepted, Denied> {
    let began = Instant::now();
    let principal = shared.verifier.verify(offer.token.as_deref().unwrap_or_default()).await.map_err(denied)?;
    metrics::phase("token", began.elapsed());

    let (began, id, identity_key) = (Instant::now(), Uuid::new_v4(), shared.identity.as_deref());
    let agreed = handshake(offer.protocol, offer.public_key.as_deref(), id, identity_key).map_err(not_agreed)?;
    metrics::phase("agreement", began.elapsed());

    let began = Instant::now();
    let Principal { user_id: user, expires_at, .. } = principal;
    let identity = Identity { id, user, expires_at, protocol: offer.protocol };
    let presence = Presence::acquire(&shared.channels, &identity).await.map_err(|_| Denied {
        message: error::AUTHENTICATION_ERROR,
        close: CloseCode::AuthenticationFailed,
        label: "backplane",
    })?;
    metrics::phase("subscription", began.elapsed());
    let connected = connected(&identity, &agreed, identity_key);
    Ok(Accepted { identity, cipher: agreed.cipher, connected, presence })
}

fn connected(identity: &Identity, agreed: &Agreed, identity_key: Option<&IdentityKey>) -> Vec<u8> {
    let user_id = serde_json::value::to_raw_value(&identity.user).expect("a user id is a string or a number");
    let signature = agreed.signature.as_ref();
    let connected = Connected {
        id: identity.id.to_string(),
        user_id,
        time: timestamp::format(time::OffsetDateTime::now_utc()),
        server_public_key: encode(&agreed.public_key),
        salt: encode(&agreed.salt),
        protocol: (identity.protocol != Protocol::V1).then(|| identity.protocol.number()),
        key_id: signature.and(identity_key).map(|identity| identity.key_id().to_owned()),
        signature: signature.map(|signature| encode(signature)),
    };
    message::compose_value(event::CONNECTED, &connected)
}

fn not_agreed(error: HandshakeError) -> Denied {
    match error {
        HandshakeError::NoPublicKey | HandshakeError::PublicKey(_) => {
            Denied { message: error::HANDSHAKE_FAILED, close: CloseCode::EncryptionRequired, label: "no_encryption" }
        }
        // This edge's fault: another one may do better.
        HandshakeError::Randomness(error) => {
            tracing::error!(%error, "no handshake");
            Denied {
                message: error::AUTHENTICATION_ERROR,
                close: CloseCode::AuthenticationFailed,
                label: "no_randomness",
            }
        }
    }
}

fn denied(error: VerifyError) -> Denied {
    let message = match error {
        VerifyError::Refused(_) => error::AUTHENTICATION_FAILED,
        VerifyError::Unavailable => error::AUTHENTICATION_ERROR,
    };
    Denied { message, close: CloseCode::AuthenticationFailed, label: error.name() }
}

/// The backplane's channels of one client, released when it goes, however it goes.
#[derive(Debug)]
pub(crate) struct Presence {
    channels: Arc<dyn Channels>,
    id: Uuid,
    user: Box<str>,
}

impl Presence {
    /// Returns once the backplane has confirmed them: what is said afterwards reaches the client.
    async fn acquire(channels: &Arc<dyn Channels>, identity: &Identity) -> Result<Self, signal_bus::BusError> {
        let presence = Self { channels: Arc::clone(channels), id: identity.id, user: identity.user.text().into() };
        // From its first poll the subscription counts, also if this is dropped before it is confirmed; and it always
        // is polled, since nothing is awaited before it.
        let names = presence.names();
        channels.acquire(names).await?;
        Ok(presence)
    }

    fn names(&self) -> Vec<String> {
        let id = self.id.to_string();
        let recipient = room::recipient(&self.user);
        [Target::Client(&id), Target::Room(&id), Target::User(&self.user), Target::Room(&recipient)]
            .map(Target::channel)
            .into()
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.channels.release(self.names());
    }
}
