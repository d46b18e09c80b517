//! What an address of NATS says. Pure, and mute: no error repeats a part of the address, since any part may be a
//! password that was put in the wrong place.

use std::fmt;

use percent_encoding::percent_decode_str;

use crate::endpoint::{Endpoint, EndpointError, endpoints};

const PORT: u16 = 4222;

/// `nats://[user:password@|token@]host[:port],host[:port],…`, and with `tls` for TLS. Credentials may be
/// percent-encoded; an IPv6 address stands in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// Never empty.
    pub(super) servers: Vec<Endpoint>,
    pub(super) tls: bool,
    pub(super) login: Option<Login>,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Login {
    Password { user: String, password: String },
    Token(String),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login([redacted])")
    }
}

/// What is wrong with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AddressError {
    #[error("it has to begin with nats:// or tls://")]
    Scheme,
    #[error("credentials are user:password@ or token@, percent-encoded where they are not plain UTF-8")]
    Credentials,
    #[error("options after ? or # are not supported")]
    Options,
    #[error("nothing may follow the hosts")]
    Path,
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

impl Address {
    pub(super) fn read(text: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = text.split_once("://").ok_or(AddressError::Scheme)?;
        let tls = match scheme {
            "nats" => false,
            "tls" => true,
            _ => return Err(AddressError::Scheme),
        };
        // A password may hold a raw '@', '/' or '?': the last '@' ends the credentials.
        let (login, rest) = match rest.rsplit_once('@') {
            Some((credentials, rest)) => (Some(Login::read(credentials)?), rest),
            None => (None, rest),
        };
        if rest.contains(['?', '#']) {
            return Err(AddressError::Options);
        }
        let hosts = rest.strip_suffix('/').unwrap_or(rest);
        if hosts.contains('/') {
            return Err(AddressError::Path);
        }
        Ok(Self { servers: endpoints(hosts, PORT)?, tls, login })
    }
}

impl Login {
    fn read(text: &str) -> Result<Self, AddressError> {
        let decode = |text| match percent_decode_str(text).decode_utf8() {
            Ok(decoded) if !decoded.is_empty() => Ok(decoded.into_owned()),
            _ => Err(AddressError::Credentials),
        };
        match text.split_once(':') {
            Some((user, password)) => Ok(Self::Password { user: decode(user)?, password: decode(password)? }),
            None => Ok(Self::Token(decode(text)?)),
        }
    }
}

#[cfg(test)]
mod tests;
