//! librdkafka's words in our log.

use rdkafka::config::RDKafkaLogLevel::{self, Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};

pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        // Every attempt to connect to a broker that is away; a component says it once.
        _ if facility == "FAIL" => tracing::debug!(target: "librdkafka", facility, "{message}"),
        Emerg | Alert | Critical | Error => tracing::error!(target: "librdkafka", facility, "{message}"),
        Warning => tracing::warn!(target: "librdkafka", facility, "{message}"),
        Notice | Info => tracing::info!(target: "librdkafka", facility, "{message}"),
        Debug => tracing::debug!(target: "librdkafka", facility, "{message}"),
    }
}
