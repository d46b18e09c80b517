//! The frames that an edge writes (RFC 6455, 5.2): final, unmasked; text, binary or close.
//!
//! tungstenite reads; data frames are laid out here because sealing writes them in place, header first.

use signal_wire::close::CloseCode;

const FIN_TEXT: u8 = 0x81;
const FIN_BINARY: u8 = 0x82;
const FIN_CLOSE: u8 = 0x88;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

/// Appends the header of a text frame with `payload` bytes to come.
pub(crate) fn text_header(payload: usize, out: &mut Vec<u8>) {
    header(FIN_TEXT, payload, out);
}

/// Appends the header of a binary frame with `payload` bytes to come.
pub(crate) fn binary_header(payload: usize, out: &mut Vec<u8>) {
    header(FIN_BINARY, payload, out);
}

fn header(first: u8, payload: usize, out: &mut Vec<u8>) {
    out.push(first);
    match payload {
        0..=125 => out.push(payload as u8),
        126..=0xffff => {
            out.push(LENGTH_16);
            out.extend_from_slice(&(payload as u16).to_be_bytes());
        }
        _ => {
            out.push(LENGTH_64);
            out.extend_from_slice(&(payload as u64).to_be_bytes());
        }
    }
}

/// Appends a whole text frame.
pub(crate) fn text(payload: &[u8], out: &mut Vec<u8>) {
    text_header(payload.len(), out);
    out.extend_from_slice(payload);
}

/// Appends a whole close frame.
pub(crate) fn close(code: CloseCode, out: &mut Vec<u8>) {
    let reason = code.reason().as_bytes();
    out.extend_from_slice(&[FIN_CLOSE, (2 + reason.len()) as u8]);
    out.extend_from_slice(&code.code().to_be_bytes());
    out.extend_from_slice(reason);
}

/// The whole length of the frame that `bytes` begins with.
///
/// # Panics
/// If `bytes` does not hold its header; whoever asks wrote whole frames.
pub(crate) fn frame_len(bytes: &[u8]) -> usize {
    let array = |range: std::ops::Range<usize>| bytes.get(range).expect("a frame is queued with its whole header");
    match bytes[1] {
        LENGTH_16 => 4 + usize::from(u16::from_be_bytes(array(2..4).try_into().expect("two bytes"))),
        LENGTH_64 => 10 + u64::from_be_bytes(array(2..10).try_into().expect("eight bytes")) as usize,
        short => 2 + usize::from(short),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;
    use tungstenite::{Message, WebSocket, protocol::Role};

    #[test]
    fn a_client_reads_what_is_written() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            let payload = "x".repeat(length);
            let mut bytes = Vec::new();
            text(payload.as_bytes(), &mut bytes);
            assert_eq!(frame_len(&bytes), bytes.len());
            let mut client = WebSocket::from_raw_socket(Cursor::new(bytes), Role::Client, None);
            assert_eq!(client.read().unwrap(), Message::text(payload));
        }
    }

    #[test]
    fn a_client_reads_every_close() {
        for &code in CloseCode::ALL {
            let mut bytes = Vec::new();
            close(code, &mut bytes);
            assert_eq!(frame_len(&bytes), bytes.len());
            let mut client = WebSocket::from_raw_socket(Cursor::new(bytes), Role::Client, None);
            let Message::Close(Some(frame)) = client.read().unwrap() else { panic!("no close frame") };
            assert_eq!((u16::from(frame.code), frame.reason.as_str()), (code.code(), code.reason()));
        }
    }
}
