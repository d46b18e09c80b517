//! What sister services and workers tell the edges: channels `ws:*` and their JSON payload.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::frame::present;

/// `serverId` of everybody who is not an edge.
pub const EMITTER: &str = "emitter";
/// Larger payloads are dropped.
pub const MAX_BYTES: usize = 1024 * 1024;
/// Subscribed to by every edge.
pub const BROADCAST_CHANNEL: &str = "ws:broadcast";

/// What an envelope adds to its data, with usual names and a trace.
const WRAPPING: usize = 320;

const ROOM_PREFIX: &str = "ws:room:";
const CLIENT_PREFIX: &str = "ws:client:";
const USER_PREFIX: &str = "ws:user:";

/// Whom a message is for. A channel and an envelope each name one, and they must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target<'a> {
    Broadcast,
    Room(&'a str),
    Client(&'a str),
    User(&'a str),
}

impl<'a> Target<'a> {
    pub fn channel(self) -> String {
        match self {
            Self::Broadcast => BROADCAST_CHANNEL.to_owned(),
            Self::Room(room) => format!("{ROOM_PREFIX}{room}"),
            Self::Client(id) => format!("{CLIENT_PREFIX}{id}"),
            Self::User(id) => format!("{USER_PREFIX}{id}"),
        }
    }

    pub fn of_channel(channel: &'a str) -> Option<Self> {
        if channel == BROADCAST_CHANNEL {
            return Some(Self::Broadcast);
        }
        let (wrap, target): (fn(&'a str) -> Self, _) = if let Some(room) = channel.strip_prefix(ROOM_PREFIX) {
            (Self::Room, room)
        } else if let Some(client) = channel.strip_prefix(CLIENT_PREFIX) {
            (Self::Client, client)
        } else {
            (Self::User, channel.strip_prefix(USER_PREFIX)?)
        };
        (!target.is_empty()).then(|| wrap(target))
    }

    /// `type` of an envelope.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Broadcast => "broadcast",
            Self::Room(_) => "room",
            Self::Client(_) => "client",
            Self::User(_) => "user",
        }
    }

    fn name(self) -> Option<&'a str> {
        match self {
            Self::Broadcast => None,
            Self::Room(name) | Self::Client(name) | Self::User(name) => Some(name),
        }
    }
}

/// Why a payload was dropped; the label under which it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the channel is none of ws:broadcast, ws:room:*, ws:client:*, ws:user:*")]
    Channel,
    #[error("the payload is larger than 1 MiB")]
    TooLarge,
    #[error("the payload is not an envelope")]
    Malformed,
    #[error("type and target do not agree with the channel")]
    Disagrees,
}

impl Refusal {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Channel => "channel",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::Disagrees => "disagrees",
        }
    }
}

/// A message between servers. Key order is that of the software Signal is compatible with.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope<'a> {
    #[serde(borrow)]
    pub server_id: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    target: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub event: Cow<'a, str>,
    /// Handed on to the byte.
    #[serde(borrow, default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub data: Option<&'a RawValue>,
    /// Client ids that a room or a broadcast passes over.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub exclude: Option<Vec<Cow<'a, str>>>,
    /// W3C Trace Context.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<Cow<'a, str>>,
}

