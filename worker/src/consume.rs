//! Records from Kafka, as batches whose offsets are committed once the pipeline has done with them.
//!
//! One thread owns the consumer and makes every call to it, so that what is committed and what is owned can't
//! disagree: rebalances run inside of its polls. One batch is out at a time; librdkafka fetches ahead meanwhile,
//! within bounds. A batch leaves as soon as nothing more is at hand, so a lone record doesn't wait for company, and
//! under load batches fill by themselves.

mod group;
mod log;
mod message;
mod offsets;
mod poll;
mod properties;
pub mod range;

use std::{fmt, str::FromStr, sync::mpsc as ack, time::Duration};

use rdkafka::{consumer::BaseConsumer, error::KafkaError};
use signal_service::{Secret, health::Component};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::properties::PropertiesError;
pub(crate) use self::{log::log, properties::producer_config};
use crate::record::Record;

/// Where a group begins that has never committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OffsetReset {
    Earliest,
    #[default]
    Latest,
}

#[derive(Clone, Debug)]
pub struct ConsumeSettings {
    pub brokers: String,
    pub topic: TopicName,
    pub group: String,
    pub offset_reset: OffsetReset,
    /// `name=value,…` for librdkafka; may hold passwords.
    pub properties: Option<Secret>,
    pub batch_size: usize,
    pub batch_wait: Duration,
}

/// The name of one topic: what librdkafka would take for a pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicName(String);

impl TopicName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TopicName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if text.is_empty() || text.len() > 249 || !text.bytes().all(allowed) {
            return Err("expected 1 to 249 of the characters a-z A-Z 0-9 . _ -".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    #[error(transparent)]
    Properties(#[from] PropertiesError),
    /// The text names the property, and its value only where that is none of the user's.
    #[error("the Kafka client refuses its settings: {0}")]
    Client(String),
    #[error("the thread that reads from Kafka can't be started")]
    Thread(#[source] std::io::Error),
}

/// The batches of a consumer, one at a time.
#[derive(Debug)]
pub struct Batches(mpsc::Receiver<Batch>);

impl Batches {
    /// The next batch; `None` once the consumer has stopped.
    pub async fn next(&mut self) -> Option<Batch> {
        self.0.recv().await
    }
}

/// Records that wait for being done. Dropping it leaves their offsets where they are and ends the consumer.
#[derive(Debug)]
pub struct Batch {
    pub records: Vec<Record>,
    pub receipt: Receipt,
}

/// Moves a batch's offsets.
pub struct Receipt(ack::SyncSender<()>);

impl Receipt {
    /// Every record is persisted or rejected: the offsets may be committed.
    pub fn done(self) {
        // A consumer that is gone has nothing to commit; the records will come again.
        let _ = self.0.try_send(());
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receipt")
    }
}

/// Whether librdkafka takes the settings, without staying connected.
pub fn check(settings: &ConsumeSettings) -> Result<(), ConsumeError> {
    let mut config = properties::client_config(settings)?;
    // Without a group the client neither joins one nor leaves it.
    config.remove("group.id");
    config.create::<BaseConsumer>().map(drop).map_err(|error| refused(&error))
}

/// Starts the thread. It keeps trying while Kafka or the topic is missing, and leaves the group when `stop` is
/// cancelled; `tasks` counts it until it has.
pub fn start(
    settings: ConsumeSettings,
    health: Component,
    stop: CancellationToken,
    tasks: &TaskTracker,
) -> Result<Batches, ConsumeError> {
    let config = properties::client_config(&settings)?;
    config.create_native_config().map_err(|error| refused(&error))?;
    let (sender, receiver) = mpsc::channel(1);
    let runtime = tokio::runtime::Handle::current();
    let counted = tasks.token();
    std::thread::Builder::new()
        .name("kafka-consumer".to_owned())
        .spawn(move || {
            let _counted = counted;
            poll::run(&settings, &config, &health, &sender, &stop, &runtime);
        })
        .map_err(ConsumeError::Thread)?;
    Ok(Batches(receiver))
}

/// librdkafka's words, but for a property's value, which may be a password.
pub(crate) fn refused(error: &KafkaError) -> ConsumeError {
    ConsumeError::Client(match error {
        KafkaError::ClientConfig(_, _, name, _) => format!("`{name}` has no such value, or is not a property"),
        error => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(properties: &str) -> ConsumeSettings {
        ConsumeSettings {
            brokers: "127.0.0.1:1".into(),
            topic: "topic".parse().unwrap(),
            group: "group".into(),
            offset_reset: OffsetReset::Latest,
            properties: Some(Secret::new(properties)),
            batch_size: 500,
            batch_wait: Duration::from_millis(50),
        }
    }

    #[test]
    fn says_which_property_is_wrong_and_never_its_value() {
        check(&settings("socket.keepalive.enable=true,client.id=a\\,b")).unwrap();
        for (properties, name) in
            [("sasl.passwort=hunter2", "sasl.passwort"), ("socket.timeout.ms=hunter2", "socket.timeout.ms")]
        {
            let error = check(&settings(properties)).unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn topics_are_names_and_no_patterns() {
        assert_eq!(
            "SIGNAL_ACTIVITY_NOTIFICATION".parse::<TopicName>().unwrap().as_str(),
            "SIGNAL_ACTIVITY_NOTIFICATION"
        );
        for text in ["", "^SIGNAL.*", "a b", "a/b", &"x".repeat(250)] {
            assert!(text.parse::<TopicName>().is_err(), "{text}");
        }
    }
}
