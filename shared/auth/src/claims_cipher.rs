//! Encryption of claim names and values with the application secret.
//!
//! Wire format: base64 of a 16-byte IV, for GCM then the 16-byte tag, then the
//! ciphertext. The key is the secret's bytes, cut or right-padded with `0` to 32.

use aes::Aes256;
use aes_gcm::{AeadInOut, AesGcm, Key, KeyInit, Nonce, Tag, aes::cipher::consts::U16};
use base64::{Engine, engine::general_purpose::STANDARD};
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit, block_padding::Pkcs7};
use signal_service::Secret;
use zeroize::Zeroizing;

const IV_BYTES: usize = 16;
const TAG_BYTES: usize = 16;

type Aes256GcmIv16 = AesGcm<Aes256, U16>;

/// How claims are encrypted when an application secret is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ClaimsCipher {
    #[default]
    #[value(name = "aes-256-cbc")]
    Aes256Cbc,
    #[value(name = "aes-256-gcm")]
    Aes256Gcm,
}

/// The text did not decrypt: wrong key, wrong cipher, damaged, or not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text does not decrypt")]
pub struct NotDecryptable;

/// A cipher with its key.
#[derive(Clone)]
pub struct ClaimsKey {
    cipher: ClaimsCipher,
    key: Zeroizing<[u8; 32]>,
}

impl ClaimsKey {
    pub fn new(cipher: ClaimsCipher, secret: &Secret) -> Self {
        let mut key = Zeroizing::new([b'0'; 32]);
        for (slot, byte) in key.iter_mut().zip(secret.expose().bytes()) {
            *slot = byte;
        }
        Self { cipher, key }
    }

    /// Whether both secrets make one key: no more than 32 bytes of a secret count.
    pub(crate) fn same(secret: &Secret, other: &Secret) -> bool {
        let key = |secret| Self::new(ClaimsCipher::default(), secret).key;
        key(secret) == key(other)
    }

    pub fn decrypt(&self, text: &str) -> Result<String, NotDecryptable> {
        let sealed = STANDARD.decode(text).map_err(|_| NotDecryptable)?;
        let (iv, rest) = sealed.split_first_chunk::<IV_BYTES>().ok_or(NotDecryptable)?;
        let plain = match self.cipher {
            ClaimsCipher::Aes256Cbc => {
                let mut buffer = rest.to_vec();
                let length = cbc::Decryptor::<Aes256>::new(self.cbc_key(), &(*iv).into())
                    .decrypt_padded::<Pkcs7>(&mut buffer)
                    .map_err(|_| NotDecryptable)?
                    .len();
                buffer.truncate(length);
                buffer
            }
            ClaimsCipher::Aes256Gcm => {
                let (tag, rest) = rest.split_first_chunk::<TAG_BYTES>().ok_or(NotDecryptable)?;
                let mut buffer = rest.to_vec();
                self.gcm()
                    .decrypt_inout_detached(
                        &Nonce::<U16>::from(*iv),
                        &[],
                        buffer.as_mut_slice().into(),
                        &Tag::<U16>::from(*tag),
                    )
                    .map_err(|_| NotDecryptable)?;
                buffer
            }
        };
        String::from_utf8(plain).map_err(|_| NotDecryptable)
    }

    /// Encrypts under a fresh IV.
    ///
    /// # Panics
    /// If the operating system has no randomness to give.
    pub fn encrypt(&self, text: &str) -> String {
        let mut iv = [0; IV_BYTES];
        getrandom::fill(&mut iv).expect("the operating system's random source works");
        self.encrypt_with_iv(text, iv)
    }

    /// Encrypts under a given IV, which must never be used twice with one key.
    pub fn encrypt_with_iv(&self, text: &str, iv: [u8; IV_BYTES]) -> String {
        let mut sealed = iv.to_vec();
        match self.cipher {
            ClaimsCipher::Aes256Cbc => {
                let mut buffer = text.as_bytes().to_vec();
                let length = buffer.len();
                buffer.resize(length + IV_BYTES, 0);
                let ciphertext = cbc::Encryptor::<Aes256>::new(self.cbc_key(), &iv.into())
                    .encrypt_padded::<Pkcs7>(&mut buffer, length)
                    .expect("the buffer has a whole block of room for the padding");
                sealed.extend_from_slice(ciphertext);
            }
            ClaimsCipher::Aes256Gcm => {
                let mut buffer = text.as_bytes().to_vec();
                let tag = self
                    .gcm()
                    .encrypt_inout_detached(&Nonce::<U16>::from(iv), &[], buffer.as_mut_slice().into())
                    .expect("a claim is far below GCM's limit of 64 GiB");
                sealed.extend_from_slice(&tag);
                sealed.extend_from_slice(&buffer);
            }
        }
        STANDARD.encode(sealed)
    }

    fn cbc_key(&self) -> &Key<cbc::Encryptor<Aes256>> {
        (&*self.key).into()
    }

    fn gcm(&self) -> Aes256GcmIv16 {
        Aes256GcmIv16::new(<&Key<Aes256GcmIv16>>::from(&*self.key))
    }
}

impl std::fmt::Debug for ClaimsKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClaimsKey").field("cipher", &self.cipher).finish_non_exhaustive()
    }
}
