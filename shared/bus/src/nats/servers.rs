//! Which server the next connection goes to.

use std::fmt;

use super::{address::Address, protocol::Info};
use crate::endpoint::{Endpoint, endpoint};

const PORT: u16 = 4222;

/// The servers of a cluster, for one user of connections, who keeps one at a time: those that the address names and
/// those that have been heard of. They are as good as each other and are taken in turn, beginning anywhere.
#[derive(Debug)]
pub(super) struct Servers {
    named: Vec<Server>,
    heard_of: Vec<Server>,
    next: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) endpoint: Endpoint,
    /// What its certificate is for: a server that was heard of goes by an IP address, and may share the certificate of
    /// the one that told.
    pub(super) name: String,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NATS at {}", self.endpoint)
    }
}

impl Servers {
    pub(super) fn new(address: &Address) -> Self {
        let named = |endpoint: &Endpoint| Server { endpoint: endpoint.clone(), name: endpoint.host.clone() };
        let named: Vec<_> = address.servers.iter().map(named).collect();
        let next = getrandom::u32().unwrap_or_default() as usize % named.len();
        Self { named, heard_of: Vec::new(), next }
    }

    /// How many tries it takes until every server has had one.
    pub(super) fn count(&self) -> usize {
        self.named.len() + self.heard_of.len()
    }

    /// The server to try now. Asked again, it is the one after that.
    pub(super) fn next(&mut self) -> Server {
        let index = self.next % self.count();
        self.next = index + 1;
        self.named.get(index).unwrap_or_else(|| &self.heard_of[index - self.named.len()]).clone()
    }

    /// Takes note of what `teller` says of its cluster, which counts until somebody says something else.
    pub(super) fn learn(&mut self, info: &Info, teller: &Server) {
        if info.connect_urls.is_empty() {
            return;
        }
        let by_name = teller.name.parse::<std::net::IpAddr>().is_err();
        let heard_of = info.connect_urls.iter().filter_map(|url| endpoint(url, 1, PORT).ok());
        self.heard_of = heard_of
            .filter(|endpoint| self.named.iter().all(|server| server.endpoint != *endpoint))
            .map(|endpoint| {
                let by_address = endpoint.host.parse::<std::net::IpAddr>().is_ok();
                let name = if by_name && by_address { &teller.name } else { &endpoint.host };
                Server { name: name.clone(), endpoint }
            })
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn servers(address: &str) -> Servers {
        Servers::new(&Address::read(address).expect("valid"))
    }

    fn info(urls: &[&str]) -> Info {
        Info { connect_urls: urls.iter().map(|&url| url.to_owned()).collect(), ..Info::default() }
    }

    fn ports(servers: &mut Servers, count: usize) -> Vec<u16> {
        (0..count).map(|_| servers.next().endpoint.port).collect()
    }

    #[test]
    fn they_take_turns_beginning_anywhere() {
        let mut begun = BTreeSet::new();
        // One of three is never begun with in 200 rounds once in 10^35 runs.
        for _ in 0..200 {
            let mut servers = servers("nats://a:1,b:2,c:3");
            let ports = ports(&mut servers, 6);
            assert_eq!(ports[..3], ports[3..]);
            assert_eq!(ports[..3].iter().collect::<BTreeSet<_>>().len(), 3);
            begun.insert(ports[0]);
        }
        assert_eq!(begun.len(), 3);
        assert_eq!(ports(&mut servers("nats://a:7"), 3), [7, 7, 7]);
    }

    #[test]
    fn those_that_are_heard_of_take_turns_too_until_they_are_gone() {
        let mut servers = servers("tls://a:1");
        let first = servers.next();
        servers.learn(&info(&["a:1", "10.0.0.2:2", "[fe80::1]:3", "b:4", "nonsense:"]), &first);
        assert_eq!(servers.count(), 4);
        assert_eq!(ports(&mut servers, 5), [2, 3, 4, 1, 2]);
        // Nothing new.
        servers.learn(&info(&[]), &first);
        assert_eq!(servers.count(), 4);
        servers.learn(&info(&["b:4"]), &first);
        assert_eq!(servers.count(), 2);
        assert_eq!(ports(&mut servers, 2).iter().collect::<BTreeSet<_>>(), BTreeSet::from([&1, &4]));
    }

    #[test]
    fn an_address_answers_to_the_name_of_who_told() {
        let mut servers = servers("tls://bus.example:1");
        let first = servers.next();
        servers.learn(&info(&["10.0.0.2:2", "other.example:3"]), &first);
        let names: Vec<_> = (0..2).map(|_| servers.next().name).collect();
        assert_eq!(names, ["bus.example", "other.example"]);
    }
}
