//! The worker's settings.

use std::time::Duration;

use signal_auth::AuthSettings;
use signal_service::{
    Secret,
    health::probe::Question,
    settings::{
        BackplaneSettings, CorsSettings, DatabaseSettings, HttpSettings, LogSettings, ShutdownSettings, TraceSettings,
        values,
    },
};
use signal_wire::{activity::TOPIC, snowflake::MAX_WORKER_ID, timestamp};
use time::OffsetDateTime;

use crate::{
    consume::{ConsumeSettings, OffsetReset, TopicName},
    dead_letters::arguments::DeadLettersCommand,
    replay::ReplaySettings,
    resolve::{Domains, ID},
};

/// What the topic of dead letters has behind the topic's name, unless it is named.
const DEAD_LETTERS: &str = ".DLQ";

/// Turns activity events from Kafka into rows and pushes, and lets people read them.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "signal-worker", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub settings: WorkerSettings,
}

/// Without one, `run`.
#[derive(Clone, Debug, PartialEq, Eq, clap::Subcommand)]
pub enum Command {
    /// Consumes events and serves the notification API until told to stop.
    Run,
    /// Brings the rows that Signal needs into the database, and ends. Safe to repeat. A database whose tables do not fit
    /// is left as it is.
    Migrate {
        /// Also creates the tables that the platform's core owns, where they are missing. For development.
        #[arg(long, conflicts_with = "check")]
        with_core_schema: bool,

        /// Changes nothing: says whether the tables fit, and how they differ from what Signal needs.
        #[arg(long)]
        check: bool,
    },
    /// Looks after the records that could not be handled.
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Says where an event's record is, which rows it made for whom, and what was pushed when, or why not.
    Explain(ExplainArgs),
    /// Leads records of the past through the pipeline once more, beside the workers, and ends. Rows that are there stay
    /// as they are; the group's offsets do not move. The settings come before the subcommand's name, or as variables.
    Replay(Box<ReplaySettings>),
    /// Says whether the settings can be used, and ends.
    CheckConfig,
    /// Asks the worker that has the same settings whether it is ready, and ends within a second: with 0 if it is. For
    /// probes of containers, which have no shell.
    Health(Question),
}

#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct ExplainArgs {
    /// The event's id, or `topic/partition/offset` of its record.
    #[arg(value_name = "EVENT", value_parser = not_empty)]
    pub event: String,

    /// Look for the record from this time on (RFC 3339). Without it: around the time of its rows, else everywhere.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub from: Option<OffsetDateTime>,

    /// Rows and people that are named.
    #[arg(long, value_name = "COUNT", default_value = "20", value_parser = limit)]
    pub limit: usize,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Everything that `signal-worker` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct WorkerSettings {
    #[command(flatten)]
    pub http: HttpSettings,
    #[command(flatten)]
    pub cors: CorsSettings,
    #[command(flatten)]
    pub auth: AuthSettings,
    #[command(flatten)]
    pub pipeline: PipelineSettings,
    #[command(flatten)]
    pub database: DatabaseSettings,
    #[command(flatten)]
    pub backplane: BackplaneSettings,
    #[command(flatten)]
    pub log: LogSettings,
    #[command(flatten)]
    pub traces: TraceSettings,
    #[command(flatten)]
    pub shutdown: ShutdownSettings,
}

/// What is consumed, and what becomes of it.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Pipeline")]
pub struct PipelineSettings {
    /// Kafka to begin with, as host:port, separated by commas.
    #[arg(long, env = "SIGNAL_KAFKA_BROKERS", value_name = "BROKERS", value_parser = values::hosts)]
    pub kafka_brokers: Option<String>,

    /// The topic that activity events are on.
    #[arg(long, env = "SIGNAL_KAFKA_TOPIC", value_name = "TOPIC", default_value = TOPIC)]
    pub kafka_topic: TopicName,

    /// The topic that records go to which can't be handled. [default: the topic's name and `.DLQ`]
    #[arg(long, env = "SIGNAL_KAFKA_DEAD_LETTER_TOPIC", value_name = "TOPIC")]
    pub kafka_dead_letter_topic: Option<TopicName>,

    /// The consumer group, which all workers share.
    #[arg(long, env = "SIGNAL_KAFKA_GROUP", value_name = "GROUP", default_value = "signal", value_parser = not_empty)]
    pub kafka_group: String,

