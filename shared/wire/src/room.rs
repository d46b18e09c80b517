//! Rooms: what they are called, and which a client is in without asking.

/// Every authenticated client is in these two.
pub const DEFAULT: &str = "ws-default";
pub const NOTIFICATION: &str = "ws-notification";

/// Names that begin so belong to the backplane's channels and are never rooms.
pub const RESERVED_PREFIX: &str = "ws:";
/// In UTF-16 units, as a JavaScript client counts.
pub const MAX_NAME_UNITS: usize = 256;

const RECIPIENT_PREFIX: &str = "signal/notification/";

/// The room of one person's notifications, joined by each of that person's clients.
pub fn recipient(user_id: &str) -> String {
    format!("{RECIPIENT_PREFIX}{user_id}")
}

/// The user id, if this is somebody's recipient room.
pub fn recipient_user(room: &str) -> Option<&str> {
    room.strip_prefix(RECIPIENT_PREFIX)
}

/// Whether a client may utter this name at all: 1 to 256 UTF-16 units, not beginning with `ws:`.
pub fn is_valid_name(room: &str) -> bool {
    if room.is_empty() || room.starts_with(RESERVED_PREFIX) {
        return false;
    }
    // A UTF-16 unit is at least one byte of UTF-8, so most names are decided by their length.
    room.len() <= MAX_NAME_UNITS || room.encode_utf16().count() <= MAX_NAME_UNITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_counted_in_utf16_units() {
        assert!(is_valid_name("r"));
        assert!(is_valid_name(&"é".repeat(256)));
        assert!(!is_valid_name(&"é".repeat(257)));
        assert!(is_valid_name(&"😀".repeat(128)));
        assert!(!is_valid_name(&"😀".repeat(129)));
        assert!(!is_valid_name(""));
    }

    #[test]
    fn channel_names_are_not_rooms() {
        assert!(!is_valid_name("ws:room:x"));
        assert!(is_valid_name("ws-default"));
    }

    #[test]
    fn recipient_rooms_name_their_user() {
        assert_eq!(recipient("user-9"), "signal/notification/user-9");
        assert_eq!(recipient_user("signal/notification/user-9"), Some("user-9"));
        assert_eq!(recipient_user("dashboard"), None);
    }
}
