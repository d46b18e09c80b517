//! Whose connection it is, behind proxies: `X-Forwarded-For` in as many headers as there are lines. The first line is what
//! a client wrote itself, in the hope of passing for another.
#![no_main]

// Private to the edge, and pure: see the session's target.
#[allow(dead_code)]
#[path = "../../edge/src/admission"]
mod admission {
    mod proxies;

    use std::net::IpAddr;

    use http::{HeaderMap, HeaderName, HeaderValue};
    use proxies::TrustedProxies;

    pub struct Edge(TrustedProxies);

    impl Edge {
        pub fn behind(networks: &str) -> Self {
            Self(TrustedProxies::parse(networks).expect("they are networks"))
        }

        pub fn trusts(&self, address: IpAddr) -> bool {
            self.0.trust(address)
        }

        pub fn client<'a>(&self, peer: IpAddr, lists: impl Iterator<Item = &'a [u8]>) -> IpAddr {
            let mut headers = HeaderMap::new();
            for value in lists.filter_map(|list| HeaderValue::from_bytes(list).ok()) {
                headers.append(HeaderName::from_static("x-forwarded-for"), value);
            }
            self.0.client(peer, &headers)
        }
    }
}

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::LazyLock,
};

use admission::Edge;
use libfuzzer_sys::fuzz_target;
use signal_fuzz::memory::within;

static EDGE: LazyLock<Edge> = LazyLock::new(|| Edge::behind("10.0.0.0/8, fd00::/8, ::1"));

const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fuzz_target!(|bytes: &[u8]| {
    let lists = || bytes.split(|byte| *byte == b'\n').take(64);
    // A map of headers has room for some before it holds any.
    let found = within(16, bytes, || EDGE.client(PROXY, lists()));
    assert_eq!(found, found.to_canonical());
    assert_eq!(EDGE.client(STRANGER, lists()), STRANGER, "a stranger's word is not taken");

    let without = EDGE.client(PROXY, lists().skip(1));
    if !EDGE.trusts(without) {
        assert_eq!(found, without, "what a client writes itself changes nothing");
    }
    // As a proxy does that puts its own entry behind what the client wrote, whatever bytes that has.
    let appended = [lists().next().unwrap_or_default(), b", 203.0.113.9"].concat();
    if http::HeaderValue::from_bytes(&appended).is_ok() {
        let client = EDGE.client(PROXY, std::iter::once(&appended[..]));
        assert_eq!(client, IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)), "nor does it hide what the proxy wrote");
    }
    let hops = lists().flat_map(|list| list.split(|byte| *byte == b','));
    let named = hops.filter_map(|hop| str::from_utf8(hop).ok()).map(str::trim);
    let mut named = named.filter_map(|hop| {
        hop.parse().ok().or_else(|| hop.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip()))
    });
    assert!(found == PROXY || named.any(|address: IpAddr| address.to_canonical() == found));
});
