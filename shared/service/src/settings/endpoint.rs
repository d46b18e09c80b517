//! Where a server is. No error repeats a part of the text, which may be part of an address with a password in it.

use std::{fmt, net::Ipv6Addr};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// A name or an IP address, an IPv6 one without its brackets.
    pub host: String,
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// What is wrong with an endpoint. Hosts are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    #[error("host {0} is missing")]
    NoHost(usize),
    #[error("host {0} is neither a name nor an IP address (an IPv6 address stands in brackets)")]
    Host(usize),
    #[error("host {0} is 0.0.0.0 or [::], where nothing can be reached")]
    Unspecified(usize),
    #[error("the port of host {0} is not a number from 1 to 65535")]
    Port(usize),
}

/// Reads `host[:port],host[:port],…`.
///
/// # Errors
/// For the first that is none.
pub fn endpoints(hosts: &str, default_port: u16) -> Result<Vec<Endpoint>, EndpointError> {
    hosts.split(',').zip(1..).map(|(host, number)| endpoint(host, number, default_port)).collect()
}

/// Reads `host[:port]`, the `number`th of an address, counted from 1.
///
/// # Errors
/// If it is none.
pub fn endpoint(text: &str, number: usize, default_port: u16) -> Result<Endpoint, EndpointError> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(EndpointError::Host(number))?;
        let address: Ipv6Addr = host.parse().map_err(|_| EndpointError::Host(number))?;
        let port = match rest.strip_prefix(':') {
            None if !rest.is_empty() => return Err(EndpointError::Host(number)),
            port => port,
        };
        (address.to_string(), port)
    } else {
        let (host, port) = text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
        if host.is_empty() {
            return Err(EndpointError::NoHost(number));
        }
        if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
            return Err(EndpointError::Host(number));
        }
        (host.to_owned(), port)
    };
    if host == "0.0.0.0" || host == "::" {
        return Err(EndpointError::Unspecified(number));
    }
    let port = match port {
        None => default_port,
        Some(port) => match port.parse() {
            Ok(port) if port != 0 => port,
            _ => return Err(EndpointError::Port(number)),
        },
    };
    Ok(Endpoint { host, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_written_as_it_is_read() {
        for text in ["cache:6379", "10.0.0.1:1", "[::1]:7000"] {
            assert_eq!(endpoint(text, 1, 0).expect("valid").to_string(), text);
        }
    }
}
