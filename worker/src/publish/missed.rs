//! Who missed a push while the backplane was away, remembered within bounds.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::value::to_raw_value;
use signal_bus::Publication;
use signal_wire::{
    envelope::{EMITTER, Envelope, Target},
    message::event,
    room,
};

/// Beyond so many people everybody is told.
pub(super) const MAX_REMEMBERED: usize = 10_000;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Missed {
    Recipients(BTreeSet<String>),
    Everybody,
}

impl Default for Missed {
    fn default() -> Self {
        Self::Recipients(BTreeSet::new())
    }
}

impl Missed {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Recipients(recipients) if recipients.is_empty())
    }

    pub(super) fn add(&mut self, more: impl IntoIterator<Item = String>) {
        if let Self::Recipients(recipients) = self {
            recipients.extend(more);
            if recipients.len() > MAX_REMEMBERED {
                *self = Self::Everybody;
            }
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        match other {
            Self::Recipients(recipients) => self.add(recipients),
            Self::Everybody => *self = Self::Everybody,
        }
    }

    /// What tells them, and the label of whom that is.
    pub(super) fn resyncs(&self) -> (&'static str, Vec<Publication>) {
        match self {
            Self::Everybody => ("everybody", vec![resync(Target::Broadcast)]),
            Self::Recipients(recipients) => {
                let to = |recipient: &String| resync(Target::Room(&room::recipient(recipient)));
                ("room", recipients.iter().map(to).collect())
            }
        }
    }
}

fn resync(target: Target<'_>) -> Publication {
    let data = to_raw_value(&serde_json::json!({ "reason": "pushes_missed" })).expect("a constant has a JSON form");
    let payload = Envelope::new(EMITTER, target, event::RESYNC, Some(&data)).encode();
    Publication { channel: target.channel(), payload: Bytes::from(payload) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(range: std::ops::Range<usize>) -> impl Iterator<Item = String> {
        range.map(|n| format!("user-{n}"))
    }

    #[test]
    fn remembers_people_up_to_a_bound_then_tells_everybody() {
        let mut missed = Missed::default();
        assert!(missed.is_empty());
        missed.add(people(0..MAX_REMEMBERED));
        missed.add(people(0..MAX_REMEMBERED));
        assert_eq!(missed.resyncs().1.len(), MAX_REMEMBERED);
        missed.add(people(MAX_REMEMBERED..MAX_REMEMBERED + 1));
        assert_eq!(missed, Missed::Everybody);

        let (scope, publications) = missed.resyncs();
        assert_eq!((scope, publications.len()), ("everybody", 1));
        assert_eq!(publications[0].channel, "ws:broadcast");
    }

    #[test]
    fn what_could_not_be_told_is_not_forgotten() {
        let mut missed = Missed::default();
        missed.add(people(0..1));
        missed.merge(Missed::Recipients(people(1..2).collect()));
        let (_, publications) = missed.resyncs();
        let channels: Vec<_> = publications.iter().map(|one| one.channel.as_str()).collect();
        assert_eq!(channels, ["ws:room:signal/notification/user-0", "ws:room:signal/notification/user-1"]);
        assert_eq!(
            publications[0].payload,
            r#"{"serverId":"emitter","type":"room","target":"signal/notification/user-0","event":"resync","data":{"reason":"pushes_missed"}}"#
        );
        missed.merge(Missed::Everybody);
        assert_eq!(missed, Missed::Everybody);
    }
}
