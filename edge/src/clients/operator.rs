//! Whether whoever asks may: a token, and a permission of its holder's.

use std::{marker::PhantomData, sync::Arc};

use axum::{extract::FromRequestParts, http::request::Parts};
use signal_auth::{Denied, Permission, VerifyError};
use signal_service::rest::{Bearer, RestError};

use super::Clients;
use crate::permissions;

/// Proof that whoever asks holds a permission. The first of a handler's arguments, so that nothing else about a request
/// is looked at before it.
pub(super) struct Allowed<P>(PhantomData<P>);

pub(super) trait Needs {
    const PERMISSION: Permission;
}

macro_rules! needs {
    ($($name:ident = $permission:ident;)*) => {
        $(
            pub(super) struct $name;

            impl Needs for $name {
                const PERMISSION: Permission = permissions::$permission;
            }
        )*
    };
}

needs! {
    List = LIST;
    Get = GET;
    Broadcast = BROADCAST;
    SendToRoom = SEND_TO_ROOM;
    SendToClient = SEND_TO_CLIENT;
    Disconnect = DISCONNECT;
}

impl<P: Needs> FromRequestParts<Arc<Clients>> for Allowed<P> {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, clients: &Arc<Clients>) -> Result<Self, RestError> {
        let Bearer(token) = Bearer::from_request_parts(parts, clients).await?;
        let principal = clients.verifier.verify(token.expose()).await.map_err(|error| match error {
            VerifyError::Refused(_) => RestError::unauthorized(),
            VerifyError::Unavailable => RestError::unavailable("Tokens cannot be checked: the issuer is away"),
        })?;
        match clients.permissions.check(&principal, P::PERMISSION).await {
            Ok(()) => Ok(Self(PhantomData)),
            Err(Denied::Forbidden) => Err(RestError::forbidden()),
            Err(denied @ Denied::Unavailable { .. }) => Err(RestError::unavailable(denied.to_string())),
        }
    }
}
