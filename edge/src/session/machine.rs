//! What a message means, as a pure function of the message and of what came before it.

use std::borrow::Cow;

use signal_wire::{
    frame::{Authenticate, ClientFrame},
    message::{error, event},
    protocol::Protocol,
    sealed::Sealed,
};

/// How far a client has come that is not authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Greeting {
    /// It has not tried.
    Fresh,
    /// Its token is being checked.
    Checking,
}

/// What a client that is not authenticated gets for a message.
#[derive(Debug)]
pub(super) enum Before<'a> {
    Silence,
    Error(&'static str),
    Authenticate(Authenticate<'a>),
}

pub(super) fn before(message: &[u8], greeting: Greeting) -> Before<'_> {
    let Ok(frame) = ClientFrame::parse(message) else { return Before::Error(error::INVALID_FORMAT) };
    match (&*frame.event, greeting) {
        ("" | event::HEARTBEAT, _) => Before::Silence,
        (event::AUTHENTICATE, Greeting::Fresh) => Before::Authenticate(frame.authenticate()),
        (event::AUTHENTICATE, Greeting::Checking) => Before::Error(error::ALREADY_AUTHENTICATED),
        _ => Before::Error(error::NOT_AUTHENTICATED),
    }
}

/// How the data frames of a live client carry its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carriage {
    /// As they are; an envelope may be among them.
    Plain,
    /// The frame is the message, sealed.
    Sealed,
    /// Whoever says this is not the client that shook hands, or not in its right mind.
    Violation,
}

pub(super) fn carriage(protocol: Protocol, is_binary: bool) -> Carriage {
    match (protocol, is_binary) {
        (Protocol::V1, _) => Carriage::Plain,
        (Protocol::V2, true) => Carriage::Sealed,
        (Protocol::V2, false) => Carriage::Violation,
    }
}

/// Whether a message arrived sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrapping {
    Plain,
    Sealed,
}

/// What clients may say in plaintext once they are authenticated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum PlaintextInbound {
    /// Everything, as the service before took it.
    #[default]
    Compat,
    /// Heartbeats; everything else only in an envelope.
    HeartbeatOnly,
}

