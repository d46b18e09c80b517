//! Channels as NATS subjects. Pure.
//!
//! A channel is split at its first two colons, each part is percent-encoded, and the parts are joined by dots:
//! `ws:room:signal/notification/u1` is `ws.room.signal/notification/u1`, so that `ws.>` and `ws.room.*` mean to NATS
//! what they say. Two channels never share a subject, and no channel can be taken for a wildcard or for a subject of
//! the server's own, which begin with `$`.

use percent_encoding::{AsciiSet, CONTROLS, percent_encode, utf8_percent_encode};

/// What a token cannot hold, or means something; all that is not ASCII is encoded, too.
const ENCODED: AsciiSet = CONTROLS.add(b' ').add(b'.').add(b'*').add(b'>').add(b'$').add(b'%');
/// A token cannot be empty; a `%` alone is no encoding of anything else.
const EMPTY: &str = "%";
/// The parts of a channel. Only the last one may hold a colon.
const PARTS: usize = 3;

/// A server reads no line of the protocol that is longer than 4096 bytes unless it is told to. What is left is for the
/// words around the subject.
const LONGEST: usize = 4000;

/// Appends the subject of `channel`.
pub(super) fn write(channel: &str, to: &mut Vec<u8>) {
    for (index, part) in channel.splitn(PARTS, ':').enumerate() {
        if index > 0 {
            to.push(b'.');
        }
        if part.is_empty() {
            to.extend_from_slice(EMPTY.as_bytes());
        }
        utf8_percent_encode(part, &ENCODED).for_each(|piece| to.extend_from_slice(piece.as_bytes()));
    }
}

/// A channel for which NATS has no subject: nobody can say or hear anything on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a channel's subject may have {LONGEST} bytes, this one has {0}")]
pub(super) struct TooLong(usize);

pub(super) fn check(channel: &str) -> Result<(), TooLong> {
    // No byte takes more than three.
    if channel.len() <= LONGEST / 3 {
        return Ok(());
    }
    let length = length(channel);
    if length <= LONGEST { Ok(()) } else { Err(TooLong(length)) }
}

/// How long the subject of `channel` is, in bytes.
fn length(channel: &str) -> usize {
    let part = |part: &str| utf8_percent_encode(part, &ENCODED).map(str::len).sum::<usize>().max(EMPTY.len());
    channel.splitn(PARTS, ':').map(|text| part(text) + 1).sum::<usize>() - 1
}

/// The channel whose subject this is; `None` for what is no channel's.
pub(super) fn read(subject: &[u8]) -> Option<String> {
    let mut channel = Vec::with_capacity(subject.len());
    for (index, token) in subject.split(|byte| *byte == b'.').enumerate() {
        if index == PARTS {
            return None;
        }
        if index > 0 {
            channel.push(b':');
        }
        if token != EMPTY.as_bytes() {
            read_token(token, index + 1 == PARTS, &mut channel)?;
        }
    }
    String::from_utf8(channel).ok()
}

/// One spelling alone is read, the one that [`write`] has: whoever holds a channel would not hear another one.
fn read_token(token: &[u8], is_last: bool, channel: &mut Vec<u8>) -> Option<()> {
    let mut rest = token;
    if rest.is_empty() {
        return None;
    }
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            let [high, low] = [hexadecimal(digits[0])?, hexadecimal(digits[1])?];
            let decoded = high << 4 | low;
            if !is_encoded(decoded) {
                return None;
            }
            channel.push(decoded);
            rest = after;
        } else if is_encoded(byte) || (byte == b':' && !is_last) {
            return None;
        } else {
            channel.push(byte);
        }
    }
    Some(())
}

fn is_encoded(byte: u8) -> bool {
    // Whatever is encoded becomes three bytes.
    percent_encode(&[byte], &ENCODED).next().is_none_or(|piece| piece.len() > 1)
}

