//! The backplane that the settings name.

use std::sync::Arc;

use signal_service::settings::BackplaneSettings;

use crate::{Bus, BusError, Mode, nats::NatsBus, redis::RedisBus, tandem::Tandem};

/// What has to be set: one of the two.
pub const VARIABLES: &str = "SIGNAL_REDIS_URL or SIGNAL_NATS_URL";

/// Why there is no backplane. No message repeats an address.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{VARIABLES} is not set")]
    Missing,
    #[error("SIGNAL_REDIS_URL and SIGNAL_NATS_URL are both set, and there is one backplane")]
    Both,
    #[error("SIGNAL_REDIS_URL: {0}")]
    Redis(BusError),
    #[error("SIGNAL_NATS_URL: {0}")]
    Nats(BusError),
}

/// Connects later. Behind an address and a space there may be another one, of either kind: it is heard, too, and nothing
/// is said on it. So a fleet moves from one backplane to another.
///
/// # Errors
/// If not exactly one of the two is set, or if it holds what is no address.
pub fn open(settings: &BackplaneSettings, mode: Mode) -> Result<Arc<dyn Bus>, OpenError> {
    match (&settings.redis_url, &settings.nats_url) {
        (None, None) => Err(OpenError::Missing),
        (Some(_), Some(_)) => Err(OpenError::Both),
        (Some(url), None) => addresses(url.expose(), redis, mode).map_err(OpenError::Redis),
        (None, Some(url)) => addresses(url.expose(), nats, mode).map_err(OpenError::Nats),
    }
}

/// A backplane, and where what is said on it is heard: two that share a place hear each message twice.
struct Opened {
    bus: Arc<dyn Bus>,
    places: Vec<String>,
}

type Open = fn(&str, Mode) -> Result<Opened, BusError>;

fn redis(url: &str, mode: Mode) -> Result<Opened, BusError> {
    let bus = RedisBus::new(url, mode)?;
    Ok(Opened { places: bus.places(), bus: Arc::new(bus) })
}

fn nats(url: &str, mode: Mode) -> Result<Opened, BusError> {
    let bus = NatsBus::new(url, mode)?;
    Ok(Opened { places: bus.places(), bus: Arc::new(bus) })
}

fn addresses(text: &str, first: Open, mode: Mode) -> Result<Arc<dyn Bus>, BusError> {
    let mut addresses = text.split_whitespace();
    let own = first(addresses.next().unwrap_or_default(), mode)?;
    let Some(other) = addresses.next() else { return Ok(own.bus) };
    if addresses.next().is_some() {
        return Err(BusError::Address("there are more than two of them".to_owned()));
    }
    let other = second(other, mode).map_err(|error| match error {
        BusError::Address(why) => BusError::Address(format!("of the second one, {why}")),
        other => other,
    })?;
    if own.places.iter().any(|place| other.places.contains(place)) {
        return Err(BusError::Address("both are the same server, and everything would be heard twice".to_owned()));
    }
    Ok(Arc::new(Tandem::new(own.bus, other.bus)))
}

fn second(url: &str, mode: Mode) -> Result<Opened, BusError> {
    match url.split_once("://") {
        Some((scheme, _)) if scheme.starts_with("redis") => redis(url, mode),
        Some(("nats" | "tls", _)) => nats(url, mode),
        _ => Err(BusError::Address(
            "it has to begin with redis://, redis-cluster://, redis-sentinel:// (rediss for TLS), nats:// or tls://"
                .to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(redis: Option<&str>, nats: Option<&str>) -> Result<String, String> {
        let settings = BackplaneSettings { redis_url: redis.map(Into::into), nats_url: nats.map(Into::into) };
        open(&settings, Mode::Exact).map(|bus| format!("{bus:?}")).map_err(|error| error.to_string())
    }

    #[test]
    fn it_is_one_of_the_two() {
        assert!(opened(Some("redis://a"), None).is_ok_and(|bus| bus.starts_with("RedisBus")));
        assert!(opened(None, Some("nats://a")).is_ok_and(|bus| bus.starts_with("NatsBus")));
        let neither = opened(None, None).expect_err("neither is set");
        assert_eq!(neither, "SIGNAL_REDIS_URL or SIGNAL_NATS_URL is not set");
        let both = opened(Some("redis://a"), Some("nats://a")).expect_err("both are set");
        assert_eq!(both, "SIGNAL_REDIS_URL and SIGNAL_NATS_URL are both set, and there is one backplane");
    }

    #[test]
    fn another_one_may_be_heard_beside_it() {
        let tandem = opened(Some("redis://a  redis-cluster://b,c?pubsub=sharded"), None).expect("valid");
        assert!(tandem.starts_with("Tandem") && tandem.matches("RedisBus").count() == 2, "{tandem}");
        let tandem = opened(None, Some("nats://a redis://b")).expect("valid");
        assert!(tandem.find("NatsBus") < tandem.find("RedisBus"), "{tandem}");
        for text in
            ["redis://a http://b", "redis://a redis://b redis://c", "nats://a redis://b", "redis://a redis://a", " "]
        {
            assert!(opened(Some(text), None).is_err(), "{text}");
        }
        let sharded = "redis://a redis-cluster://b?pubsub=sharded".into();
        let settings = BackplaneSettings { redis_url: Some(sharded), nats_url: None };
        assert!(open(&settings, Mode::Pattern).is_err_and(|error| error.to_string().contains("pubsub=sharded")));
    }

    #[test]
    fn one_server_by_two_names_is_one() {
        let shards = "redis-cluster://a,b?pubsub=sharded";
        for text in [
            "redis://a redis://a:6379",
            "redis://a/0 redis://a/1",
            "redis://u:p@a redis://A",
            "redis://a redis-cluster://b,a",
            &format!("{shards} redis-cluster://b?pubsub=sharded"),
            "redis-sentinel://s,t/main redis-sentinel://t/main",
        ] {
            let error = opened(Some(text), None).expect_err(text);
            assert!(error.contains("heard twice"), "{text}: {error}");
        }
        let error = opened(None, Some("nats://a,b nats://B:4222")).expect_err("b is in both");
        assert!(error.contains("heard twice"), "{error}");
        for text in [
            "redis://a redis://b",
            "redis://a:1 redis://a:2",
            // Neither hears what is said on the other.
            &format!("redis-cluster://a,b {shards}"),
            "redis-sentinel://s/one redis-sentinel://s/other",
        ] {
            assert!(opened(Some(text), None).is_ok(), "{text}");
        }
    }

    #[test]
    fn which_address_is_wrong_is_said() {
        let error = opened(Some("redis://a http://hunter2@b"), None).expect_err("no backplane speaks HTTP");
        assert!(error.contains("second") && error.contains("redis://") && error.contains("nats://"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn an_address_that_is_in_the_wrong_place_is_named_and_not_shown() {
        let redis = opened(Some("nats://hunter2@a"), None).expect_err("NATS is not Redis");
        assert!(redis.starts_with("SIGNAL_REDIS_URL: ") && redis.contains("redis://"), "{redis}");
        let nats = opened(None, Some("redis://:hunter2@a")).expect_err("Redis is not NATS");
        assert!(nats.starts_with("SIGNAL_NATS_URL: ") && nats.contains("nats://"), "{nats}");
        assert!(!format!("{redis}{nats}").contains("hunter2"));
    }
}
