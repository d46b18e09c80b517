//! Who is asking.

use std::{sync::Arc, time::Duration};

use axum::{extract::FromRequestParts, http::request::Parts};
use signal_auth::VerifyError;
use signal_service::rest::{Bearer, RestError};
use tokio::time::timeout;

use super::{Notifications, RETRY_AFTER};

/// How long a token that cannot be checked yet may wait for the issuer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whose notifications a request is about: the token's user's. The first of a handler's arguments, so that nothing else
/// about a request is looked at before it.
pub(super) struct Caller {
    pub(super) recipient_id: String,
}

impl FromRequestParts<Arc<Notifications>> for Caller {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, notifications: &Arc<Notifications>) -> Result<Self, RestError> {
        let Bearer(token) = Bearer::from_request_parts(parts, notifications).await?;
        match timeout(PATIENCE, notifications.verifier.verify(token.expose())).await {
            Ok(Ok(principal)) => Ok(Self { recipient_id: principal.user_id.text().to_owned() }),
            Ok(Err(VerifyError::Refused(_))) => Err(RestError::unauthorized()),
            Ok(Err(VerifyError::Unavailable)) | Err(_) => {
                let error = RestError::unavailable("Tokens cannot be checked: the issuer is away");
                Err(error.retry_after(RETRY_AFTER))
            }
        }
    }
}