/// What an authenticated client's message asks for.
#[derive(Debug)]
pub(super) enum After<'a> {
    /// Silence: it was counted as activity already.
    Heartbeat,
    Open(Sealed<'a>),
    Join(Vec<Cow<'a, str>>),
    Leave(Vec<Cow<'a, str>>),
    /// A token that is to take the place of the one before.
    Refresh(Cow<'a, str>),
    /// An event that means nothing to an edge; accepted.
    Ignored,
    /// Refused without a word, and counted under this label.
    Refused(&'static str),
    /// Refused with this text.
    Error(&'static str),
}

pub(super) fn after(message: &[u8], wrapping: Wrapping, policy: PlaintextInbound) -> After<'_> {
    let Ok(frame) = ClientFrame::parse(message) else { return After::Error(error::INVALID_FORMAT) };
    if frame.event.is_empty() {
        return After::Ignored;
    }
    if frame.is_heartbeat() {
        return After::Heartbeat;
    }
    if wrapping == Wrapping::Plain {
        if frame.event == event::ENCRYPTED {
            let sealed = frame.data.and_then(|data| Sealed::parse(data.get()).ok());
            return sealed.map_or(After::Error(error::DECRYPTION_FAILED), After::Open);
        }
        if policy == PlaintextInbound::HeartbeatOnly {
            return After::Refused("plaintext");
        }
    }
    match &*frame.event {
        event::JOIN => frame.rooms().map_or(After::Refused("rooms"), After::Join),
        event::LEAVE => frame.rooms().map_or(After::Refused("rooms"), After::Leave),
        event::REFRESH => frame.refresh().map_or(After::Error(error::REFRESH_FAILED), After::Refresh),
        event::AUTHENTICATE => After::Error(error::ALREADY_AUTHENTICATED),
        _ => After::Ignored,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn before_authentication() {
        use Greeting::{Checking, Fresh};
        let error = |message: &str, greeting| match before(message.as_bytes(), greeting) {
            Before::Error(text) => Some(text),
            Before::Silence => None,
            Before::Authenticate(_) => Some("authenticate"),
        };
        for (message, fresh, checking) in [
            (r#"{"event":"authenticate","data":{}}"#, Some("authenticate"), Some("Already authenticated")),
            (r#"{"event":"heartbeat"}"#, None, None),
            (r#"{"data":{}}"#, None, None),
            (r#"{"event":""}"#, None, None),
            (r#"{"event":"join","data":{"rooms":["a"]}}"#, Some("Not authenticated"), Some("Not authenticated")),
            (r#"{"event":"encrypted","data":{}}"#, Some("Not authenticated"), Some("Not authenticated")),
            ("hello", Some("Invalid message format"), Some("Invalid message format")),
            ("null", Some("Invalid message format"), Some("Invalid message format")),
            ("[]", Some("Invalid message format"), Some("Invalid message format")),
        ] {
            assert_eq!(error(message, Fresh), fresh, "{message}");
            assert_eq!(error(message, Checking), checking, "{message}");
        }
    }

    fn meaning(message: &str, wrapping: Wrapping, policy: PlaintextInbound) -> String {
        match after(message.as_bytes(), wrapping, policy) {
            After::Heartbeat => "heartbeat".into(),
            After::Open(sealed) => format!("open {} {}", sealed.iv, sealed.ct),
            After::Join(rooms) => format!("join {rooms:?}"),
            After::Leave(rooms) => format!("leave {rooms:?}"),
            After::Refresh(token) => format!("refresh {token}"),
            After::Ignored => "ignored".into(),
            After::Refused(label) => format!("refused {label}"),
            After::Error(text) => text.into(),
        }
    }

    #[test]
    fn after_authentication() {
        use PlaintextInbound::{Compat, HeartbeatOnly};
        use Wrapping::{Plain, Sealed};
        for (message, plain, strict, sealed) in [
            (r#"{"event":"heartbeat"}"#, "heartbeat", "heartbeat", "heartbeat"),
            (r#"{"event":"join","data":{"rooms":["a"]}}"#, r#"join ["a"]"#, "refused plaintext", r#"join ["a"]"#),
            (r#"{"event":"leave","data":{"rooms":[]}}"#, "leave []", "refused plaintext", "leave []"),
            (r#"{"event":"join","data":{"rooms":"a"}}"#, "refused rooms", "refused plaintext", "refused rooms"),
            (r#"{"event":"join","data":null}"#, "refused rooms", "refused plaintext", "refused rooms"),
            (r#"{"event":"refresh","data":{"token":"t"}}"#, "refresh t", "refused plaintext", "refresh t"),
            (r#"{"event":"refresh"}"#, "Refresh failed", "refused plaintext", "Refresh failed"),
            (r#"{"event":"order:open","data":7}"#, "ignored", "refused plaintext", "ignored"),
            (r#"{"data":7}"#, "ignored", "ignored", "ignored"),
            (r#"{"event":"encrypted","data":{"iv":"a","ct":"b"}}"#, "open a b", "open a b", "ignored"),
            (r#"{"event":"encrypted","data":[]}"#, "Decryption failed", "Decryption failed", "ignored"),
            (r#"{"event":"encrypted"}"#, "Decryption failed", "Decryption failed", "ignored"),
            (r#"{"event":"authenticate"}"#, "Already authenticated", "refused plaintext", "Already authenticated"),
            ("null", "Invalid message format", "Invalid message format", "Invalid message format"),
        ] {
            assert_eq!(meaning(message, Plain, Compat), plain, "{message}");
            assert_eq!(meaning(message, Plain, HeartbeatOnly), strict, "{message}");
            assert_eq!(meaning(message, Sealed, Compat), sealed, "{message}");
        }
    }

    #[test]
    fn v2_has_sealed_frames_alone() {
        assert_eq!(carriage(Protocol::V1, false), Carriage::Plain);
        assert_eq!(carriage(Protocol::V1, true), Carriage::Plain);
        assert_eq!(carriage(Protocol::V2, true), Carriage::Sealed);
        assert_eq!(carriage(Protocol::V2, false), Carriage::Violation);
    }

    proptest! {
        #[test]
        fn any_message_has_a_meaning(message: Vec<u8>) {
            before(&message, Greeting::Fresh);
            after(&message, Wrapping::Plain, PlaintextInbound::Compat);
        }
    }
}
