//! How an edge hears the channels that it holds.

use signal_wire::envelope::BROADCAST_CHANNEL;

/// What the channels of rooms, clients and users begin with.
pub(crate) const PREFIXES: [&str; 3] = ["ws:room:", "ws:client:", "ws:user:"];

/// How an edge hears the channels that it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// One subscription for each channel: an edge reads only what its own clients are sent.
    #[default]
    Exact,
    /// Patterns that match all channels of rooms, clients and users, as the service before did: an edge reads
    /// everything on them. Channels of other names are subscribed to one by one here, too.
    Pattern,
}

impl Mode {
    /// Whether `channel` is heard without being held.
    pub(crate) fn always_hears(self, channel: &str) -> bool {
        let matches = |prefix| channel.starts_with(prefix);
        self == Self::Pattern && (channel == BROADCAST_CHANNEL || PREFIXES.into_iter().any(matches))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_what_services_publish_on_and_nothing_else() {
        for channel in ["ws:room:a", "ws:room:", "ws:client:1", "ws:user:ü", "ws:broadcast"] {
            assert!(Mode::Pattern.always_hears(channel), "{channel}");
            assert!(!Mode::Exact.always_hears(channel), "{channel}");
        }
        for channel in ["signal:control", "ws:rooms", "ws:broadcasts", "ws:", "xws:room:a", ""] {
            assert!(!Mode::Pattern.always_hears(channel), "{channel}");
        }
    }
}
