//! The message that every frame carries once opened: `{"event", "data"?}`.

use serde_json::value::RawValue;

/// Events of the protocol itself. Everything else belongs to the services that push.
pub mod event {
    pub const AUTHENTICATE: &str = "authenticate";
    pub const CONNECTED: &str = "connected";
    pub const ENCRYPTED: &str = "encrypted";
    pub const ERROR: &str = "error";
    pub const HEARTBEAT: &str = "heartbeat";
    pub const JOIN: &str = "join";
    pub const LEAVE: &str = "leave";
    /// The client's next token, `{token}`: the session is to outlive the one that it began with.
    pub const REFRESH: &str = "refresh";
    /// The token was taken; data as [`crate::refresh::Refreshed`].
    pub const REFRESHED: &str = "refreshed";
    /// Pushes may have been missed; `{reason}`. The client reads the REST list again.
    pub const RESYNC: &str = "resync";
    /// This edge is draining; `{afterMs}`.
    pub const RECONNECT: &str = "reconnect";
    /// A row of `ActivityNotification` came to be; data as [`crate::notification::Notification`].
    pub const NOTIFICATION_CREATED: &str = "observation/signal/notification/created";
    /// A person has read notifications in one of their windows; data as [`crate::notification::Read`].
    pub const NOTIFICATION_READ: &str = "observation/signal/notification/read";
    /// How many of a person's notifications are unread now; data as [`crate::notification::Unread`].
    pub const NOTIFICATION_UNREAD: &str = "observation/signal/notification/unread";
}

/// What `error` events say. Existing clients compare these texts.
pub mod error {
    pub const INVALID_FORMAT: &str = "Invalid message format";
    pub const NOT_AUTHENTICATED: &str = "Not authenticated";
    pub const ALREADY_AUTHENTICATED: &str = "Already authenticated";
    /// The token was refused.
    pub const AUTHENTICATION_FAILED: &str = "Authentication failed";
    /// The token could not be checked.
    pub const AUTHENTICATION_ERROR: &str = "Authentication error";
    pub const HANDSHAKE_FAILED: &str = "Encryption handshake failed";
    pub const DECRYPTION_FAILED: &str = "Decryption failed";
    /// The token of `refresh` was refused. This and the next two leave the session as it was.
    pub const REFRESH_FAILED: &str = "Refresh failed";
    /// The token of `refresh` could not be checked.
    pub const REFRESH_ERROR: &str = "Refresh error";
    /// The token of `refresh` is good, and another user's.
    pub const REFRESH_OTHER_USER: &str = "Refresh failed: another user's token";

    /// Whether `message` is an answer to `refresh`.
    pub fn is_of_refresh(message: &str) -> bool {
        [REFRESH_FAILED, REFRESH_ERROR, REFRESH_OTHER_USER].contains(&message)
    }
}

/// `{"event":…,"data":…}`, or without `data` when there is none. `data` is taken over to the byte.
pub fn compose(event: &str, data: Option<&RawValue>) -> Vec<u8> {
    let data = data.map(RawValue::get);
    let mut out = Vec::with_capacity(event.len() + data.map_or(0, str::len) + 22);
    out.extend_from_slice(b"{\"event\":");
    serde_json::to_writer(&mut out, event).expect("a string is always JSON, and a Vec always takes it");
    if let Some(data) = data {
        out.extend_from_slice(b",\"data\":");
        out.extend_from_slice(data.as_bytes());
    }
    out.push(b'}');
    out
}

/// [`compose`] for data that is not JSON text yet.
pub fn compose_value(event: &str, data: &impl serde::Serialize) -> Vec<u8> {
    let data = serde_json::value::to_raw_value(data).expect("protocol data has string keys and no failing Serialize");
    compose(event, Some(&data))
}

/// `{"event":"error","data":{"message":…}}`.
pub fn compose_error(message: &str) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Data<'a> {
        message: &'a str,
    }
    compose_value(event::ERROR, &Data { message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_data_to_the_byte() {
        let data = serde_json::from_str::<&RawValue>("{\"a\" : 1.50}").unwrap();
        assert_eq!(compose("x\"y", Some(data)), b"{\"event\":\"x\\\"y\",\"data\":{\"a\" : 1.50}}");
        assert_eq!(compose("x", None), b"{\"event\":\"x\"}");
    }

    #[test]
    fn errors_have_the_shape_that_clients_know() {
        assert_eq!(
            compose_error(error::NOT_AUTHENTICATED),
            b"{\"event\":\"error\",\"data\":{\"message\":\"Not authenticated\"}}"
        );
    }
}
