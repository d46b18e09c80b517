//! From a token and a public key to somebody who can be pushed to.

use std::sync::Arc;

use signal_auth::VerifyError;
use signal_bus::Channels;
use signal_wire::{
    close::CloseCode,
    connected::{Connected, encode},
    envelope::Target,
    frame::Authenticate,
    message::{self, error, event},
    room, timestamp,
};
use uuid::Uuid;

use crate::{app::Shared, connection::Identity, handshake::handshake};
use signal_seal::v1::Cipher;

/// A client's offer, out of its frame.
#[derive(Debug)]
pub(crate) struct Offer {
    token: Option<String>,
    public_key: Option<String>,
}

impl From<Authenticate<'_>> for Offer {
    fn from(data: Authenticate<'_>) -> Self {
        Self { token: data.token.map(Into::into), public_key: data.public_key.map(Into::into) }
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
    let principal = shared.verifier.verify(offer.token.as_deref().unwrap_or_default()).await.map_err(denied)?;
    let agreed = handshake(offer.public_key.as_deref()).map_err(|_| Denied {
        message: error::HANDSHAKE_FAILED,
        close: CloseCode::EncryptionRequired,
        label: "no_encryption",
    })?;
    let identity = Identity { id: Uuid::new_v4(), user: principal.user_id, expires_at: principal.expires_at };
    let presence = Presence::acquire(&shared.channels, &identity).await.map_err(|_| Denied {
        message: error::AUTHENTICATION_ERROR,
        close: CloseCode::AuthenticationFailed,
        label: "backplane",
    })?;
    let user_id = serde_json::value::to_raw_value(&identity.user).expect("a user id is a string or a number");
    let connected = Connected {
        id: identity.id.to_string(),
        user_id,
        time: timestamp::format(time::OffsetDateTime::now_utc()),
        server_public_key: encode(&agreed.public_key),
        salt: encode(&agreed.salt),
        protocol: None,
        key_id: None,
        signature: None,
    };
    let connected = message::compose_value(event::CONNECTED, &connected);
    Ok(Accepted { identity, cipher: agreed.cipher, connected, presence })
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
