//! The client protocol of NATS, as far as a client of core NATS needs it. Pure: bytes become [`Op`]s, and what is to be
//! said becomes bytes. <https://docs.nats.io/reference/reference-protocols/nats-protocol>

use std::str;

use bytes::{Buf, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::{address::Login, subject};
use crate::Publication;

/// The longest line that is read. Only an INFO comes near it, which names all servers of a cluster.
const LONGEST_LINE: usize = 256 * 1024;
/// More than any server may be configured to take.
const LARGEST_PAYLOAD: usize = 64 * 1024 * 1024;

/// What a server says.
#[derive(Debug, PartialEq)]
pub(super) enum Op {
    Info(Box<Info>),
    Message(Message),
    Ping,
    Pong,
    /// What is wrong, without the quotes that it comes in.
    Err(String),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) subject: Bytes,
    pub(super) payload: Bytes,
}

/// What Signal needs of an INFO. A server sends another one when it learns of servers or is about to leave.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Info {
    /// In bytes.
    pub(super) max_payload: Option<usize>,
    pub(super) tls_required: bool,
    pub(super) tls_available: bool,
    /// Servers of the same cluster, as `host:port`.
    pub(super) connect_urls: Vec<String>,
    /// It is in lame duck mode: it takes nobody any more and sends those away whom it has.
    pub(super) ldm: bool,
}

/// What a server cannot have meant. The rest of what it says has no beginning any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProtocolError {
    #[error("it speaks another protocol than NATS's")]
    Unknown,
    #[error("it sent a line without an end")]
    Line,
    #[error("it sent an INFO that cannot be read")]
    Info,
    #[error("it sent a message that cannot be read")]
    Message,
}

/// Takes the next whole op from the front of `buffer`; `None` until more of it has come.
pub(super) fn read(buffer: &mut BytesMut) -> Result<Option<Op>, ProtocolError> {
    loop {
        let Some(end) = buffer.iter().take(LONGEST_LINE).position(|byte| *byte == b'\n') else {
            return if buffer.len() < LONGEST_LINE { Ok(None) } else { Err(ProtocolError::Line) };
        };
        let line = buffer[..end].trim_ascii();
        let (word, rest) = line.split_at(line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len()));
        let op = match word {
            b"MSG" => return read_message(buffer, end),
            b"PING" => Some(Op::Ping),
            b"PONG" => Some(Op::Pong),
            b"INFO" => Some(Op::Info(serde_json::from_slice(rest).map_err(|_| ProtocolError::Info)?)),
            b"-ERR" => Some(Op::Err(String::from_utf8_lossy(rest).trim().trim_matches('\'').to_owned())),
            // Nobody asked for it.
            b"+OK" => None,
            _ => return Err(ProtocolError::Unknown),
        };
        buffer.advance(end + 1);
        if op.is_some() {
            return Ok(op);
        }
    }
}

/// `MSG <subject> <sid> [reply-to] <#bytes>␍␊<payload>␍␊`
fn read_message(buffer: &mut BytesMut, line_end: usize) -> Result<Option<Op>, ProtocolError> {
    let mut words = buffer[..line_end].split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).skip(1);
    let (Some(subject), Some(_sid), Some(size)) = (words.next(), words.next(), words.last()) else {
        return Err(ProtocolError::Message);
    };
    let size = str::from_utf8(size).ok().and_then(|size| size.parse::<usize>().ok());
    let size = size.filter(|size| *size <= LARGEST_PAYLOAD).ok_or(ProtocolError::Message)?;
    let start = line_end + 1;
    let whole = start + size + 2;
    if buffer.len() < whole {
        buffer.reserve(whole - buffer.len());
        return Ok(None);
    }
    if &buffer[start + size..whole] != b"\r\n" {
        return Err(ProtocolError::Message);
    }
    // Copied: whoever keeps a message must not keep all that came with it.
    let message = Message {
        subject: Bytes::copy_from_slice(subject),
        payload: Bytes::copy_from_slice(&buffer[start..start + size]),
    };
    buffer.advance(whole);
    Ok(Some(Op::Message(message)))
}

pub(super) const PING: &[u8] = b"PING\r\n";
pub(super) const PONG: &[u8] = b"PONG\r\n";

pub(super) fn subscribe(subject: impl FnOnce(&mut Vec<u8>), number: u64, to: &mut Vec<u8>) {
    to.extend_from_slice(b"SUB ");
    subject(to);
    to.extend_from_slice(format!(" {number}\r\n").as_bytes());
}

pub(super) fn unsubscribe(number: u64, to: &mut Vec<u8>) {
    to.extend_from_slice(format!("UNSUB {number}\r\n").as_bytes());
}

pub(super) fn publish(publication: &Publication, to: &mut Vec<u8>) {
    to.extend_from_slice(b"PUB ");
    subject::write(&publication.channel, to);
    to.extend_from_slice(format!(" {}\r\n", publication.payload.len()).as_bytes());
    to.extend_from_slice(&publication.payload);
    to.extend_from_slice(b"\r\n");
}

pub(super) fn connect(login: Option<&Login>, tls: bool, to: &mut Vec<u8>) {
    #[derive(Serialize)]
    struct Connect<'a> {
        verbose: bool,
        pedantic: bool,
        tls_required: bool,
        name: &'a str,
        lang: &'a str,
        version: &'a str,
        /// The one in which INFO may come at any time.
        protocol: u8,
        #[serde(skip_serializing_if = "Option::is_none")]
        user: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pass: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        auth_token: Option<&'a str>,
    }
    let (user, pass, auth_token) = match login {
        None => (None, None, None),
        Some(Login::Password { user, password }) => (Some(user.as_str()), Some(password.as_str()), None),
        Some(Login::Token(token)) => (None, None, Some(token.as_str())),
    };
    let connect = Connect {
        verbose: false,
        pedantic: false,
        tls_required: tls,
        name: "signal",
        lang: "rust",
        version: env!("CARGO_PKG_VERSION"),
        protocol: 1,
        user,
        pass,
        auth_token,
    };
    to.extend_from_slice(b"CONNECT ");
    serde_json::to_writer(&mut *to, &connect).expect("strings and numbers can be written, and memory takes them");
    to.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
