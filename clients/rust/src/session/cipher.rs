//! The cipher of either version, a half for each direction.

use signal_seal::{v1, v2};
use signal_wire::{
    frame::ClientFrame,
    message::event,
    sealed::{self, Sealed},
};
use tokio_tungstenite::tungstenite::Message as RawFrame;

use super::FrameProblem;

/// Both halves of v1 have the one key of the session; only the sealing one uses up IVs.
#[derive(Debug)]
pub(super) enum Sealing {
    V1(v1::Cipher),
    V2(v2::Sealing),
}

impl Sealing {
    /// The length of the frame around `plaintext` bytes.
    pub(super) fn sealed_len(&self, plaintext: usize) -> usize {
        match self {
            Self::V1(_) => sealed::sealed_len(plaintext),
            Self::V2(_) => v2::sealed_len(plaintext),
        }
    }

    pub(super) fn seal(&mut self, message: &[u8]) -> RawFrame {
        let mut frame = Vec::new();
        match self {
            Self::V1(cipher) => {
                cipher.sealer().seal(message, &mut Vec::new(), &mut frame);
                RawFrame::text(String::from_utf8(frame).expect("an envelope is ASCII"))
            }
            Self::V2(sealing) => {
                sealing.sealer().seal(message, &mut frame);
                RawFrame::binary(frame)
            }
        }
    }
}

#[derive(Debug)]
pub(super) enum Opening {
    V1(v1::Cipher),
    V2(v2::Opening),
}

impl Opening {
    /// The plaintext of a frame's payload, to the byte.
    pub(super) fn open(&mut self, frame: &[u8]) -> Result<Vec<u8>, FrameProblem> {
        match self {
            Self::V1(cipher) => open_envelope(cipher, frame),
            Self::V2(opening) => opening.open(frame).map_err(|_| FrameProblem::DoesNotOpen),
        }
    }
}

fn open_envelope(cipher: &v1::Cipher, frame: &[u8]) -> Result<Vec<u8>, FrameProblem> {
    let frame = ClientFrame::parse(frame).map_err(|_| FrameProblem::Malformed)?;
    if frame.event != event::ENCRYPTED {
        return Err(FrameProblem::NotSealed);
    }
    let data = frame.data.ok_or(FrameProblem::Malformed)?;
    let sealed = Sealed::parse(data.get()).map_err(|_| FrameProblem::Malformed)?;
    cipher.open(&sealed).map_err(|_| FrameProblem::DoesNotOpen)
}
