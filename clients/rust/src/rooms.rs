//! The rooms that the application wants to be in, whatever becomes of connections.

use std::collections::BTreeSet;

use signal_wire::{
    message::{self, event},
    room,
};

/// One client may hold 256 rooms, four of which it is in without asking.
pub(crate) const MAX_ROOMS: usize = 252;
/// So many names of the greatest length, escaped, still fit a frame.
const ROOMS_PER_FRAME: usize = 32;

pub(crate) type Rooms = BTreeSet<String>;

/// A room that no edge would take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoomError {
    #[error("a room's name has 1 to 256 UTF-16 units and does not begin with `ws:`: {0:?}")]
    Name(String),
    #[error("a client holds at most 252 rooms that it joined")]
    TooMany,
}

/// `rooms` with `more`, or the reason why not; then nothing was added.
pub(crate) fn with(rooms: &Rooms, more: Vec<String>) -> Result<Rooms, RoomError> {
    if let Some(name) = more.iter().find(|name| !room::is_valid_name(name)) {
        return Err(RoomError::Name(name.clone()));
    }
    let mut rooms = rooms.clone();
    rooms.extend(more);
    if rooms.len() > MAX_ROOMS { Err(RoomError::TooMany) } else { Ok(rooms) }
}

/// The messages that take an edge which was told `told` to `wanted`.
pub(crate) fn difference(told: &Rooms, wanted: &Rooms) -> Vec<Vec<u8>> {
    let leave: Vec<_> = told.difference(wanted).collect();
    let join: Vec<_> = wanted.difference(told).collect();
    // Leaving comes first, so that the edge's limit is not exceeded on the way.
    let frames = |event, names: &[&String]| names.chunks(ROOMS_PER_FRAME).map(|rooms| compose(event, rooms)).collect();
    let mut messages: Vec<_> = frames(event::LEAVE, &leave);
    messages.append(&mut frames(event::JOIN, &join));
    messages
}

fn compose(event: &str, rooms: &[&String]) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Data<'a> {
        rooms: &'a [&'a String],
    }
    message::compose_value(event, &Data { rooms })
}

#[cfg(test)]
mod tests {
    use super::*;
    use signal_wire::{frame::MAX_INBOUND_BYTES, sealed::sealed_len};

    fn rooms(names: &[&str]) -> Rooms {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_edge_is_told_what_changed() {
        let messages = difference(&rooms(&["a", "b"]), &rooms(&["b", "c"]));
        assert_eq!(
            messages,
            [&br#"{"event":"leave","data":{"rooms":["a"]}}"#[..], br#"{"event":"join","data":{"rooms":["c"]}}"#]
        );
        assert!(difference(&rooms(&["a"]), &rooms(&["a"])).is_empty());
    }

    #[test]
    fn refused_rooms_change_nothing() {
        let held = rooms(&["a"]);
        for name in ["", "ws:x", &"x".repeat(257)] {
            assert_eq!(with(&held, vec!["b".into(), name.into()]), Err(RoomError::Name(name.into())));
        }
        let many = (0..MAX_ROOMS).map(|number| number.to_string()).collect();
        assert_eq!(with(&held, many), Err(RoomError::TooMany));
        assert_eq!(with(&held, vec!["a".into(), "b".into()]), Ok(rooms(&["a", "b"])));
    }

    #[test]
    fn the_longest_names_fit_their_frames() {
        let longest: Rooms = (0..MAX_ROOMS).map(|at| format!("{at:03}{}", "\u{1}".repeat(253))).collect();
        let longest = with(&Rooms::new(), longest.into_iter().collect()).unwrap();
        let messages = difference(&Rooms::new(), &longest);
        assert!(messages.iter().all(|message| sealed_len(message.len()) <= MAX_INBOUND_BYTES));
        assert_eq!(messages.len(), MAX_ROOMS.div_ceil(ROOMS_PER_FRAME));
    }
}