fn hexadecimal(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn subject(channel: &str) -> String {
        let mut written = Vec::new();
        write(channel, &mut written);
        String::from_utf8(written).expect("ASCII")
    }

    #[test]
    fn golden() {
        for (channel, expected) in [
            ("ws:broadcast", "ws.broadcast"),
            ("ws:room:signal/notification/u1", "ws.room.signal/notification/u1"),
            ("ws:user:an@example.com", "ws.user.an@example%2Ecom"),
            ("ws:room:a:b:c", "ws.room.a:b:c"),
            ("ws:room:", "ws.room.%"),
            ("ws:room", "ws.room"),
            ("ws:room:%", "ws.room.%25"),
            ("ws:room:*", "ws.room.%2A"),
            ("ws:room:>", "ws.room.%3E"),
            ("ws:room:a b\t\u{0}", "ws.room.a%20b%09%00"),
            ("ws:room:Cà Phê 79", "ws.room.C%C3%A0%20Ph%C3%AA%2079"),
            ("ws:room:🙂", "ws.room.%F0%9F%99%82"),
            ("signal:control", "signal.control"),
            ("signal:control:reply:1-2", "signal.control.reply:1-2"),
            ("$SYS:x", "%24SYS.x"),
            ("", "%"),
            (":", "%.%"),
            ("a::b", "a.%.b"),
            (":::", "%.%.:"),
        ] {
            assert_eq!(subject(channel), expected);
            assert_eq!(read(expected.as_bytes()).as_deref(), Some(channel), "{expected}");
            assert_eq!(length(channel), expected.len());
        }
    }

    #[test]
    fn a_line_has_room_for_any_subject_and_for_the_longest_room() {
        // 256 UTF-16 units, of which each takes three bytes of UTF-8.
        assert_eq!(check(&format!("ws:room:{}", "漢".repeat(256))), Ok(()));
        assert_eq!(check(&"x".repeat(LONGEST)), Ok(()));
        assert_eq!(check(&"x".repeat(LONGEST + 1)), Err(TooLong(LONGEST + 1)));
        assert_eq!(check(&"ü".repeat(LONGEST / 6)), Ok(()));
        assert_eq!(check(&"ü".repeat(LONGEST / 6 + 1)), Err(TooLong(LONGEST / 6 * 6 + 6)));
        // `PUB subject 67108864` and `SUB subject 18446744073709551615` with their line breaks.
        const { assert!(LONGEST + 4 + 1 + 20 + 2 <= 4096) };
    }

    #[test]
    fn what_is_no_channels_subject() {
        for text in [
            "",
            ".",
            "ws.",
            "ws..a",
            "ws.room.a.b",
            "ws:room.a",
            "ws.room:a",
            "ws.room.é",
            "ws.room.*",
            "ws.room.>",
            "ws.room.$",
            "ws.room.a b",
            "ws.room.%2",
            "ws.room.%zz",
            "ws.room.%2e",
            "ws.room.%41",
            "ws.room.a%",
            "ws.room.%%",
            "ws.room.%FF",
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
    }

    /// Names that look like each other, and any text at all.
    fn channels() -> impl Strategy<Value = String> {
        prop_oneof!["(ws|signal)?:?(room|user)?[:.%*>$ a-b]{0,6}", any::<String>(), "\\PC{0,40}",]
    }

    proptest! {
        #[test]
        fn a_subject_is_one_that_nats_takes_and_names_its_channel(channel in channels()) {
            let subject = subject(&channel);
            prop_assert!(subject.bytes().all(|byte| byte.is_ascii_graphic() && !b"*>$".contains(&byte)), "{}", subject);
            prop_assert!(subject.split('.').all(|token| !token.is_empty()), "{}", subject);
            prop_assert_eq!(length(&channel), subject.len());
            prop_assert_eq!(read(subject.as_bytes()), Some(channel));
        }

        #[test]
        fn two_channels_have_two_subjects(one in channels(), other in channels()) {
            prop_assert_eq!(one == other, subject(&one) == subject(&other));
        }

        #[test]
        fn what_is_read_is_what_would_be_written(text in prop_oneof!["[a-b.:%0-9A-F]{0,12}", "\\PC{0,20}"]) {
            if let Some(channel) = read(text.as_bytes()) {
                prop_assert_eq!(subject(&channel), text);
            }
        }
    }
}
