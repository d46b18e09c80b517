//! How a connection seals and opens, whichever version it speaks.

use signal_seal::{DoesNotOpen, v1, v2};
use signal_wire::sealed;

use super::ws_frame;

/// The keys and counters of one connection.
#[derive(Debug)]
pub(crate) enum Cipher {
    V1(v1::Cipher),
    V2(v2::Cipher),
}

/// Seals messages into whole WebSocket frames, in the order in which they are to leave.
pub(super) enum Sealer<'a> {
    V1(v1::Sealer<'a>),
    V2(v2::Sealer<'a>),
}

impl Cipher {
    pub(super) fn sealer(&mut self) -> Sealer<'_> {
        match self {
            Self::V1(cipher) => Sealer::V1(cipher.sealer()),
            Self::V2(cipher) => Sealer::V2(cipher.sealer()),
        }
    }

    /// Opens the content of a v1 envelope.
    pub(super) fn open_envelope(&self, envelope: &sealed::Sealed<'_>) -> Result<Vec<u8>, DoesNotOpen> {
        match self {
            Self::V1(cipher) => cipher.open(envelope),
            Self::V2(_) => Err(DoesNotOpen),
        }
    }

    /// Opens a v2 frame, which must be the next of the client's.
    pub(super) fn open_frame(&mut self, frame: &[u8]) -> Result<Vec<u8>, DoesNotOpen> {
        match self {
            Self::V1(_) => Err(DoesNotOpen),
            Self::V2(cipher) => cipher.open(frame),
        }
    }
}

impl Sealer<'_> {
    /// Appends the frame of `plaintext` to `frames`; `work` is scratch.
    pub(super) fn seal(&mut self, plaintext: &[u8], work: &mut Vec<u8>, frames: &mut Vec<u8>) {
        match self {
            Self::V1(sealer) => {
                ws_frame::text_header(sealed::sealed_len(plaintext.len()), frames);
                sealer.seal(plaintext, work, frames);
            }
            Self::V2(sealer) => {
                ws_frame::binary_header(v2::sealed_len(plaintext.len()), frames);
                sealer.seal(plaintext, frames);
            }
        }
    }
}
