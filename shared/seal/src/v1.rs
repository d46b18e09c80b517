//! The v1 cipher: AES-256-GCM (NIST SP 800-38D), a fresh 12-byte IV beside each ciphertext, one key both ways.

use aes_gcm::{Aes256Gcm, Nonce, Tag, aead::AeadInOut};
use base64::{Engine, engine::general_purpose::STANDARD};
use signal_wire::sealed::{HEAD, MIDDLE, Sealed, TAIL, sealed_len};

pub use crate::{DoesNotOpen, Side};
use crate::{TAG_BYTES, derive::SessionKey};

const IV_BYTES: usize = 12;

/// The IVs of one side: a prefix of one bit for the side and 31 random bits, then a 64-bit counter. Both ends use one
/// key, and none repeats under it, whatever the other side does that keeps to the same layout.
#[derive(Debug)]
struct Ivs {
    prefix: [u8; 4],
    counter: u64,
}

impl Ivs {
    fn new(side: Side, mut random: [u8; 4]) -> Self {
        match side {
            Side::Edge => random[0] &= 0x7f,
            Side::Client => random[0] |= 0x80,
        }
        Self { prefix: random, counter: 0 }
    }

    fn next(&mut self) -> [u8; IV_BYTES] {
        let mut iv = [0; IV_BYTES];
        iv[..4].copy_from_slice(&self.prefix);
        iv[4..].copy_from_slice(&self.counter.to_be_bytes());
        self.counter = self.counter.checked_add(1).expect("2^64 frames take longer than any connection lives");
        iv
    }
}

/// The key and the IVs of one end of one connection.
#[derive(Debug)]
pub struct Cipher {
    key: SessionKey,
    ivs: Ivs,
}

impl Cipher {
    /// `random` seeds the IV prefix.
    pub fn new(key: SessionKey, side: Side, random: [u8; 4]) -> Self {
        Self { key, ivs: Ivs::new(side, random) }
    }

    /// A sealer for a few messages in a row, with the key expanded once.
    pub fn sealer(&mut self) -> Sealer<'_> {
        Sealer { aes: self.key.expand(), ivs: &mut self.ivs }
    }

    /// Opens what the other end sealed.
    pub fn open(&self, sealed: &Sealed<'_>) -> Result<Vec<u8>, DoesNotOpen> {
        let mut iv = [0u8; IV_BYTES];
        // decode_slice asks for room by the length of the text; 12 bytes are 16 letters without padding.
        if sealed.iv.len() != 16 || STANDARD.decode_slice(&*sealed.iv, &mut iv) != Ok(IV_BYTES) {
            return Err(DoesNotOpen);
        }
        let mut text = STANDARD.decode(&*sealed.ct).map_err(|_| DoesNotOpen)?;
        let end = text.len().checked_sub(TAG_BYTES).ok_or(DoesNotOpen)?;
        let tag: [u8; TAG_BYTES] = text[end..].try_into().expect("the slice is as long as a tag");
        text.truncate(end);
        self.key
            .expand()
            .decrypt_inout_detached(&Nonce::from(iv), b"", text.as_mut_slice().into(), &Tag::from(tag))
            .map_err(|_| DoesNotOpen)?;
        Ok(text)
    }
}

/// Seals messages in the order in which they are to leave.
pub struct Sealer<'a> {
    aes: Aes256Gcm,
    ivs: &'a mut Ivs,
}

impl std::fmt::Debug for Sealer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(..)")
    }
}

impl Sealer<'_> {
    /// Appends the envelope of `plaintext` to `out`: exactly [`sealed_len`] bytes. `work` is scratch.
    pub fn seal(&mut self, plaintext: &[u8], work: &mut Vec<u8>, out: &mut Vec<u8>) {
        let iv = self.ivs.next();
        seal_with(&self.aes, &iv, plaintext, work, out);
    }
}

