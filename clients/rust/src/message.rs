//! What arrives, opened: `{"event", "data"?}`.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use signal_wire::{
    frame::{ClientFrame, Malformed},
    message::event,
    notification::{Notification, Read, Unread},
};

/// One push.
#[derive(Clone, Debug)]
pub struct Message {
    event: Box<str>,
    data: Option<Box<RawValue>>,
}

impl Message {
    /// Both directions have one shape.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let frame = ClientFrame::parse(bytes)?;
        if frame.event.is_empty() {
            return Err(Malformed);
        }
        Ok(Self { event: frame.event.into(), data: frame.data.map(ToOwned::to_owned) })
    }

    pub fn event(&self) -> &str {
        &self.event
    }

    /// `data` as it was published, to the byte; `None` if there is none.
    pub fn raw_data(&self) -> Option<&RawValue> {
        self.data.as_deref()
    }

    /// `data` as a type of yours; where there is none it reads as `null`.
    ///
    /// # Errors
    /// If it has another shape.
    pub fn data<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.data.as_ref().map_or("null", |data| data.get()))
    }

    /// The notification, if this is the event that brings one.
    pub fn notification(&self) -> Option<serde_json::Result<Notification>> {
        (self.event() == event::NOTIFICATION_CREATED).then(|| self.data())
    }

    /// What was read in another window, if this is the event that says so.
    pub fn read(&self) -> Option<serde_json::Result<Read>> {
        (self.event() == event::NOTIFICATION_READ).then(|| self.data())
    }

    /// How much is unread now, if this is the event that says so. Of two, the one with the lower version is stale.
    pub fn unread(&self) -> Option<serde_json::Result<Unread>> {
        (self.event() == event::NOTIFICATION_UNREAD).then(|| self.data())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_kept_and_read_as_what_the_caller_wants() {
        let message = Message::parse(br#"{"event":"price","data":{"amount" : 1.50}}"#).unwrap();
        assert_eq!(message.raw_data().unwrap().get(), r#"{"amount" : 1.50}"#);
        assert_eq!(message.data::<serde_json::Value>().unwrap()["amount"], 1.5);
        assert!(message.data::<Vec<u8>>().is_err());
        assert!(message.notification().is_none());
        assert_eq!(Message::parse(br#"{"event":"x"}"#).unwrap().data::<Option<u8>>().unwrap(), None);
    }

    #[test]
    fn a_notification_is_one_by_its_event() {
        let message = Message::parse(br#"{"event":"observation/signal/notification/created","data":{}}"#).unwrap();
        assert!(message.notification().unwrap().is_err());
        assert!(message.read().is_none() && message.unread().is_none());
    }

    #[test]
    fn what_was_read_elsewhere_and_what_is_left_have_their_events() {
        let read =
            r#"{"event":"observation/signal/notification/read","data":{"ids":["a"],"readAt":"2026-11-23T08:00:00Z"}}"#;
        let read = Message::parse(read.as_bytes()).unwrap();
        assert_eq!(read.read().unwrap().unwrap().ids.unwrap(), ["a"]);
        assert!(read.unread().is_none() && read.notification().is_none());
        let unread = br#"{"event":"observation/signal/notification/unread","data":{"unread":2,"version":7}}"#;
        assert_eq!(Message::parse(unread).unwrap().unread().unwrap().unwrap(), Unread { unread: 2, version: 7 });
    }

    #[test]
    fn a_message_without_event_is_malformed() {
        assert!(Message::parse(b"{}").is_err());
        assert!(Message::parse(b"[]").is_err());
    }
}
