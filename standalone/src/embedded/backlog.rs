//! What the embedded broker has and nobody has handled yet: it ends with the process, so a stop waits for it.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult},
};

use super::broker::PARTITIONS;

const LOOKUP_TIMEOUT: Duration = Duration::from_secs(1);
/// Between two looks; offsets are committed some ten times a second.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks at one topic of an embedded broker from the side of one consumer group.
pub struct Backlog {
    /// Of the group by name only: it neither joins nor reads.
    onlooker: Arc<BaseConsumer>,
    topic: Arc<str>,
}

impl Backlog {
    /// # Errors
    /// If librdkafka gives no client.
    pub fn new(bootstrap_servers: &str, group: &str, topic: &str) -> Result<Self, KafkaError> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap_servers).set("group.id", group);
        Ok(Self { onlooker: Arc::new(config.create()?), topic: topic.into() })
    }

    /// Waits until the group has committed all that was produced.
    pub async fn handled(&self) {
        loop {
            let (onlooker, topic) = (Arc::clone(&self.onlooker), Arc::clone(&self.topic));
            match tokio::task::spawn_blocking(move || left(&onlooker, &topic)).await {
                Ok(Ok(0)) => return,
                Ok(Ok(left)) => tracing::debug!(left, "records wait to be handled"),
                Ok(Err(error)) => tracing::warn!(%error, "the embedded broker does not say what is left"),
                Err(error) => {
                    tracing::error!(%error, "nobody can say what is left in the embedded broker");
                    return;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Records behind the committed offsets, over all partitions.
fn left(onlooker: &BaseConsumer, topic: &str) -> KafkaResult<i64> {
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_range(topic, 0, PARTITIONS - 1);
    let mut left = 0;
    for element in onlooker.committed_offsets(partitions, LOOKUP_TIMEOUT)?.elements() {
        let (low, high) = onlooker.fetch_watermarks(topic, element.partition(), LOOKUP_TIMEOUT)?;
        let committed = if let Offset::Offset(offset) = element.offset() { offset } else { low };
        left += (high - committed).max(0);
    }
    Ok(left)
}

impl std::fmt::Debug for Backlog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backlog").field("topic", &self.topic).finish_non_exhaustive()
    }
}
