//! The v2 cipher: AES-256-GCM (NIST SP 800-38D) with a key for each direction. The nonce is the direction's frame
//! counter and is not sent: what is not the very next frame of its direction does not open.

use aes_gcm::{Aes256Gcm, Nonce, Tag, aead::AeadInOut};
use signal_wire::connected::SALT_BYTES;

pub use crate::{DoesNotOpen, Side};
use crate::{
    TAG_BYTES,
    agreement::SharedSecret,
    derive::{DirectionKeys, SessionKey, Transcript},
};

/// The length of the frame around `plaintext` bytes.
pub const fn sealed_len(plaintext: usize) -> usize {
    plaintext + TAG_BYTES
}

/// Both directions of one end of one connection.
#[derive(Debug)]
pub struct Cipher {
    sealing: Sealing,
    opening: Opening,
}

impl Cipher {
    pub fn new(secret: &SharedSecret, salt: &[u8; SALT_BYTES], transcript: &Transcript, side: Side) -> Self {
        let DirectionKeys { client_to_server, server_to_client } = DirectionKeys::new(secret, salt, transcript);
        let (sealing, opening) = match side {
            Side::Client => (client_to_server, server_to_client),
            Side::Edge => (server_to_client, client_to_server),
        };
        Self { sealing: Sealing { key: sealing, counter: 0 }, opening: Opening { key: opening, counter: 0 } }
    }

    /// See [`Sealing::sealer`].
    pub fn sealer(&mut self) -> Sealer<'_> {
        self.sealing.sealer()
    }

    /// See [`Opening::open`].
    ///
    /// # Errors
    /// If it is not the next frame of the other end.
    pub fn open(&mut self, frame: &[u8]) -> Result<Vec<u8>, DoesNotOpen> {
        self.opening.open(frame)
    }

    /// For one that sends and another that receives.
    pub fn into_split(self) -> (Sealing, Opening) {
        (self.sealing, self.opening)
    }
}

/// The direction away from this end.
#[derive(Debug)]
pub struct Sealing {
    key: SessionKey,
    counter: u64,
}

impl Sealing {
    /// A sealer for a few messages in a row, with the key expanded once.
    pub fn sealer(&mut self) -> Sealer<'_> {
        Sealer { aes: self.key.expand(), counter: &mut self.counter }
    }
}

/// Seals messages in the order in which they are to leave.
pub struct Sealer<'a> {
    aes: Aes256Gcm,
    counter: &'a mut u64,
}

impl std::fmt::Debug for Sealer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(..)")
    }
}

impl Sealer<'_> {
    /// Appends the frame of `plaintext` to `out`: exactly [`sealed_len`] bytes. A frame that was sealed must be sent,
    /// or none after it opens.
    pub fn seal(&mut self, plaintext: &[u8], out: &mut Vec<u8>) {
        let nonce = nonce(*self.counter);
        *self.counter = next(*self.counter);
        let start = out.len();
        out.reserve(sealed_len(plaintext.len()));
        out.extend_from_slice(plaintext);
        let tag = self
            .aes
            .encrypt_inout_detached(&nonce, b"", (&mut out[start..]).into())
            .expect("messages are far below the 64 GiB that GCM takes");
        out.extend_from_slice(&tag);
    }
}

/// The direction towards this end.
#[derive(Debug)]
pub struct Opening {
    key: SessionKey,
    counter: u64,
}

impl Opening {
    /// Opens the frame that is due. One that does not open changes nothing: the same one is still due.
    ///
    /// # Errors
    /// If it is not the next frame of the other end.
    pub fn open(&mut self, frame: &[u8]) -> Result<Vec<u8>, DoesNotOpen> {
        let (text, tag) = frame.split_last_chunk::<TAG_BYTES>().ok_or(DoesNotOpen)?;
        let mut text = text.to_vec();
        self.key
            .expand()
            .decrypt_inout_detached(&nonce(self.counter), b"", text.as_mut_slice().into(), &Tag::from(*tag))
            .map_err(|_| DoesNotOpen)?;
        self.counter = next(self.counter);
        Ok(text)
    }
}

fn nonce(counter: u64) -> Nonce<aes_gcm::aead::consts::U12> {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_be_bytes());
    nonce.into()
}

fn next(counter: u64) -> u64 {
    counter.checked_add(1).expect("2^64 frames take longer than any connection lives")
}

#[cfg(test)]
pub(crate) mod tests;
