use proptest::prelude::*;

use super::*;

fn at(host: &str, port: u16) -> Endpoint {
    Endpoint { host: host.to_owned(), port }
}

fn password(user: &str, password: &str) -> Option<Login> {
    Some(Login::Password { user: user.to_owned(), password: password.to_owned() })
}

#[test]
fn servers_and_who_calls() {
    let token = |token: &str| Some(Login::Token(token.to_owned()));
    for (text, servers, tls, login) in [
        ("nats://bus", vec![at("bus", 4222)], false, None),
        ("nats://bus/", vec![at("bus", 4222)], false, None),
        ("tls://10.0.0.7:7000", vec![at("10.0.0.7", 7000)], true, None),
        ("nats://edge:p%40ss%2f@[::1]:1", vec![at("::1", 1)], false, password("edge", "p@ss/")),
        ("nats://u:p@s/s?#,w:x@a", vec![at("a", 4222)], false, password("u", "p@s/s?#,w:x")),
        ("nats://t%3Aken@a", vec![at("a", 4222)], false, token("t:ken")),
        ("tls://a,b:1,[::1]:2", vec![at("a", 4222), at("b", 1), at("::1", 2)], true, None),
    ] {
        assert_eq!(Address::read(text), Ok(Address { servers, tls, login }), "{text}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    for (text, error) in [
        ("", AddressError::Scheme),
        ("127.0.0.1:4222", AddressError::Scheme),
        ("redis://a", AddressError::Scheme),
        ("ws://a", AddressError::Scheme),
        ("nats://user:@a", AddressError::Credentials),
        ("nats://:password@a", AddressError::Credentials),
        ("nats://@a", AddressError::Credentials),
        ("nats://u:%ff@a", AddressError::Credentials),
        ("nats://", AddressError::Endpoint(EndpointError::NoHost(1))),
        ("nats://a,,b", AddressError::Endpoint(EndpointError::NoHost(2))),
        ("nats://a,b:0", AddressError::Endpoint(EndpointError::Port(2))),
        ("nats://a b", AddressError::Endpoint(EndpointError::Host(1))),
        ("nats://a,nats://b", AddressError::Path),
        ("nats://0.0.0.0", AddressError::Endpoint(EndpointError::Unspecified(1))),
        ("nats://a/0", AddressError::Path),
        ("nats://a?x=y", AddressError::Options),
    ] {
        assert_eq!(Address::read(text), Err(error), "{text}");
    }
}

proptest! {
    #[test]
    fn a_secret_is_never_shown(secret in "[A-Z0-9:/?#,]{6,20}", user in "(user:)?", rest in "[^@]{0,20}") {
        let shown = match Address::read(&format!("nats://{user}{secret}@{rest}")) {
            Ok(address) => format!("{address:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        prop_assert!(!shown.contains(&secret), "{}", shown);
    }

    #[test]
    fn no_text_is_too_odd(text in "((nats|tls)://)?\\PC{0,40}") {
        let _ = Address::read(&text);
    }
}
