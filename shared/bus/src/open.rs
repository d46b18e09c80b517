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

type Open = fn(&str, Mode) -> Result<Arc<dyn Bus>, BusError>;

fn redis(url: &str, mode: Mode) -> Result<Arc<dyn Bus>, BusError> {
    Ok(Arc::new(RedisBus::new(url, mode)?))
}

fn nats(url: &str, mode: Mode) -> Result<Arc<dyn Bus>, BusError> {
    Ok(Arc::new(NatsBus::new(url, mode)?))
}

fn addresses(text: &str, first: Open, mode: Mode) -> Result<Arc<dyn Bus>, BusError> {
    let mut addresses = text.split_whitespace();
    let own_text = addresses.next().unwrap_or_default();
    let own = first(own_text, mode)?;
    let Some(other) = addresses.next() else { return Ok(own) };
    if addresses.next().is_some() {
        return Err(BusError::Address("there are more than two of them".to_owned()));
    }
    if own_text == other {
        return Err(BusError::Address("both are the same, and everything would be heard twice".to_owned()));
    }
    let open: Open = if other.starts_with("redis") { redis } else { nats };
    Ok(Arc::new(Tandem::new(own, open(other, mode)?)))
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
    fn an_address_that_is_in_the_wrong_place_is_named_and_not_shown() {
        let redis = opened(Some("nats://hunter2@a"), None).expect_err("NATS is not Redis");
        assert!(redis.starts_with("SIGNAL_REDIS_URL: ") && redis.contains("redis://"), "{redis}");
        let nats = opened(None, Some("redis://:hunter2@a")).expect_err("Redis is not NATS");
        assert!(nats.starts_with("SIGNAL_NATS_URL: ") && nats.contains("nats://"), "{nats}");
        assert!(!format!("{redis}{nats}").contains("hunter2"));
    }
}