    /// Where a group begins that has never committed, and goes on when what it had committed is gone.
    #[arg(long, env = "SIGNAL_KAFKA_OFFSET_RESET", value_name = "WHERE", value_enum, default_value_t)]
    pub kafka_offset_reset: OffsetReset,

    /// Further properties of librdkafka, such as `security.protocol=ssl`; `name=value`, separated by commas, and a
    /// comma within a value as `\,`.
    #[arg(long, env = "SIGNAL_KAFKA_PROPERTIES", value_name = "PROPERTIES", hide_env_values = true)]
    pub kafka_properties: Option<Secret>,

    /// Records that are handled together at most.
    #[arg(long, env = "SIGNAL_BATCH_SIZE", value_name = "COUNT", default_value = "500", value_parser = batch_size)]
    pub batch_size: usize,

    /// How long a batch may be gathered while records keep coming; when none is at hand it leaves at once.
    #[arg(long, env = "SIGNAL_BATCH_WAIT", value_name = "DURATION", default_value = "50ms", value_parser = values::duration)]
    pub batch_wait: Duration,

    /// Part of row ids; replicas may share it.
    #[arg(
        long, env = "SIGNAL_SNOWFLAKE_WORKER_ID", value_name = "ID", default_value = "9",
        value_parser = clap::value_parser!(u16).range(0..=i64::from(MAX_WORKER_ID))
    )]
    pub snowflake_worker_id: u16,

    /// The domain of an organizer's people; `{id}` stands for the organizer.
    #[arg(long, env = "SIGNAL_ORGANIZER_DOMAIN", value_name = "PATTERN", default_value = "Organizer_{id}", value_parser = domain)]
    pub organizer_domain: String,

    /// The domain of a merchant's people; `{id}` stands for the merchant.
    #[arg(long, env = "SIGNAL_MERCHANT_DOMAIN", value_name = "PATTERN", default_value = "Merchant_{id}", value_parser = domain)]
    pub merchant_domain: String,
}

impl PipelineSettings {
    /// What the consumer needs; `None` without brokers.
    pub fn consume(&self) -> Option<ConsumeSettings> {
        Some(ConsumeSettings {
            brokers: self.kafka_brokers.clone()?,
            topic: self.kafka_topic.clone(),
            group: self.kafka_group.clone(),
            offset_reset: self.kafka_offset_reset,
            properties: self.kafka_properties.clone(),
            batch_size: self.batch_size,
            batch_wait: self.batch_wait,
        })
    }

    /// Where dead letters go, which is never where they come from.
    ///
    /// # Errors
    /// If it is, or if the topic's name is too long to have another behind it.
    pub fn dead_letter_topic(&self) -> Result<TopicName, DeadLetterTopicError> {
        let topic = self.kafka_topic.as_str();
        let dead_letters = match &self.kafka_dead_letter_topic {
            Some(name) => name.clone(),
            None => format!("{topic}{DEAD_LETTERS}").parse().map_err(|_| DeadLetterTopicError::TooLong)?,
        };
        if dead_letters == self.kafka_topic { Err(DeadLetterTopicError::Same) } else { Ok(dead_letters) }
    }

    pub fn domains(&self) -> Domains {
        Domains { organizer: self.organizer_domain.clone(), merchant: self.merchant_domain.clone() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeadLetterTopicError {
    #[error("SIGNAL_KAFKA_DEAD_LETTER_TOPIC is SIGNAL_KAFKA_TOPIC: a dead letter would come back at once")]
    Same,
    #[error(
        "SIGNAL_KAFKA_DEAD_LETTER_TOPIC is not set, and with {DEAD_LETTERS} behind it SIGNAL_KAFKA_TOPIC is too long"
    )]
    TooLong,
}

fn not_empty(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("expected a name".to_owned()) } else { Ok(text.to_owned()) }
}

fn time(text: &str) -> Result<OffsetDateTime, String> {
    timestamp::parse(text).ok_or_else(|| "expected a time such as 2026-11-23T08:00:00Z".to_owned())
}

fn limit(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|limit| (1..=10_000).contains(limit))
        .ok_or_else(|| "expected a number from 1 to 10000".to_owned())
}

fn batch_size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(size @ 1..=100_000) => Ok(size),
        _ => Err("expected a number from 1 to 100000".to_owned()),
    }
}

