//! A token that takes the place of the one a session began with.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use signal_auth::{Principal, VerifyError};
use signal_wire::{
    message::{self, error, event},
    refresh::Refreshed,
};

use crate::{app::Shared, connection::Connection, metrics};

type Check<'a> = Pin<Box<dyn Future<Output = Result<Principal, VerifyError>> + Send + 'a>>;

/// The check of a token that a live client offered; one at a time.
#[derive(Default)]
pub(super) struct Refresh<'a>(Option<Check<'a>>);

impl<'a> Refresh<'a> {
    /// Begins the check.
    pub(super) fn offer(&mut self, shared: &'a Shared, connection: &Connection, token: String) {
        if self.0.is_some() {
            refuse(connection, "refresh_in_flight", error::REFRESH_ERROR);
        } else {
            self.0 = Some(Box::pin(async move { shared.verifier.verify(&token).await }));
        }
    }

    /// Goes on with the check, if there is one, and does what it says once it is over.
    pub(super) fn poll(&mut self, shared: &Shared, connection: &Connection, cx: &mut Context<'_>) {
        if let Some(check) = &mut self.0
            && let Poll::Ready(verdict) = check.as_mut().poll(cx)
        {
            self.0 = None;
            settle(shared, connection, verdict);
        }
    }
}

fn settle(shared: &Shared, connection: &Connection, verdict: Result<Principal, VerifyError>) {
    match verdict {
        Ok(principal) if principal.user_id != connection.identity.user => {
            refuse(connection, "refresh_other_user", error::REFRESH_OTHER_USER);
        }
        Ok(principal) if !connection.extend(principal.expires_at) => {
            refuse(connection, "refresh_earlier", error::REFRESH_FAILED);
        }
        Ok(principal) => {
            metrics::inbound("refresh");
            shared.expiries.watch(connection);
            let refreshed = Refreshed::until(principal.expires_at);
            connection.push([&message::compose_value(event::REFRESHED, &refreshed)[..]]);
        }
        Err(VerifyError::Refused(_)) => refuse(connection, "refresh_refused", error::REFRESH_FAILED),
        Err(VerifyError::Unavailable) => refuse(connection, "refresh_unavailable", error::REFRESH_ERROR),
    }
}

/// The session stays as it was.
fn refuse(connection: &Connection, label: &'static str, text: &str) {
    metrics::inbound_refused(label);
    connection.push_error(text);
}
