//! What a client says: JSON text frames `{"event": string, "data"?: any, "id"?: string}`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::message::event;

/// Larger inbound messages close with 1009.
pub const MAX_INBOUND_BYTES: usize = 128 * 1024;

/// Not a frame of this protocol: no JSON object, or an `event` that is no string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a message of this protocol")]
pub struct Malformed;

/// One inbound message.
#[derive(Debug, Deserialize)]
pub struct ClientFrame<'a> {
    /// Empty when the message has none; such a message is passed over in silence.
    #[serde(borrow, default)]
    pub event: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub data: Option<&'a RawValue>,
}

/// Keeps an explicit `null` apart from an absent field, which `Option` alone does not.
pub(crate) fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'a> ClientFrame<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        // serde would take an array for a struct, field by field.
        if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(Malformed);
        }
        serde_json::from_slice(bytes).map_err(|_| Malformed)
    }

    /// The payload of `authenticate`.
    pub fn authenticate(&self) -> Authenticate<'a> {
        self.data.and_then(|data| serde_json::from_str(data.get()).ok()).unwrap_or_default()
    }

    /// The payload of `join` and `leave`.
    pub fn rooms(&self) -> Result<Vec<Cow<'a, str>>, Malformed> {
        #[derive(Deserialize)]
        struct Rooms<'a> {
            #[serde(borrow)]
            rooms: Vec<Cow<'a, str>>,
        }
        let data = self.data.ok_or(Malformed)?;
        if !data.get().starts_with('{') {
            return Err(Malformed);
        }
        serde_json::from_str::<Rooms<'a>>(data.get()).map(|data| data.rooms).map_err(|_| Malformed)
    }

    pub fn is_heartbeat(&self) -> bool {
        self.event == event::HEARTBEAT
    }
}

/// What a client offers to become somebody. A field that is absent or of another type is `None`: a missing token is
/// a refused token, and a missing key a refused key.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Authenticate<'a> {
    #[serde(borrow, default, deserialize_with = "string_or_none")]
    pub token: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "string_or_none")]
    pub public_key: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "type", deserialize_with = "string_or_none")]
    pub scheme: Option<Cow<'a, str>>,
}

fn string_or_none<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'de, str>>, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str::<Cow<'de, str>>(raw.get()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_a_frame() {
        let frame = ClientFrame::parse(br#" {"event":"join","data":{"rooms":["a","b\n"]},"id":"7","x":[1]}"#).unwrap();
        assert_eq!(frame.event, "join");
        assert_eq!(frame.rooms().unwrap(), ["a", "b\n"]);
    }

    #[test]
    fn a_frame_without_event_is_a_frame() {
        assert_eq!(ClientFrame::parse(b"{}").unwrap().event, "");
        assert_eq!(ClientFrame::parse(br#"{"data":null}"#).unwrap().data.unwrap().get(), "null");
    }

    #[test]
    fn everything_else_is_malformed() {
        for bytes in [
            &b""[..],
            b"null",
            b"[]",
            b"[\"join\",{}]",
            b"\"join\"",
            b"7",
            b"{",
            b"{\"event\":7}",
            b"{\"event\":null}",
            b"{\"event\":{}}",
            b"{\"event\":\"\\ud800\"}",
            b"{\"event\":\"x\"}}",
            b"{\"event\":\"x\",}",
            b"\xff{\"event\":\"x\"}",
            b"{\"event\":\"\xff\"}",
        ] {
            assert_eq!(ClientFrame::parse(bytes).err(), Some(Malformed), "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn rooms_that_are_no_list_of_strings_are_malformed() {
        for data in ["null", "[]", "[[\"a\"]]", "{}", r#"{"rooms":"a"}"#, r#"{"rooms":[1]}"#, r#"{"rooms":[null]}"#] {
            let frame = format!(r#"{{"event":"join","data":{data}}}"#);
            assert!(ClientFrame::parse(frame.as_bytes()).unwrap().rooms().is_err(), "{data}");
        }
        assert!(ClientFrame::parse(br#"{"event":"join"}"#).unwrap().rooms().is_err());
    }

    #[test]
    fn authenticate_takes_strings_only() {
        let frame = ClientFrame::parse(br#"{"event":"authenticate","data":{"token":7,"publicKey":"BA=="}}"#).unwrap();
        let authenticate = frame.authenticate();
        assert_eq!(authenticate.token, None);
        assert_eq!(authenticate.public_key.as_deref(), Some("BA=="));
        assert!(ClientFrame::parse(br#"{"event":"authenticate"}"#).unwrap().authenticate().token.is_none());
    }

    #[test]
    fn nesting_does_not_exhaust_the_stack() {
        let deep = format!(r#"{{"event":"x","data":{}{}}}"#, "[".repeat(50_000), "]".repeat(50_000));
        assert!(ClientFrame::parse(deep.as_bytes()).is_ok());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = ClientFrame::parse(&bytes).map(|frame| (frame.rooms(), frame.authenticate().token));
        }
    }
}
