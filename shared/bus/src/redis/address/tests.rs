use proptest::prelude::*;

use super::*;

fn at(host: &str, port: u16) -> Endpoint {
    Endpoint { host: host.to_owned(), port }
}

fn credentials(user: Option<&str>, password: &str) -> Option<Credentials> {
    Some(Credentials { user: user.map(str::to_owned), password: password.to_owned() })
}

#[test]
fn one_server() {
    for (text, endpoint, tls, expected, database) in [
        ("redis://cache", at("cache", 6379), false, None, 0),
        ("redis://cache/", at("cache", 6379), false, None, 0),
        ("rediss://10.0.0.7:7000/3", at("10.0.0.7", 7000), true, None, 3),
        ("redis://:secret@cache_1", at("cache_1", 6379), false, credentials(None, "secret"), 0),
        ("redis://edge:p%40ss%2f@[::1]:1/0", at("::1", 1), false, credentials(Some("edge"), "p@ss/"), 0),
        ("redis://u:p@s/s?#,w:x@[fe80::1]", at("fe80::1", 6379), false, credentials(Some("u"), "p@s/s?#,w:x"), 0),
    ] {
        let address = Address { topology: Topology::Single(endpoint), tls, credentials: expected, database };
        assert_eq!(Address::read(text), Ok(address), "{text}");
    }
}

#[test]
fn nodes_of_a_cluster() {
    let nodes = vec![at("a", 6379), at("b", 7000), at("::1", 7001)];
    assert_eq!(
        Address::read("rediss-cluster://u:p,q@a,b:7000,[::1]:7001"),
        Ok(Address {
            topology: Topology::Cluster { nodes, pubsub: Pubsub::Classic },
            tls: true,
            credentials: credentials(Some("u"), "p,q"),
            database: 0
        })
    );
    assert!(matches!(Address::read("redis-cluster://a"), Ok(Address { tls: false, .. })));
}

#[test]
fn a_cluster_may_have_sharded_pubsub() {
    for (text, expected) in [
        ("redis-cluster://a", Pubsub::Classic),
        ("redis-cluster://a?", Pubsub::Classic),
        ("redis-cluster://a?pubsub=classic", Pubsub::Classic),
        ("redis-cluster://a/?pubsub=sharded", Pubsub::Sharded),
        ("rediss-cluster://u:p?x@a:1,b?pubsub=sharded&", Pubsub::Sharded),
    ] {
        let read = Address::read(text);
        assert!(matches!(&read, Ok(Address { topology: Topology::Cluster { pubsub, .. }, .. }) if *pubsub == expected));
    }
}

#[test]
fn sentinels_and_the_name_of_their_master() {
    for (text, tls, master, database) in [
        ("redis-sentinel://s1,s2:26380/mymaster", false, "mymaster", 0),
        ("rediss-sentinel://s1,s2:26380/my%2Fmaster/2", true, "my/master", 2),
    ] {
        let sentinels = vec![at("s1", 26379), at("s2", 26380)];
        let topology = Topology::Sentinel { sentinels, master: master.to_owned() };
        assert_eq!(Address::read(text), Ok(Address { topology, tls, credentials: None, database }), "{text}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    for (text, error) in [
        ("", AddressError::Scheme),
        ("127.0.0.1:6379", AddressError::Scheme),
        ("http://a", AddressError::Scheme),
        ("redisx://a", AddressError::Scheme),
        ("redis-clusters://a", AddressError::Scheme),
        ("redis://secret@a", AddressError::Credentials),
        ("redis://user:@a", AddressError::Credentials),
        ("redis://:%ff@a", AddressError::Credentials),
        ("redis://", AddressError::Endpoint(EndpointError::NoHost(1))),
        ("redis://:6379", AddressError::Endpoint(EndpointError::NoHost(1))),
        ("redis-cluster://a,,b", AddressError::Endpoint(EndpointError::NoHost(2))),
        ("redis://a,b", AddressError::SeveralHosts),
        ("redis://a b", AddressError::Endpoint(EndpointError::Host(1))),
        ("redis://::1:6379", AddressError::Endpoint(EndpointError::Host(1))),
        ("redis-cluster://a,[::1", AddressError::Endpoint(EndpointError::Host(2))),
        ("redis://[::1]6379", AddressError::Endpoint(EndpointError::Host(1))),
        ("redis://[cache]", AddressError::Endpoint(EndpointError::Host(1))),
        ("redis://0.0.0.0", AddressError::Endpoint(EndpointError::Unspecified(1))),
        ("redis-cluster://a,[::]:1", AddressError::Endpoint(EndpointError::Unspecified(2))),
        ("redis://a:", AddressError::Endpoint(EndpointError::Port(1))),
        ("redis-cluster://a:1,b:0", AddressError::Endpoint(EndpointError::Port(2))),
        ("redis://a:65536", AddressError::Endpoint(EndpointError::Port(1))),
        ("redis://a/x", AddressError::Database),
        ("redis://a/-1", AddressError::Database),
        ("redis://a/0/1", AddressError::Database),
        ("redis-sentinel://s/m/x", AddressError::Database),
        ("redis-cluster://a/0", AddressError::ClusterPath),
        ("redis-sentinel://s", AddressError::NoMaster),
        ("redis-sentinel://s/", AddressError::NoMaster),
        ("redis-sentinel://s//0", AddressError::NoMaster),
        ("redis://a?protocol=resp3", AddressError::Options),
        ("redis://a?pubsub=sharded", AddressError::Options),
        ("redis-sentinel://a/m?pubsub=sharded", AddressError::Options),
        ("redis-cluster://a?pubsub=sharde", AddressError::Pubsub("sharde".to_owned())),
        ("redis-cluster://a?pubsub=", AddressError::Pubsub(String::new())),
        ("redis-cluster://a?pub_sub=sharded", AddressError::Parameter("pub_sub".to_owned())),
        ("redis-cluster://a?pubsub=sharded&tls=off", AddressError::Parameter("tls".to_owned())),
        ("redis-cluster://a?pubsub=sharded&pubsub=classic", AddressError::PubsubTwice),
        ("redis-cluster://a?S3CRET=1", AddressError::Options),
        ("redis-cluster://a?pubsub=S3CRET", AddressError::Options),
        ("redis-cluster://a?pubsub", AddressError::Options),
        ("redis-cluster://a#b", AddressError::Options),
        ("rediss://a/#insecure", AddressError::Options),
    ] {
        assert_eq!(Address::read(text), Err(error), "{text}");
    }
}

proptest! {
    #[test]
    fn a_password_is_never_shown(password in "[A-Z0-9:/?#,]{6,20}", rest in "[^@]{0,20}") {
        let text = format!("redis://user:{password}@{rest}");
        let shown = match Address::read(&text) {
            Ok(address) => format!("{address:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        prop_assert!(!shown.contains(&password), "{}", shown);
    }

    #[test]
    fn no_text_is_too_odd(text in "(redis(s)?(-cluster|-sentinel)?://)?\\PC{0,40}") {
        let _ = Address::read(&text);
    }
}
