//! Notifications are delivered at least once; an id that was seen is not shown again.

use std::collections::{HashSet, VecDeque};

use serde::Deserialize;
use signal_wire::message::event;

use crate::message::Message;

/// Repetitions follow a redelivery or a reconnect, not a day's work: the latest thousand will do.
const REMEMBERED: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Seen {
    ids: HashSet<Box<str>>,
    order: VecDeque<Box<str>>,
}

impl Seen {
    /// `false` for a notification that was here before.
    pub(crate) fn is_new(&mut self, message: &Message) -> bool {
        #[derive(Deserialize)]
        struct Identified {
            id: Box<str>,
        }
        if message.event() != event::NOTIFICATION_CREATED {
            return true;
        }
        // What has no id cannot be told apart, and is the application's to judge.
        let Ok(Identified { id }) = message.data() else { return true };
        if !self.ids.insert(id.clone()) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(event: &str, id: usize) -> Message {
        Message::parse(format!(r#"{{"event":"{event}","data":{{"id":"{id}"}}}}"#).as_bytes()).unwrap()
    }

    #[test]
    fn only_notifications_are_dropped_and_only_once_seen() {
        let mut seen = Seen::default();
        assert!(seen.is_new(&message(event::NOTIFICATION_CREATED, 1)));
        assert!(!seen.is_new(&message(event::NOTIFICATION_CREATED, 1)));
        assert!(seen.is_new(&message(event::NOTIFICATION_CREATED, 2)));
        assert!(seen.is_new(&message("other", 1)) && seen.is_new(&message("other", 1)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut seen = Seen::default();
        for id in 0..3 * REMEMBERED {
            assert!(seen.is_new(&message(event::NOTIFICATION_CREATED, id)));
        }
        assert_eq!((seen.ids.len(), seen.order.len()), (REMEMBERED, REMEMBERED));
        assert!(!seen.is_new(&message(event::NOTIFICATION_CREATED, 3 * REMEMBERED - 1)));
    }
}
