//! The one table of close codes, with what a client may do next.

use std::fmt;

/// What a client may do after a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Reconnect with jittered backoff.
    Yes,
    /// Reconnect once the delay that `reconnect` announced is over.
    AfterAnnouncedDelay,
    /// Reconnect with a token that expires later.
    WithFreshToken,
    /// Reconnect only with a token other than the refused one.
    OnlyWithAnotherToken,
    /// Reconnect, then read the REST list again.
    ThenResync,
    /// The same would happen again.
    No,
}

macro_rules! close_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $reason:literal, $retry:ident;)*) => {
        /// Why an edge closed a connection.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum CloseCode { $($(#[$doc])* $name,)* }

        impl CloseCode {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            pub const fn code(self) -> u16 {
                match self { $(Self::$name => $code,)* }
            }

            /// The reason sent in the close frame.
            pub const fn reason(self) -> &'static str {
                match self { $(Self::$name => $reason,)* }
            }

            pub const fn retry(self) -> Retry {
                match self { $(Self::$name => Retry::$retry,)* }
            }

            pub fn from_code(code: u16) -> Option<Self> {
                Self::ALL.iter().copied().find(|close| close.code() == code)
            }
        }
    };
}

close_codes! {
    /// This edge is going away (RFC 6455, 7.4.1).
    ServerShutdown = 1001, "Server shutting down", AfterAnnouncedDelay;
    /// The peer broke RFC 6455 itself.
    WebSocketProtocol = 1002, "WebSocket protocol error", Yes;
    /// A text frame that is not UTF-8.
    InvalidPayload = 1007, "Invalid UTF-8", Yes;
    /// An inbound message above 128 KiB.
    FrameTooLarge = 1009, "Frame too large", No;
    AuthenticationTimeout = 4001, "Authentication timeout", Yes;
    HeartbeatTimeout = 4002, "Heartbeat timeout", Yes;
    AuthenticationFailed = 4003, "Authentication failed", OnlyWithAnotherToken;
    EncryptionRequired = 4004, "Encryption required", No;
    TokenExpired = 4005, "Token expired", WithFreshToken;
    ProtocolViolation = 4006, "Protocol violation", No;
    Disconnected = 4007, "Disconnected by operator", No;
    TooSlow = 4008, "Too slow", ThenResync;
    TooManyRequests = 4009, "Too many requests", Yes;
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.code(), self.reason())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_found_again() {
        for close in CloseCode::ALL {
            assert_eq!(CloseCode::from_code(close.code()), Some(*close));
            // RFC 6455, 5.5: a control frame carries at most 125 bytes, two of them the code.
            assert!(close.reason().len() <= 123);
        }
        assert_eq!(CloseCode::from_code(4000), None);
    }
}
