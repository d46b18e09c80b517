//! Who is calling, and whether they may: JWK sets, token verification, claims decryption, permissions.
//!
//! A token's way through this crate is its file list: `token` takes it apart,
//! [`jwks`] finds the key, [`verifier`] checks signature, times, issuer and audience,
//! [`claims`] (with [`claims_cipher`] when a secret is configured) turns what it says
//! into a [`Principal`]. Whether that principal may do something, [`permissions`] says.
//!
//! Invariants:
//! - The algorithm is the key's. A token that names another one is refused before any
//!   cryptography runs, so `none`, HMAC with a public key and RS/ES swaps have no code
//!   path to reach.
//! - However many verifications wait, at most one fetch of the JWK set is under way.
//! - A set that was fetched once stays in use until a newer one arrives.
//! - Neither tokens nor claims appear in logs, errors or `Debug` output.

pub mod claims;
pub mod claims_cipher;
mod claims_keys;
pub mod clock;
mod jwk;
pub mod jwks;
pub mod permissions;
pub mod principal;
pub mod settings;
mod token;
pub mod verifier;

pub use claims_cipher::{ClaimsCipher, ClaimsKey};
pub use clock::Clock;
pub use jwk::KeySet;
pub use jwks::{JwkSetClient, JwkSetError, JwkSetOptions};
pub use permissions::{
    Denied, Permission, PermissionSettings, Permissions, Policies, PolicyError, RoleList, Subject, Unavailable,
};
pub use principal::{Principal, Role, UserId};
pub use settings::{AuthSettings, SecretsError};
pub use signal_service::Secret;
pub use verifier::{Refusal, Verifier, VerifierSettings, VerifyError};
