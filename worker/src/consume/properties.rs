//! What librdkafka is told.

use rdkafka::{ClientConfig, config::RDKafkaLogLevel};
use signal_service::settings::values;

use super::{ConsumeSettings, OffsetReset};

/// What is fetched ahead, over all partitions, and so what a backlog costs in memory.
const FETCHED_AHEAD_KIB: u32 = 8 * 1024;
const FETCH_BYTES: u32 = 1024 * 1024;
/// librdkafka's own limit of what it receives, and a little for headers.
const MESSAGE_BYTES: u32 = 100_000_000 + 1024 * 1024;

/// Properties on which it depends that nothing is lost, and those that have a variable of their own.
const RESERVED: [(&str, &str); 8] = [
    ("enable.auto.commit", "offsets move only behind what has been persisted"),
    ("enable.auto.offset.store", "offsets move only behind what has been persisted"),
    ("bootstrap.servers", "set SIGNAL_KAFKA_BROKERS"),
    ("metadata.broker.list", "set SIGNAL_KAFKA_BROKERS"),
    ("group.id", "set SIGNAL_KAFKA_GROUP"),
    ("auto.offset.reset", "set SIGNAL_KAFKA_OFFSET_RESET"),
    ("statistics.interval.ms", "commits are followed by the statistics"),
    ("group.protocol", "rebalances are followed by the classic protocol"),
];

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PropertiesError {
    /// Counted from 1; the text itself may be a password.
    #[error("SIGNAL_KAFKA_PROPERTIES: item {0} is not name=value")]
    NotAPair(usize),
    #[error("SIGNAL_KAFKA_PROPERTIES: `{0}` is there twice")]
    Twice(String),
    #[error("SIGNAL_KAFKA_PROPERTIES: `{name}` can't be set: {reason}")]
    Reserved { name: String, reason: &'static str },
    #[error(
        "SIGNAL_KAFKA_PROPERTIES: `{0}` asks for TLS or SASL SCRAM, and this binary was built without them: build it with \
         `--features kafka-tls`, as all that is released is"
    )]
    WithoutTls(String),
}

