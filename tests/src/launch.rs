//! How scenarios and the bench start Signal's binaries beside real servers.

use std::time::Duration;

use signal_harness::{BackplaneAddress, Issuer, Launch, Service};

/// For a subcommand that has nothing to wait for: generous, as two cores run many scenarios at once.
const WITHIN: Duration = Duration::from_secs(30);

pub fn edge(backplane: &impl BackplaneAddress, issuer: &Issuer) -> Launch {
    on(Service::edge(), backplane).env("SIGNAL_JWKS_URL", issuer.jwks_url())
}

/// A binary that finds its backplane there.
pub fn on(launch: Launch, backplane: &impl BackplaneAddress) -> Launch {
    let (variable, url) = backplane.setting();
    launch.env(variable, url)
}

pub fn worker(
    database_url: &str,
    brokers: &str,
    topic: &str,
    backplane: &impl BackplaneAddress,
    issuer: &Issuer,
) -> Launch {
    on(Service::worker(), backplane)
        .env("SIGNAL_DATABASE_URL", database_url)
        .env("SIGNAL_KAFKA_BROKERS", brokers)
        .env("SIGNAL_KAFKA_TOPIC", topic)
        // A scenario may produce before the group has its assignment.
        .env("SIGNAL_KAFKA_OFFSET_RESET", "earliest")
        .env("SIGNAL_JWKS_URL", issuer.jwks_url())
}

/// Core's tables and Signal's seed, by the worker's own subcommand.
pub async fn migrate(database_url: &str) {
    let migrate =
        Service::worker().arg("migrate").arg("--with-core-schema").env("SIGNAL_DATABASE_URL", database_url).run(WITHIN);
    migrate.await.expect_success();
}
