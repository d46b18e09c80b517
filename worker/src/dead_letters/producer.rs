//! The topic of dead letters, written to.
//!
//! A producer of librdkafka keeps trying by itself while brokers come and go, and as it is idempotent no letter is there
//! twice for that. What it gives up is tried here again, with growing pauses: until the topic is there, the right to
//! write it, or the worker's end. Only what a broker refuses a letter for itself is not waited for: its value is left
//! out, or its time, and the letter says so.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use rdkafka::{
    ClientConfig, ClientContext,
    config::RDKafkaLogLevel,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord, Producer, future_producer::DeliveryFuture},
};
use signal_service::health::Component;
use signal_wire::backoff::Backoff;
use tokio_util::sync::CancellationToken;

use super::{
    DeadLetters, Stopped,
    letter::LeftOut,
    pending::{Pending, unix_ms, verdict},
};
use crate::{
    consume::{self, ConsumeError, ConsumeSettings, TopicName},
    metrics,
    record::Record,
    rejection::Rejected,
};

/// How long a letter may be on its way before readiness says so; also how often a client that has given up is noticed.
const PATIENCE: Duration = Duration::from_secs(2);
/// What is on its way when the worker stops may arrive for so long: else it would be there twice after the next start.
const STOP_GRACE: Duration = Duration::from_secs(1);
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);
/// Letters that are on their way at once.
const GROUP: usize = 1000;

/// Keeps dead letters on a topic of Kafka's.
pub struct DeadLetterTopic {
    name: Arc<str>,
    config: ClientConfig,
    client: Mutex<FutureProducer<Context>>,
    last_error: LastError,
    health: Component,
    stop: CancellationToken,
}

impl DeadLetterTopic {
    /// Connects to the brokers of `settings` by itself, now and whenever they come back. `health` reports on the topic.
    ///
    /// # Errors
    /// If librdkafka refuses the settings.
    pub fn open(
        settings: &ConsumeSettings,
        name: &TopicName,
        health: Component,
        stop: CancellationToken,
    ) -> Result<Self, ConsumeError> {
        let config = consume::producer_config(settings)?;
        let last_error = LastError::default();
        let client = client(&config, &last_error).map_err(|error| consume::refused(&error))?;
        // Until there is a letter to be kept nothing is known to be wrong.
        health.up();
        Ok(Self { name: name.as_str().into(), config, client: Mutex::new(client), last_error, health, stop })
    }

    /// Whether librdkafka takes the settings.
    ///
    /// # Errors
    /// If it does not.
    pub fn check(settings: &ConsumeSettings) -> Result<(), ConsumeError> {
        let config = consume::producer_config(settings)?;
        client(&config, &LastError::default()).map(drop).map_err(|error| consume::refused(&error))
    }

    /// Looks once whether the topic is there, and warns if it is not: better now than at the first letter.
    pub async fn look(&self) {
        if let Err(reason) = self.metadata().await {
            let topic = &*self.name;
            tracing::warn!(topic, reason, "the first record that can't be handled will be waited with");
        }
    }

    /// Asks the cluster for the topic, which also tells the client of one that has been made meanwhile. Fails with what
    /// is wrong with it; a cluster that does not answer says nothing of the topic.
    async fn metadata(&self) -> Result<(), String> {
        let (client, name) = (self.client.lock().clone(), Arc::clone(&self.name));
        let ask = move || {
            let metadata = client.client().fetch_metadata(Some(&name), LOOKUP_TIMEOUT).ok()?;
            metadata.topics().iter().find_map(|topic| topic.error().filter(|_| topic.name() == &*name))
        };
        let error = tokio::select! {
            () = self.stop.cancelled() => None,
            answer = tokio::task::spawn_blocking(ask) => answer.unwrap_or_default(),
        };
        error.map_or(Ok(()), |error| Err(self.why(&KafkaError::MessageProduction(error.into()))))
    }

