//! What a node says on a connection for subscriptions, in RESP2.
//!
//! The redis crate reads this, too, but takes each `sunsubscribe` for the answer to a command of ours: a node also says
//! it when it hands a slot to another one.

use std::io;

/// Deeper or wider than this is nothing that a node says here.
const LONGEST_ARRAY: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply<'a> {
    Message {
        channel: &'a [u8],
        payload: &'a [u8],
    },
    Unsubscribed(&'a [u8]),
    /// The number of a ping of ours.
    Pong(&'a [u8]),
    Error(&'a [u8]),
    /// What is known from the pong behind it.
    Other,
}

/// The reply at the beginning of `input` and its length; `None` until all of it is there.
pub(super) fn read(input: &[u8]) -> io::Result<Option<(Reply<'_>, usize)>> {
    let mut reader = Reader { input, at: 0 };
    let Some((kind, line)) = reader.line()? else { return Ok(None) };
    let reply = match kind {
        b'*' => {
            let count = number(line)?;
            let mut items = [&b""[..]; LONGEST_ARRAY];
            if count > LONGEST_ARRAY {
                return Err(invalid());
            }
            for item in &mut items[..count] {
                let Some(read) = reader.item()? else { return Ok(None) };
                *item = read;
            }
            match items[..count] {
                [b"message" | b"smessage", channel, payload] => Reply::Message { channel, payload },
                [b"sunsubscribe", channel, _] => Reply::Unsubscribed(channel),
                [b"pong", number] => Reply::Pong(number),
                _ => Reply::Other,
            }
        }
        b'-' => Reply::Error(line),
        // Where nothing is subscribed yet, a pong is plain text.
        b'$' => {
            let Some(text) = reader.bulk(line)? else { return Ok(None) };
            Reply::Pong(text)
        }
        b'+' | b':' => Reply::Other,
        _ => return Err(invalid()),
    };
    Ok(Some((reply, reader.at)))
}

struct Reader<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// The type of what follows, and the rest of its first line.
    fn line(&mut self) -> io::Result<Option<(u8, &'a [u8])>> {
        let rest = &self.input[self.at..];
        let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { return Ok(None) };
        let line = rest[..end].strip_suffix(b"\r").ok_or_else(invalid)?;
        let (&kind, line) = line.split_first().ok_or_else(invalid)?;
        self.at += end + 1;
        Ok(Some((kind, line)))
    }

    fn item(&mut self) -> io::Result<Option<&'a [u8]>> {
        match self.line()? {
            Some((b'$', line)) => self.bulk(line),
            Some((b':' | b'+', line)) => Ok(Some(line)),
            Some(_) => Err(invalid()),
            None => Ok(None),
        }
    }

    /// What a line announced by its length; a null is empty.
    fn bulk(&mut self, line: &[u8]) -> io::Result<Option<&'a [u8]>> {
        if line == b"-1" {
            return Ok(Some(b""));
        }
        let length = number(line)?;
        let rest = &self.input[self.at..];
        if rest.len() < length.saturating_add(2) {
            return Ok(None);
        }
        self.at += length + 2;
        if &rest[length..length + 2] == b"\r\n" { Ok(Some(&rest[..length])) } else { Err(invalid()) }
    }
}

fn number(line: &[u8]) -> io::Result<usize> {
    std::str::from_utf8(line).ok().and_then(|line| line.parse().ok()).ok_or_else(invalid)
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it does not speak Redis's protocol")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(input: &[u8]) -> Reply<'_> {
        for end in 0..input.len() {
            assert_eq!(read(&input[..end]).expect("valid so far"), None, "{end} bytes");
        }
        let (reply, length) = read(input).expect("valid").expect("complete");
        assert_eq!(length, input.len());
        reply
    }

    #[test]
    fn is_read_once_all_of_it_is_there() {
        let message = Reply::Message { channel: b"a", payload: b"\r\n*0" };
        assert_eq!(whole(b"*3\r\n$8\r\nsmessage\r\n$1\r\na\r\n$4\r\n\r\n*0\r\n"), message);
        let message = Reply::Message { channel: "ü".as_bytes(), payload: b"" };
        assert_eq!(whole("*3\r\n$7\r\nmessage\r\n$2\r\nü\r\n$0\r\n\r\n".as_bytes()), message);
        assert_eq!(whole(b"*3\r\n$12\r\nsunsubscribe\r\n$1\r\na\r\n:0\r\n"), Reply::Unsubscribed(b"a"));
        assert_eq!(whole(b"*3\r\n$12\r\nsunsubscribe\r\n$-1\r\n:0\r\n"), Reply::Unsubscribed(b""));
        assert_eq!(whole(b"*3\r\n$10\r\nssubscribe\r\n$1\r\na\r\n:1\r\n"), Reply::Other);
        assert_eq!(whole(b"*2\r\n$4\r\npong\r\n$2\r\n17\r\n"), Reply::Pong(b"17"));
        assert_eq!(whole(b"$2\r\n17\r\n"), Reply::Pong(b"17"));
        assert_eq!(whole(b"-MOVED 5 a:1\r\n"), Reply::Error(b"MOVED 5 a:1"));
        assert_eq!(whole(b"+OK\r\n"), Reply::Other);
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for input in ["\r\n", "HTTP/1.1 400\r\n", "*4\r\n", "*x\r\n", "$2\r\nabc\r\n", "*1\r\n*1\r\n", "$-2\r\n", "+\n"]
        {
            assert!(read(input.as_bytes()).is_err(), "{input:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_too_odd(input in proptest::collection::vec(prop_oneof![
            Just(b'*'), Just(b'$'), Just(b'\r'), Just(b'\n'), Just(b'1'), Just(b'9'), any::<u8>()
        ], 0..60)) {
            if let Ok(Some((_, length))) = read(&input) {
                prop_assert!(length > 0 && length <= input.len());
            }
        }
    }
}