pub(super) fn client_config(settings: &ConsumeSettings) -> Result<ClientConfig, PropertiesError> {
    let mut config = common(settings);
    config
        .set("group.id", &settings.group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set(
            "auto.offset.reset",
            match settings.offset_reset {
                OffsetReset::Earliest => "earliest",
                OffsetReset::Latest => "latest",
            },
        )
        .set("queued.max.messages.kbytes", FETCHED_AHEAD_KIB.to_string())
        .set("queued.min.messages", (settings.batch_size * 4).clamp(1000, 10_000_000).to_string())
        .set("fetch.message.max.bytes", FETCH_BYTES.to_string())
        .set("fetch.max.bytes", (4 * FETCH_BYTES).to_string())
        // A full queue is looked at again after this; the default of a second would be a second of idleness.
        .set("fetch.queue.backoff.ms", "10")
        // Also how long a commit waits for a coordinator that is away; the default of ten minutes outlasts any stop.
        .set("coordinator.query.interval.ms", "5000")
        .set("statistics.interval.ms", "2000");
    add(&mut config, settings)?;
    Ok(config)
}

/// For a producer on the same cluster that gives up nothing by itself and writes nothing twice.
pub(crate) fn producer_config(settings: &ConsumeSettings) -> Result<ClientConfig, PropertiesError> {
    let mut config = common(settings);
    config
        // As Java's clients do, so that a key is where they look for it.
        .set("partitioner", "murmur2_random")
        // What a consumer takes at most: whether it is too large is for the broker to say.
        .set("message.max.bytes", MESSAGE_BYTES.to_string())
        // A topic that does not exist is told of after this; the default is half a minute.
        .set("topic.metadata.propagation.max.ms", "1000");
    add(&mut config, settings)?;
    for name in ["request.required.acks", "delivery.timeout.ms", "transactional.id"] {
        config.remove(name);
    }
    config.set("acks", "all").set("enable.idempotence", "true").set("message.timeout.ms", "0");
    Ok(config)
}

fn common(settings: &ConsumeSettings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set_log_level(RDKafkaLogLevel::Info)
        .set("bootstrap.servers", &settings.brokers)
        .set("client.id", "signal-worker")
        // A topic that is created after the worker has started is found within this.
        .set("topic.metadata.refresh.interval.ms", "5000")
        .set("reconnect.backoff.ms", "100")
        .set("reconnect.backoff.max.ms", "5000")
        .set("socket.keepalive.enable", "true")
        // What a connection that is open and carries nothing costs; the default is a minute, longer than a member of the
        // group may be silent. Requests that wait on purpose have times of their own.
        .set("socket.timeout.ms", "15000")
        .set("socket.connection.setup.timeout.ms", "10000")
        // Brokers close idle connections as a matter of course.
        .set("log.connection.close", "false");
    config
}

/// What was given wins over what was chosen here.
fn add(config: &mut ClientConfig, settings: &ConsumeSettings) -> Result<(), PropertiesError> {
    if let Some(properties) = &settings.properties {
        for (name, value) in parse(properties.expose())? {
            config.set(name, value);
        }
    }
    Ok(())
}

fn parse(text: &str) -> Result<Vec<(String, String)>, PropertiesError> {
    let properties = values::pairs(text).map_err(PropertiesError::NotAPair)?;
    let again = |at: usize| properties[..at].iter().any(|(name, _)| *name == properties[at].0);
    if let Some(at) = (1..properties.len()).find(|at| again(*at)) {
        return Err(PropertiesError::Twice(properties[at].0.clone()));
    }
    let wanting = properties.iter().find(|(name, value)| needs_tls(name, value));
    if let Some((name, _)) = wanting.filter(|_| !has_tls()) {
        return Err(PropertiesError::WithoutTls(name.clone()));
    }
    let reserved = properties.iter().find_map(|(name, _)| RESERVED.iter().find(|(reserved, _)| reserved == name));
    match reserved {
        Some((name, reason)) => Err(PropertiesError::Reserved { name: (*name).to_owned(), reason }),
        None => Ok(properties),
    }
}

/// Whether librdkafka does it by OpenSSL alone; it would say that there is no such property, or no such value.
fn needs_tls(name: &str, value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    match name {
        "security.protocol" => matches!(&*value, "ssl" | "sasl_ssl"),
        "sasl.mechanism" | "sasl.mechanisms" => value.starts_with("scram-"),
        name => name.starts_with("ssl.") || name == "enable.ssl.certificate.verification",
    }
}

/// Whether librdkafka was compiled with OpenSSL, which the feature `kafka-tls` asks for.
fn has_tls() -> bool {
    let built = ClientConfig::new().create_native_config().and_then(|config| config.get("builtin.features"));
    built.is_ok_and(|features| features.split(',').any(|feature| feature == "ssl"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_pairs() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(parse("").unwrap(), []);
        assert_eq!(
            parse(r"sasl.password=a=b\,c, security.protocol = sasl_plaintext ,").unwrap(),
            [pair("sasl.password", "a=b,c"), pair("security.protocol", "sasl_plaintext")]
        );
    }

    #[test]
    fn refuses_what_is_no_pair_without_showing_it() {
        let error = parse("a=b,hunter2").unwrap_err();
        assert_eq!(error, PropertiesError::NotAPair(2));
        assert!(!error.to_string().contains("hunter2"));
        assert_eq!(parse("=x").unwrap_err(), PropertiesError::NotAPair(1));
    }

    #[test]
    fn refuses_what_is_there_twice() {
        let error = parse("security.protocol=sasl_ssl, a=b,security.protocol = plaintext").unwrap_err();
        assert_eq!(error, PropertiesError::Twice("security.protocol".to_owned()));
    }

    #[test]
    fn refuses_what_would_lose_records() {
        for (name, _) in RESERVED {
            let error = parse(&format!("{name}=true")).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn the_features_of_the_build_are_those_of_librdkafka() {
        assert_eq!(has_tls(), cfg!(feature = "kafka-tls"));
    }

    #[test]
    fn what_only_openssl_can_do_is_refused_by_name_where_there_is_none() {
        for (properties, name) in [
            ("security.protocol=SSL", "security.protocol"),
            ("client.id=a,security.protocol=sasl_ssl,sasl.password=hunter2", "security.protocol"),
            ("security.protocol=sasl_plaintext,sasl.mechanism=SCRAM-SHA-512", "sasl.mechanism"),
            ("sasl.mechanisms=SCRAM-SHA-256", "sasl.mechanisms"),
            ("ssl.ca.location=hunter2", "ssl.ca.location"),
        ] {
            let read = parse(properties);
            if has_tls() {
                read.unwrap();
                continue;
            }
            assert_eq!(read, Err(PropertiesError::WithoutTls(name.to_owned())));
            let said = PropertiesError::WithoutTls(name.to_owned()).to_string();
            assert!(said.contains(name) && said.contains("kafka-tls"), "{said}");
        }
        parse("security.protocol=sasl_plaintext,sasl.mechanism=PLAIN,sasl.password=hunter2").unwrap();
    }

    #[test]
    fn a_dead_connection_is_given_up_before_the_group_gives_up_its_member() {
        const SESSION_TIMEOUT_MS: u32 = 45_000;
        let settings = |properties: &str| ConsumeSettings {
            brokers: "127.0.0.1:1".into(),
            topic: "topic".parse().unwrap(),
            group: "group".into(),
            offset_reset: OffsetReset::Latest,
            properties: Some(signal_service::Secret::new(properties)),
            batch_size: 500,
            batch_wait: std::time::Duration::from_millis(50),
        };
        let ms = |config: &ClientConfig| config.get("socket.timeout.ms").unwrap().parse::<u32>().unwrap();
        assert!(2 * ms(&client_config(&settings("")).unwrap()) < SESSION_TIMEOUT_MS);
        assert!(2 * ms(&producer_config(&settings("")).unwrap()) < SESSION_TIMEOUT_MS);
        assert_eq!(ms(&client_config(&settings("socket.timeout.ms=60000")).unwrap()), 60_000);
    }

    #[test]
    fn what_was_given_does_not_make_a_producer_lose_or_double() {
        let given = "acks=1,request.required.acks=0,enable.idempotence=false,message.timeout.ms=5,\
                     delivery.timeout.ms=5,transactional.id=x,session.timeout.ms=6000,client.id=mine";
        let settings = ConsumeSettings {
            brokers: "127.0.0.1:1".into(),
            topic: "topic".parse().unwrap(),
            group: "group".into(),
            offset_reset: OffsetReset::Latest,
            properties: Some(signal_service::Secret::new(given)),
            batch_size: 500,
            batch_wait: std::time::Duration::from_millis(50),
        };
        let config = producer_config(&settings).unwrap();
        for (name, value) in [
            ("acks", Some("all")),
            ("enable.idempotence", Some("true")),
            ("message.timeout.ms", Some("0")),
            ("request.required.acks", None),
            ("delivery.timeout.ms", None),
            ("transactional.id", None),
            ("group.id", None),
            ("client.id", Some("mine")),
        ] {
            assert_eq!(config.get(name), value, "{name}");
        }
    }
}