    /// Sends letters and waits for each. Answers in their order.
    async fn send(&self, letters: &[Pending<'_>]) -> Result<Vec<KafkaResult<()>>, Stopped> {
        let client = self.client.lock().clone();
        let sent: Vec<_> = letters.iter().map(|letter| enqueue(&client, &self.name, &letter.compose())).collect();
        let mut answers = Vec::with_capacity(letters.len());
        for delivery in sent {
            answers.push(match delivery {
                Ok(delivery) => self.delivered(&client, delivery).await?,
                Err(error) => Err(error),
            });
        }
        Ok(answers)
    }

    async fn delivered(
        &self,
        client: &FutureProducer<Context>,
        mut delivery: DeliveryFuture,
    ) -> Result<KafkaResult<()>, Stopped> {
        let mut stopped = std::pin::pin!(async {
            self.stop.cancelled().await;
            tokio::time::sleep(STOP_GRACE).await;
        });
        loop {
            let given_up = client.client().fatal_error().map(|(code, _)| code);
            tokio::select! {
                biased;
                answer = &mut delivery => return Ok(match answer {
                    Ok(Ok(_)) => Ok(()),
                    Ok(Err((error, _))) => Err(given_up.map_or(error, KafkaError::MessageProduction)),
                    Err(_) => Err(KafkaError::Canceled),
                }),
                () = &mut stopped => return Err(Stopped),
                code = std::future::ready(given_up), if given_up.is_some() => {
                    return Ok(Err(code.map_or(KafkaError::Canceled, KafkaError::MessageProduction)));
                }
                () = tokio::time::sleep(PATIENCE) => {
                    let last = self.last_error.lock().clone();
                    self.health.down(last.unwrap_or_else(|| format!("no broker acknowledges what {} is sent", self.name)));
                }
            }
        }
    }

    /// Waits before letters are sent again.
    async fn pause(&self, attempt: u32, error: &KafkaError) -> Result<(), Stopped> {
        self.health.down(self.why(error));
        metrics::dead_letter_retry();
        let delay = BACKOFF.delay(attempt, getrandom::u32().unwrap_or(u32::MAX));
        tokio::time::timeout(delay, self.stop.cancelled()).await.map_or(Ok(()), |()| Err(Stopped))?;
        if self.client.lock().client().fatal_error().is_some() {
            // The settings were good before; should they not be any more, the next attempt says so.
            if let Ok(fresh) = client(&self.config, &self.last_error) {
                *self.client.lock() = fresh;
            }
        } else if let Err(reason) = self.metadata().await {
            self.health.down(reason);
        }
        Ok(())
    }

    /// What people need to know.
    fn why(&self, error: &KafkaError) -> String {
        let name = &self.name;
        match error.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopicId,
            ) => {
                format!("the topic {name} does not exist: dead letters have nowhere to go")
            }
            Some(RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed) => {
                format!("this worker may not write to the topic {name}")
            }
            _ => format!("the topic {name} does not take dead letters: {error}"),
        }
    }

    fn kept(&self, letter: &Pending<'_>) {
        let Rejected { record, rejection } = letter.rejected;
        metrics::dead_letter(rejection.label());
        if letter.left_out != LeftOut::Nothing {
            let (position, left_out) = (&record.position, letter.left_out.label());
            metrics::dead_letter_incomplete(left_out);
            tracing::warn!(
                topic = &*position.topic,
                partition = position.partition,
                offset = position.offset,
                bytes = record.bytes(),
                left_out,
                "a dead letter is larger than its topic takes"
            );
        }
    }
}

#[async_trait]
impl DeadLetters for DeadLetterTopic {
    async fn keep(&self, rejected: &[Rejected]) -> Result<(), Stopped> {
        // What was wrong with the last letters is no reason for these.
        self.last_error.lock().take();
        let mut open: Vec<Pending<'_>> = rejected.iter().map(Pending::new).collect();
        let mut failures = 0;
        while !open.is_empty() {
            let mut again = Vec::new();
            let mut failure = None;
            while !open.is_empty() {
                let together =
                    if open[0].alone { 1 } else { open.iter().take_while(|one| !one.alone).take(GROUP).count() };
                let group: Vec<_> = open.drain(..together).collect();
                let answers = self.send(&group).await?;
                for (mut letter, answer) in group.into_iter().zip(answers) {
                    match answer {
                        Ok(()) => self.kept(&letter),
                        Err(error) => {
                            if !letter.adapt(verdict(&error)) {
                                failure = Some(error);
                            }
                            again.push(letter);
                        }
                    }
                }
            }
            if let Some(error) = failure {
                self.pause(failures, &error).await?;
                failures += 1;
            }
            open = again;
        }
        self.health.up();
        Ok(())
    }
}

impl std::fmt::Debug for DeadLetterTopic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DeadLetterTopic").field(&self.name).finish()
    }
}

fn enqueue(client: &FutureProducer<Context>, topic: &str, letter: &Record) -> KafkaResult<DeliveryFuture> {
    let headers = OwnedHeaders::new_with_capacity(letter.headers.len());
    let add = |headers: OwnedHeaders, (name, value): &(String, Option<Bytes>)| {
        headers.insert(Header { key: name, value: value.as_deref() })
    };
    let mut record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(topic);
    record.key = letter.key.as_deref();
    record.payload = letter.value.as_deref();
    record.timestamp = letter.timestamp.map(unix_ms);
    record.headers = Some(letter.headers.iter().fold(headers, add));
    client.send_result(record).map_err(|(error, _)| error)
}

fn client(config: &ClientConfig, last_error: &LastError) -> KafkaResult<FutureProducer<Context>> {
    config.create_with_context(Context { last_error: Arc::clone(last_error) })
}

/// What librdkafka has told last of what is wrong.
type LastError = Arc<Mutex<Option<String>>>;

struct Context {
    last_error: LastError,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // Properties are given for the consumer; those that are its alone are passed over here.
        let level = if facility == "CONFWARN" { RDKafkaLogLevel::Debug } else { level };
        consume::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "the producer of dead letters reports an error");
        *self.last_error.lock() = Some(format!("{error}: {reason}"));
    }
}
