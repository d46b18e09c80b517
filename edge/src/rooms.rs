//! Which rooms a client may join and leave.

use signal_auth::UserId;
use signal_wire::room;
use uuid::Uuid;

use crate::connection::{AutomaticRoom, Identity};

/// Rooms that clients may join beside the automatic ones: names, with `{userId}` and a trailing `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JoinableRooms(Vec<Pattern>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    /// Without the `*`, which is the operator's to write: one in a user's id is a letter like any other.
    name: String,
    is_prefix: bool,
}

const USER_ID: &str = "{userId}";

impl JoinableRooms {
    pub fn new(patterns: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let pattern = |text: &str| match text.strip_suffix('*') {
            Some(prefix) => Pattern { name: prefix.to_owned(), is_prefix: true },
            None => Pattern { name: text.to_owned(), is_prefix: false },
        };
        Self(patterns.into_iter().filter(|text| !text.as_ref().is_empty()).map(|text| pattern(text.as_ref())).collect())
    }

    fn allow(&self, user: &UserId, room: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(user, room))
    }
}

impl Pattern {
    fn matches(&self, user: &UserId, room: &str) -> bool {
        // In `team/{userId}/*` an id with a slash would reach below another user's room.
        if self.name.contains(USER_ID) && user.text().contains('/') {
            return false;
        }
        let name = self.name.replace(USER_ID, user.text());
        if self.is_prefix { room.starts_with(&name) } else { room == name }
    }
}

/// What a name means to the client that utters it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// One of its own automatic rooms.
    Automatic(AutomaticRoom),
    Joinable,
    Refused(Refusal),
}

/// Why a room is not to be had; the label under which it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Name,
    AnotherClient,
    AnotherUser,
    Policy,
    TooMany,
}

impl Refusal {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Name => "room_name",
            Self::AnotherClient => "room_of_another_client",
            Self::AnotherUser => "room_of_another_user",
            Self::Policy => "room_policy",
            Self::TooMany => "room_limit",
        }
    }
}

pub(crate) fn judge(joinable: &JoinableRooms, identity: &Identity, name: &str) -> Wish {
    if !room::is_valid_name(name) {
        return Wish::Refused(Refusal::Name);
    }
    if let Some(user) = room::recipient_user(name) {
        let own = user == identity.user.text();
        return if own { Wish::Automatic(AutomaticRoom::Recipient) } else { Wish::Refused(Refusal::AnotherUser) };
    }
    match name {
        room::DEFAULT => return Wish::Automatic(AutomaticRoom::Default),
        room::NOTIFICATION => return Wish::Automatic(AutomaticRoom::Notification),
        _ => {}
    }
    // Every client's id is a UUID, and most clients are on other edges: whatever reads as one is somebody's.
    if let Ok(id) = Uuid::try_parse(name) {
        let own = id == identity.id && name == identity.id.to_string();
        return if own { Wish::Automatic(AutomaticRoom::Own) } else { Wish::Refused(Refusal::AnotherClient) };
    }
    if joinable.allow(&identity.user, name) { Wish::Joinable } else { Wish::Refused(Refusal::Policy) }
}

#[cfg(test)]
mod tests {
    use signal_wire::protocol::Protocol;

    use super::*;

    const ID: Uuid = Uuid::from_u128(0x67e5_5044_10b1_426f_9247_bb68_0e5f_e0c8);

    fn judge_as(user: &str, patterns: &[&str], name: &str) -> Wish {
        let user = UserId::from_text(user).unwrap();
        let identity = Identity { id: ID, user, expires_at: None, protocol: Protocol::V1 };
        judge(&JoinableRooms::new(patterns.iter().copied()), &identity, name)
    }

    #[test]
    fn patterns_name_rooms_prefixes_and_the_user() {
        let patterns = &["lobby", "order/*", "desk/{userId}", "team/{userId}/*"];
        for name in ["lobby", "order/", "order/7", "desk/an", "team/an/x"] {
            assert_eq!(judge_as("an", patterns, name), Wish::Joinable, "{name}");
        }
        for name in ["lobby2", "orders", "desk/binh", "desk/an2", "team/binh/x", "*"] {
            assert_eq!(judge_as("an", patterns, name), Wish::Refused(Refusal::Policy), "{name}");
        }
    }

    #[test]
    fn a_users_id_is_no_pattern() {
        for (user, room) in [("*", "desk/binh"), ("bi*", "desk/binh"), ("an/x", "desk/an/x"), ("an/x", "team/an/x/y")] {
            let wish = judge_as(user, &["desk/{userId}", "team/{userId}/*"], room);
            assert_eq!(wish, Wish::Refused(Refusal::Policy), "{user} {room}");
        }
        assert_eq!(judge_as("bi*", &["desk/{userId}"], "desk/bi*"), Wish::Joinable);
    }

    #[test]
    fn nothing_is_joinable_by_default() {
        assert_eq!(judge_as("an", &[], "lobby"), Wish::Refused(Refusal::Policy));
    }

    #[test]
    fn no_pattern_opens_what_belongs_to_others() {
        for (name, refusal) in [
            ("signal/notification/binh", Refusal::AnotherUser),
            ("signal/notification/", Refusal::AnotherUser),
            ("00000000-0000-4000-8000-000000000000", Refusal::AnotherClient),
            ("67E55044-10B1-426F-9247-BB680E5FE0C8", Refusal::AnotherClient),
            ("67e5504410b1426f9247bb680e5fe0c8", Refusal::AnotherClient),
            ("ws:broadcast", Refusal::Name),
            ("", Refusal::Name),
        ] {
            assert_eq!(judge_as("an", &["*"], name), Wish::Refused(refusal), "{name}");
        }
    }

    #[test]
    fn automatic_rooms_are_ones_own() {
        for (name, room) in [
            ("ws-default", AutomaticRoom::Default),
            ("ws-notification", AutomaticRoom::Notification),
            ("signal/notification/an", AutomaticRoom::Recipient),
            ("67e55044-10b1-426f-9247-bb680e5fe0c8", AutomaticRoom::Own),
        ] {
            assert_eq!(judge_as("an", &[], name), Wish::Automatic(room));
        }
    }
}