fn seal_with(aes: &Aes256Gcm, iv: &[u8; IV_BYTES], plaintext: &[u8], work: &mut Vec<u8>, out: &mut Vec<u8>) {
    work.clear();
    work.extend_from_slice(plaintext);
    let tag = aes
        .encrypt_inout_detached(&Nonce::from(*iv), b"", work.as_mut_slice().into())
        .expect("messages are far below the 64 GiB that GCM takes");
    work.extend_from_slice(&tag);

    let start = out.len();
    out.reserve(sealed_len(plaintext.len()));
    out.extend_from_slice(HEAD);
    append_base64(iv, out);
    out.extend_from_slice(MIDDLE);
    append_base64(work, out);
    out.extend_from_slice(TAIL);
    debug_assert_eq!(out.len() - start, sealed_len(plaintext.len()));
}

fn append_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let at = out.len();
    out.resize(at + bytes.len().div_ceil(3) * 4, 0);
    STANDARD.encode_slice(bytes, &mut out[at..]).expect("the space is what base64 of these bytes takes");
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use signal_wire::{frame::ClientFrame, message::event};

    pub(crate) fn seal_at(key: &SessionKey, iv: [u8; IV_BYTES], plaintext: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        seal_with(&key.expand(), &iv, plaintext, &mut Vec::new(), &mut out);
        out
    }

    pub(crate) fn open(cipher: &Cipher, frame: &[u8]) -> Result<Vec<u8>, DoesNotOpen> {
        let frame = ClientFrame::parse(frame).map_err(|_| DoesNotOpen)?;
        let data = frame.data.filter(|_| frame.event == event::ENCRYPTED).ok_or(DoesNotOpen)?;
        cipher.open(&Sealed::parse(data.get()).map_err(|_| DoesNotOpen)?)
    }

    fn cipher(side: Side, random: [u8; 4]) -> Cipher {
        Cipher::new(SessionKey([7; 32]), side, random)
    }

    fn seal(cipher: &mut Cipher, plaintext: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        cipher.sealer().seal(plaintext, &mut Vec::new(), &mut out);
        out
    }

    #[test]
    fn ivs_count_and_keep_to_their_side() {
        let mut edge = Ivs::new(Side::Edge, [0xff; 4]);
        let mut client = Ivs::new(Side::Client, [0x7f, 0xff, 0xff, 0xff]);
        assert_eq!(edge.next(), [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(edge.next(), [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(client.next(), [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn debug_output_has_no_key() {
        assert!(!format!("{:?}", cipher(Side::Edge, [0; 4])).contains('7'));
    }

    proptest! {
        #[test]
        fn sealed_messages_open_at_the_other_end(messages: Vec<Vec<u8>>, random: [u8; 4]) {
            let (mut edge, client) = (cipher(Side::Edge, random), cipher(Side::Client, random));
            for message in &messages {
                let frame = seal(&mut edge, message);
                prop_assert_eq!(frame.len(), sealed_len(message.len()));
                prop_assert_eq!(&open(&client, &frame).unwrap(), message);
            }
        }

        #[test]
        fn an_altered_frame_does_not_open(message: Vec<u8>, at: proptest::sample::Index, to in 0u8..128) {
            let frame = seal(&mut cipher(Side::Edge, [1; 4]), &message);
            let mut altered = frame.clone();
            let at = at.index(frame.len());
            altered[at] = to;
            prop_assume!(altered != frame);
            // Whitespace may take the place of nothing in the envelope, so no single change leaves it equal.
            prop_assert_eq!(open(&cipher(Side::Client, [1; 4]), &altered), Err(DoesNotOpen));
        }

        #[test]
        fn a_truncated_frame_does_not_open(message: Vec<u8>, at: proptest::sample::Index) {
            let frame = seal(&mut cipher(Side::Edge, [1; 4]), &message);
            prop_assert!(open(&cipher(Side::Client, [1; 4]), &frame[..at.index(frame.len())]).is_err());
        }

        #[test]
        fn any_text_opens_or_not_without_panic(iv in "\\PC{0,20}", ct in "\\PC{0,40}") {
            let sealed = Sealed { iv: iv.into(), ct: ct.into() };
            prop_assert!(cipher(Side::Edge, [0; 4]).open(&sealed).is_err());
        }
    }
}
