//! Whose word on a client's address is taken: `X-Forwarded-For`, read from its end for as long as it was a trusted proxy
//! that wrote.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// A list that is longer was not written by the proxies of any one deployment.
const MAX_HOPS: usize = 32;

/// Networks of the proxies in front of this edge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Addresses and networks such as `10.0.0.0/8`, separated by commas.
    ///
    /// # Errors
    /// With the first that is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        let network = |item: &str| {
            let address = item.parse::<IpAddr>().map(IpNet::from);
            item.parse::<IpNet>().or(address).map_err(|_| {
                format!("`{item}` is neither an address such as 10.1.2.3 nor a network such as 10.0.0.0/8")
            })
        };
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(network).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn trust(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The address of the client that `peer` speaks for: the last one that is no trusted proxy's. What stands before it
    /// was written by the client and may be anything.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer;
        let lists = headers.get_all(FORWARDED_FOR).into_iter().rev();
        // Bytes: whatever the client wrote in front must not take the proxy's own entry along.
        for hop in lists.flat_map(|list| list.as_bytes().rsplit(|byte| *byte == b',')).take(MAX_HOPS) {
            if !self.trust(client) {
                break;
            }
            let Some(address) = std::str::from_utf8(hop).ok().and_then(|hop| hop_address(hop.trim())) else { break };
            client = address;
        }
        client.to_canonical()
    }
}

/// Some proxies add the port, and then put an IPv6 address in brackets.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let address = hop.parse::<IpAddr>().ok();
    address.or_else(|| hop.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn client(trusted: &str, peer: &str, lists: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for list in lists {
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(list.as_bytes()).unwrap());
        }
        TrustedProxies::parse(trusted).unwrap().client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_last_address_that_no_trusted_proxy_has_is_the_clients() {
        for (trusted, peer, lists, expected) in [
            ("10.0.0.0/8", "10.0.0.1", &["203.0.113.9"][..], "203.0.113.9"),
            // Whatever a client writes before the proxy's own entry is its invention.
            ("10.0.0.0/8", "10.0.0.1", &["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.0/8", "10.0.0.1", &["198.51.100.1, 203.0.113.9, 10.2.3.4"], "203.0.113.9"),
            ("10.0.0.0/8", "10.0.0.1", &["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
            ("10.0.0.0/8", "10.0.0.1", &["é, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.0/8", "203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
            ("10.0.0.0/8", "10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.0/8", "10.0.0.1", &["unknown"], "10.0.0.1"),
            ("10.0.0.0/8", "10.0.0.1", &["198.51.100.1, unknown, 10.2.3.4"], "10.2.3.4"),
            ("10.0.0.0/8", "10.0.0.1", &["203.0.113.9:4711"], "203.0.113.9"),
            ("10.0.0.0/8", "10.0.0.1", &["[2001:db8::9]:4711"], "2001:db8::9"),
            ("10.0.0.0/8, 2001:db8::/32", "2001:db8::1", &["::ffff:203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", "::ffff:10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("", "10.0.0.1", &["203.0.113.9"], "10.0.0.1"),
        ] {
            assert_eq!(client(trusted, peer, lists), expected, "{trusted} {peer} {lists:?}");
        }
    }

    #[test]
    fn what_is_no_network_is_named() {
        for text in ["10.0.0.0/33", "proxy.internal", "10.0.0.0/8;192.0.2.0/24"] {
            assert!(TrustedProxies::parse(text).unwrap_err().contains(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_a_client_writes_in_front_changes_nothing(mut written in proptest::collection::vec(any::<u8>(), 0..100)) {
            written.retain(|byte| *byte >= 32 && *byte != 127);
            let mut headers = HeaderMap::new();
            let list = [&written[..], b", 203.0.113.9"].concat();
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(&list).unwrap());
            let proxies = TrustedProxies::parse("10.0.0.0/8").unwrap();
            let client = proxies.client("10.0.0.1".parse().unwrap(), &headers);
            prop_assert_eq!(client.to_string(), "203.0.113.9");
        }

        #[test]
        fn any_list_has_an_end(list in "[ -~]{0,200}") {
            client("0.0.0.0/0, ::/0", "10.0.0.1", &[&list]);
        }
    }
}
