//! The backplane that the settings name.

use std::sync::Arc;

use signal_service::settings::BackplaneSettings;

use crate::{Bus, BusError, Mode, nats::NatsBus, redis::RedisBus};

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

/// Connects later.
///
/// # Errors
/// If not exactly one address is set, or if it is none.
pub fn open(settings: &BackplaneSettings, mode: Mode) -> Result<Arc<dyn Bus>, OpenError> {
    match (&settings.redis_url, &settings.nats_url) {
        (None, None) => Err(OpenError::Missing),
        (Some(_), Some(_)) => Err(OpenError::Both),
        (Some(url), None) => Ok(Arc::new(RedisBus::new(url.expose(), mode).map_err(OpenError::Redis)?)),
        (None, Some(url)) => Ok(Arc::new(NatsBus::new(url.expose(), mode).map_err(OpenError::Nats)?)),
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
    fn an_address_that_is_in_the_wrong_place_is_named_and_not_shown() {
        let redis = opened(Some("nats://hunter2@a"), None).expect_err("NATS is not Redis");
        assert!(redis.starts_with("SIGNAL_REDIS_URL: ") && redis.contains("redis://"), "{redis}");
        let nats = opened(None, Some("redis://:hunter2@a")).expect_err("Redis is not NATS");
        assert!(nats.starts_with("SIGNAL_NATS_URL: ") && nats.contains("nats://"), "{nats}");
        assert!(!format!("{redis}{nats}").contains("hunter2"));
    }
}