fn domain(text: &str) -> Result<String, String> {
    if text.contains(ID) { Ok(text.to_owned()) } else { Err(format!("expected a pattern with {ID} in it")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use signal_service::settings::{Source, parse};

    fn cli(args: &[&str], variables: &[(&str, &str)]) -> Result<Cli, String> {
        let source: Source = variables.iter().copied().collect();
        let args = std::iter::once("signal-worker").chain(args.iter().copied());
        parse(args, &source).map_err(|error| error.to_string())
    }

    #[test]
    fn has_the_documented_defaults() {
        let cli = cli(&[], &[]).unwrap();
        let pipeline = &cli.settings.pipeline;
        assert_eq!(cli.command, None);
        assert_eq!(pipeline.kafka_topic.as_str(), "SIGNAL_ACTIVITY_NOTIFICATION");
        assert_eq!((pipeline.kafka_group.as_str(), pipeline.kafka_offset_reset), ("signal", OffsetReset::Latest));
        assert_eq!((pipeline.batch_size, pipeline.batch_wait), (500, Duration::from_millis(50)));
        assert_eq!(pipeline.snowflake_worker_id, 9);
        assert_eq!((&*pipeline.organizer_domain, &*pipeline.merchant_domain), ("Organizer_{id}", "Merchant_{id}"));
        assert!(pipeline.consume().is_none());
    }

    #[test]
    fn reads_variables_and_subcommands() {
        let variables = [
            ("SIGNAL_KAFKA_BROKERS", "a:1,b:2"),
            ("SIGNAL_KAFKA_OFFSET_RESET", "earliest"),
            ("SIGNAL_DATABASE_URL", "sqlite://x.db"),
        ];
        let read = cli(&["migrate", "--with-core-schema"], &variables).unwrap();
        assert_eq!(read.command, Some(Command::Migrate { with_core_schema: true, check: false }));
        assert_eq!(read.settings.pipeline.consume().unwrap().brokers, "a:1,b:2");
        assert_eq!(read.settings.pipeline.kafka_offset_reset, OffsetReset::Earliest);
        assert_eq!(read.settings.database.database_url.unwrap().expose(), "sqlite://x.db");
    }

    #[test]
    fn dead_letters_have_a_topic_of_their_own() {
        let topic = |variables: &[_]| {
            let named = cli(&[], variables).unwrap().settings.pipeline.dead_letter_topic();
            named.map(|topic| topic.as_str().to_owned())
        };
        assert_eq!(topic(&[]), Ok("SIGNAL_ACTIVITY_NOTIFICATION.DLQ".to_owned()));
        assert_eq!(topic(&[("SIGNAL_KAFKA_TOPIC", "a")]), Ok("a.DLQ".to_owned()));
        let named = ("SIGNAL_KAFKA_DEAD_LETTER_TOPIC", "b");
        assert_eq!(topic(&[("SIGNAL_KAFKA_TOPIC", "a"), named]), Ok("b".to_owned()));
        assert_eq!(topic(&[("SIGNAL_KAFKA_TOPIC", "b"), named]), Err(DeadLetterTopicError::Same));
        let long = "x".repeat(246);
        assert_eq!(topic(&[("SIGNAL_KAFKA_TOPIC", &long)]), Err(DeadLetterTopicError::TooLong));
        assert_eq!(topic(&[("SIGNAL_KAFKA_TOPIC", &long), named]), Ok("b".to_owned()));
    }

    #[test]
    fn names_the_variable_that_is_wrong() {
        for (name, value) in [
            ("SIGNAL_KAFKA_BROKERS", "http://kafka:9092"),
            ("SIGNAL_KAFKA_TOPIC", "^.*"),
            ("SIGNAL_KAFKA_DEAD_LETTER_TOPIC", "a b"),
            ("SIGNAL_KAFKA_OFFSET_RESET", "newest"),
            ("SIGNAL_BATCH_SIZE", "0"),
            ("SIGNAL_BATCH_WAIT", "50"),
            ("SIGNAL_SNOWFLAKE_WORKER_ID", "1024"),
            ("SIGNAL_MERCHANT_DOMAIN", "Merchant"),
        ] {
            let error = cli(&[], &[(name, value)]).unwrap_err();
            assert!(error.contains(name), "{error}");
        }
    }
}
