//! What a client says: JSON text frames `{"event": string, "data"?: any, "id"?: string}`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{message::event, protocol::Protocol};

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
        self.object().unwrap_or_default()
    }

    /// The payload of `join` and `leave`.
    pub fn rooms(&self) -> Result<Vec<Cow<'a, str>>, Malformed> {
        #[derive(Deserialize)]
        struct Rooms<'a> {
            #[serde(borrow)]
            rooms: Vec<Cow<'a, str>>,
        }
        self.object::<Rooms<'a>>().map(|data| data.rooms)
    }

    /// The token of `refresh`.
    pub fn refresh(&self) -> Result<Cow<'a, str>, Malformed> {
        #[derive(Deserialize)]
        struct Refresh<'a> {
            #[serde(borrow)]
            token: Cow<'a, str>,
        }
        self.object::<Refresh<'a>>().map(|data| data.token)
    }

    /// `data`, which must be an object: serde would take an array for a struct, field by field.
    fn object<T: Deserialize<'a>>(&self) -> Result<T, Malformed> {
        let data = self.data.map(RawValue::get).filter(|data| data.starts_with('{')).ok_or(Malformed)?;
        serde_json::from_str(data).map_err(|_| Malformed)
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
    /// The version that the client asks for: what is no integer, or below 2, asks for v1.
    #[serde(default, deserialize_with = "version")]
    pub protocol: Protocol,
}

fn version<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Protocol, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str::<u64>(raw.get()).map(Protocol::asked_for).unwrap_or_default())
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
        let list = ClientFrame::parse(br#"{"event":"authenticate","data":["token","BA==","Bearer"]}"#).unwrap();
        assert!(list.authenticate().token.is_none());
    }

    #[test]
    fn a_client_asks_for_v2_by_an_integer() {
        let asked_for = |protocol: &str| {
            let frame = format!(r#"{{"event":"authenticate","data":{{"token":"t"{protocol}}}}}"#);
            let frame = ClientFrame::parse(frame.as_bytes()).unwrap();
            let authenticate = frame.authenticate();
            assert_eq!(authenticate.token.as_deref(), Some("t"), "{protocol}");
            authenticate.protocol
        };
        for two in ["2", "3", "18446744073709551615"] {
            assert_eq!(asked_for(&format!(r#","protocol":{two}"#)), Protocol::V2, "{two}");
        }
        for one in ["0", "1", "-2", "2.0", "2.5", "2e0", "\"2\"", "null", "true", "[2]", "{}", "18446744073709551616"] {
            assert_eq!(asked_for(&format!(r#","protocol":{one}"#)), Protocol::V1, "{one}");
        }
        assert_eq!(asked_for(""), Protocol::V1);
    }

    #[test]
    fn refresh_has_a_token_or_is_malformed() {
        let refresh = |data: &str| {
            let frame = format!(r#"{{"event":"refresh","data":{data}}}"#);
            ClientFrame::parse(frame.as_bytes()).unwrap().refresh().map(Cow::into_owned)
        };
        assert_eq!(refresh(r#"{"token":"a.b","more":1}"#).as_deref(), Ok("a.b"));
        for data in ["null", "[]", "[\"a\"]", "\"a\"", "{}", r#"{"token":7}"#, r#"{"token":null}"#] {
            assert_eq!(refresh(data), Err(Malformed), "{data}");
        }
        assert_eq!(ClientFrame::parse(br#"{"event":"refresh"}"#).unwrap().refresh(), Err(Malformed));
    }

    #[test]
    fn nesting_does_not_exhaust_the_stack() {
        let deep = format!(r#"{{"event":"x","data":{}{}}}"#, "[".repeat(50_000), "]".repeat(50_000));
        assert!(ClientFrame::parse(deep.as_bytes()).is_ok());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = ClientFrame::parse(&bytes).map(|frame| (frame.rooms(), frame.refresh(), frame.authenticate().token));
        }
    }
}
