//! What an address of the backplane says. Pure, and mute: no error repeats a part of the address, since any part may be
//! a password that was put in the wrong place.

use std::fmt;

use percent_encoding::percent_decode_str;

use crate::endpoint::{Endpoint, EndpointError, endpoint, endpoints};

const NODE_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// `redis://[user:password@]host[:port][/db]`,
/// `redis-cluster://[user:password@]host[:port],host[:port],…` or
/// `redis-sentinel://[user:password@]host[:port],host[:port],…/master[/db]`, and each with `rediss` for TLS.
/// Credentials and the master's name may be percent-encoded; an IPv6 address stands in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) topology: Topology,
    pub(super) tls: bool,
    pub(super) credentials: Option<Credentials>,
    pub(super) database: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Topology {
    Single(Endpoint),
    /// Nodes that are as good as each other.
    Cluster(Vec<Endpoint>),
    /// Who knows which node is the master of that name.
    Sentinel {
        sentinels: Vec<Endpoint>,
        master: String,
    },
}

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    /// `None` is Redis's default user.
    pub(super) user: Option<String>,
    pub(super) password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials([redacted])")
    }
}

/// What is wrong with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AddressError {
    #[error(
        "it has to begin with redis://, rediss://, redis-cluster://, rediss-cluster://, redis-sentinel:// or \
         rediss-sentinel://"
    )]
    Scheme,
    #[error("credentials are user:password@ or :password@, percent-encoded where they are not plain UTF-8")]
    Credentials,
    #[error("options after ? or # are not supported")]
    Options,
    #[error("it has several hosts, which only redis-cluster:// and redis-sentinel:// take")]
    SeveralHosts,
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    #[error("the database after the last / is not a number")]
    Database,
    #[error("nothing may follow the hosts of a cluster, which has no databases")]
    ClusterPath,
    #[error("the name of the master is missing after the sentinels: redis-sentinel://host,host/NAME")]
    NoMaster,
}

impl Address {
    pub(super) fn read(text: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = text.split_once("://").ok_or(AddressError::Scheme)?;
        let (tls, kind) = match scheme.strip_prefix("redis").ok_or(AddressError::Scheme)? {
            "" => (false, Kind::Single),
            "s" => (true, Kind::Single),
            "-cluster" => (false, Kind::Cluster),
            "s-cluster" => (true, Kind::Cluster),
            "-sentinel" => (false, Kind::Sentinel),
            "s-sentinel" => (true, Kind::Sentinel),
            _ => return Err(AddressError::Scheme),
        };
        // A password may hold a raw '@', '/' or '?': the last '@' ends the credentials.
        let (credentials, rest) = match rest.rsplit_once('@') {
            Some((credentials, rest)) => (Some(Credentials::read(credentials)?), rest),
            None => (None, rest),
        };
        if rest.contains(['?', '#']) {
            return Err(AddressError::Options);
        }
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (topology, database) = kind.read(hosts, path)?;
        Ok(Self { topology, tls, credentials, database })
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Single,
    Cluster,
    Sentinel,
}

impl Kind {
    fn read(self, hosts: &str, path: &str) -> Result<(Topology, u32), AddressError> {
        match self {
            Self::Single if hosts.contains(',') => Err(AddressError::SeveralHosts),
            Self::Single => Ok((Topology::Single(endpoint(hosts, 1, NODE_PORT)?), database(path)?)),
            Self::Cluster if !path.is_empty() => Err(AddressError::ClusterPath),
            Self::Cluster => Ok((Topology::Cluster(endpoints(hosts, NODE_PORT)?), 0)),
            Self::Sentinel => {
                let sentinels = endpoints(hosts, SENTINEL_PORT)?;
                let (master, number) = path.split_once('/').unwrap_or((path, ""));
                let master = percent_decode_str(master).decode_utf8().map_err(|_| AddressError::NoMaster)?.into_owned();
                if master.is_empty() {
                    return Err(AddressError::NoMaster);
                }
                Ok((Topology::Sentinel { sentinels, master }, database(number)?))
            }
        }
    }
}

impl Credentials {
    fn read(text: &str) -> Result<Self, AddressError> {
        let decode = |text| match percent_decode_str(text).decode_utf8() {
            Ok(decoded) => Ok(decoded.into_owned()),
            Err(_) => Err(AddressError::Credentials),
        };
        // Redis does not take a user without a password.
        let (user, password) = text.split_once(':').ok_or(AddressError::Credentials)?;
        if password.is_empty() {
            return Err(AddressError::Credentials);
        }
        let user = if user.is_empty() { None } else { Some(decode(user)?) };
        Ok(Self { user, password: decode(password)? })
    }
}

fn database(path: &str) -> Result<u32, AddressError> {
    match path.trim_end_matches('/') {
        "" => Ok(0),
        number => number.parse().map_err(|_| AddressError::Database),
    }
}

#[cfg(test)]
mod tests;
