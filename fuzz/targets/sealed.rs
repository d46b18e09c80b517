//! Protocol v2's frames, on a path that somebody else holds. Each line is a message of the client, and its first byte says
//! what becomes of its frame: only the frame that is due opens, and one that does not changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signal_fuzz::{memory::within, shared_key};
use signal_seal::{
    Side,
    v2::{Cipher, sealed_len},
};

fuzz_target!(|bytes: &[u8]| {
    let (mut client, mut edge) = (shared_key::v2(Side::Client), shared_key::v2(Side::Edge));
    for line in bytes.split(|byte| *byte == b'\n') {
        let Some((fate, message)) = line.split_first() else { continue };
        match fate {
            b'!' => delivered(&mut edge, &seal(&mut client, message), message),
            // Altered on the way, in a byte that the message chooses.
            b'~' => {
                let frame = seal(&mut client, message);
                let mut altered = frame.clone();
                let at = message.iter().map(|byte| usize::from(*byte)).sum::<usize>() % frame.len();
                altered[at] ^= message.first().map_or(1, |byte| byte | 1);
                refused(&mut edge, &altered);
                delivered(&mut edge, &frame, message);
            }
            b'%' => {
                let frame = seal(&mut client, message);
                refused(&mut edge, &frame[..message.len()]);
                delivered(&mut edge, &frame, message);
            }
            // Replayed.
            b'*' => {
                let frame = seal(&mut client, message);
                delivered(&mut edge, &frame, message);
                refused(&mut edge, &frame);
            }
            // The next one comes first.
            b'-' => {
                let (first, second) = (seal(&mut client, message), seal(&mut client, message));
                refused(&mut edge, &second);
                delivered(&mut edge, &first, message);
                delivered(&mut edge, &second, message);
            }
            // Reflected, while the edge says the same.
            b'<' => {
                let (up, down) = (seal(&mut client, message), seal(&mut edge, message));
                refused(&mut client, &up);
                refused(&mut edge, &down);
                delivered(&mut edge, &up, message);
                delivered(&mut client, &down, message);
            }
            // From somebody without a key.
            _ => refused(&mut edge, line),
        }
    }
    delivered(&mut edge, &seal(&mut client, b"{}"), b"{}");
});

fn seal(cipher: &mut Cipher, message: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    cipher.sealer().seal(message, &mut frame);
    assert_eq!(frame.len(), sealed_len(message.len()));
    frame
}

#[track_caller]
fn delivered(cipher: &mut Cipher, frame: &[u8], message: &[u8]) {
    let opened = within(1, frame, || cipher.open(frame));
    assert_eq!(opened.as_deref(), Ok(message));
}

#[track_caller]
fn refused(cipher: &mut Cipher, frame: &[u8]) {
    assert!(within(1, frame, || cipher.open(frame)).is_err());
}