impl<'a> Envelope<'a> {
    pub fn new(server_id: &'a str, target: Target<'a>, event: &'a str, data: Option<&'a RawValue>) -> Self {
        Self {
            server_id: server_id.into(),
            kind: target.kind().into(),
            target: target.name().map(Cow::Borrowed),
            event: event.into(),
            data,
            exclude: None,
            traceparent: None,
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        // Most of it is what it wraps: it need not be moved while the rest grows around it.
        let mut out = Vec::with_capacity(self.data.map_or(0, |data| data.get().len()) + WRAPPING);
        serde_json::to_writer(&mut out, self).expect("an envelope has string keys, and a Vec always takes it");
        out
    }

    /// Reads what arrived on `channel`.
    pub fn decode(channel: &'a str, payload: &'a [u8]) -> Result<(Target<'a>, Self), Refusal> {
        let target = Target::of_channel(channel).ok_or(Refusal::Channel)?;
        if payload.len() > MAX_BYTES {
            return Err(Refusal::TooLarge);
        }
        if payload.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(Refusal::Malformed);
        }
        let envelope: Self = serde_json::from_slice(payload).map_err(|_| Refusal::Malformed)?;
        if envelope.event.is_empty() {
            return Err(Refusal::Malformed);
        }
        if envelope.kind != target.kind() || envelope.target.as_deref() != target.name() {
            return Err(Refusal::Disagrees);
        }
        Ok((target, envelope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reproduces_the_recorded_envelopes() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/vectors/ignis.json")).unwrap();
        let recorded = vectors["emitterEnvelopes"].as_array().unwrap();
        assert_eq!(recorded.len(), 5);
        for vector in recorded {
            let (channel, raw) = (vector["channel"].as_str().unwrap(), vector["raw"].as_str().unwrap());
            let (target, envelope) = Envelope::decode(channel, raw.as_bytes()).unwrap();
            assert_eq!(target.channel(), channel);
            assert_eq!(envelope.server_id, EMITTER);
            assert_eq!(String::from_utf8(envelope.encode()).unwrap(), raw);

            let mut made = Envelope::new(EMITTER, target, &envelope.event, envelope.data);
            made.exclude = envelope.exclude.clone();
            assert_eq!(String::from_utf8(made.encode()).unwrap(), raw);
        }
    }

    #[test]
    fn null_data_is_not_absent_data() {
        let with = br#"{"serverId":"emitter","type":"broadcast","event":"e","data":null}"#;
        let without = br#"{"serverId":"emitter","type":"broadcast","event":"e"}"#;
        assert_eq!(Envelope::decode("ws:broadcast", with).unwrap().1.data.unwrap().get(), "null");
        assert!(Envelope::decode("ws:broadcast", without).unwrap().1.data.is_none());
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let valid = r#"{"serverId":"emitter","type":"room","target":"a","event":"e","data":1,"later":[]}"#;
        assert!(Envelope::decode("ws:room:a", valid.as_bytes()).is_ok());
        let cases: &[(&str, &str, Refusal)] = &[
            ("ws:room:b", valid, Refusal::Disagrees),
            ("ws:user:a", valid, Refusal::Disagrees),
            ("ws:broadcast", valid, Refusal::Disagrees),
            ("ws:rooms:a", valid, Refusal::Channel),
            ("ws:room:", valid, Refusal::Channel),
            ("signal:control", valid, Refusal::Channel),
            ("ws:room:a", "", Refusal::Malformed),
            ("ws:room:a", "null", Refusal::Malformed),
            ("ws:room:a", r#"["emitter","room","a","e",1]"#, Refusal::Malformed),
            ("ws:room:a", r#"{"type":"room","target":"a","event":"e"}"#, Refusal::Malformed),
            ("ws:room:a", r#"{"serverId":7,"type":"room","target":"a","event":"e"}"#, Refusal::Malformed),
            ("ws:room:a", r#"{"serverId":"x","type":"room","target":"a","event":""}"#, Refusal::Malformed),
            ("ws:room:a", r#"{"serverId":"x","type":"room","target":"a"}"#, Refusal::Malformed),
            (
                "ws:room:a",
                r#"{"serverId":"x","type":"room","target":"a","event":"e","exclude":"c"}"#,
                Refusal::Malformed,
            ),
            (
                "ws:room:a",
                r#"{"serverId":"x","type":"room","target":"a","event":"e","exclude":[1]}"#,
                Refusal::Malformed,
            ),
            ("ws:room:a", r#"{"serverId":"x","type":"room","event":"e"}"#, Refusal::Disagrees),
        ];
        for (channel, payload, refusal) in cases {
            assert_eq!(Envelope::decode(channel, payload.as_bytes()).err(), Some(*refusal), "{channel} {payload}");
        }
        let large = format!(r#"{{"serverId":"x","type":"broadcast","event":"e","data":"{}"}}"#, "x".repeat(MAX_BYTES));
        assert_eq!(Envelope::decode("ws:broadcast", large.as_bytes()).err(), Some(Refusal::TooLarge));
    }

    proptest! {
        #[test]
        fn envelopes_round_trip(room in "\\PC{1,40}", event in "\\PC{1,40}", text in "\\PC{0,80}") {
            let data = serde_json::value::to_raw_value(&text).unwrap();
            let bytes = Envelope::new("s", Target::Room(&room), &event, Some(&data)).encode();
            let channel = Target::Room(&room).channel();
            let (target, envelope) = Envelope::decode(&channel, &bytes).unwrap();
            prop_assert_eq!(target, Target::Room(room.as_str()));
            prop_assert_eq!(envelope.event.as_ref(), event);
            prop_assert_eq!(envelope.data.unwrap().get(), data.get());
        }

        #[test]
        fn any_bytes_are_read_or_refused(channel in "\\PC{0,20}", bytes: Vec<u8>) {
            let channel = format!("ws:{channel}");
            prop_assert!(Envelope::decode(&channel, &bytes).is_err());
        }
    }
}
