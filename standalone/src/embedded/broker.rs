//! librdkafka's in-process broker: real Kafka protocol on a loopback port, records in memory.
//!
//! It exists while this value does, and so do its records and committed offsets. It is
//! meant for one consumer: a second one of the same group waits for seconds after the
//! first has gone.

use std::thread::JoinHandle;

use rdkafka::{error::KafkaError, mocking::MockCluster};
use tokio::sync::oneshot;
use uuid::Uuid;

/// Enough that two merchants are likely to be on two of them.
pub(super) const PARTITIONS: i32 = 3;

#[derive(Debug)]
pub struct EmbeddedBroker {
    bootstrap_servers: String,
    id: String,
    /// Dropped to end the thread.
    stop: Option<std::sync::mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, thiserror::Error)]
#[error("the embedded broker does not start: {0}; set SIGNAL_KAFKA_BROKERS to a real one")]
pub struct BrokerError(String);

impl EmbeddedBroker {
    /// Starts it with `topics`.
    ///
    /// # Errors
    /// If it cannot listen on loopback.
    pub async fn start(topics: Vec<String>) -> Result<Self, BrokerError> {
        let (started, starting) = oneshot::channel();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        // The cluster is a raw pointer, which must stay on the thread that made it.
        let thread = std::thread::Builder::new().name("embedded-broker".to_owned()).spawn(move || {
            let cluster = match cluster(&topics) {
                Ok(cluster) => cluster,
                Err(error) => {
                    let _ = started.send(Err(BrokerError(error.to_string())));
                    return;
                }
            };
            if started.send(Ok(cluster.bootstrap_servers())).is_ok() {
                // Ends with an error, when the sender is dropped.
                let _ = stopped.recv();
            }
        });
        let thread = thread.map_err(|error| BrokerError(error.to_string()))?;
        let bootstrap_servers = starting.await.map_err(|_| BrokerError("its thread ended".to_owned()))??;
        let id = Uuid::new_v4().simple().to_string();
        Ok(Self { bootstrap_servers, id, stop: Some(stop), thread: Some(thread) })
    }

    /// What goes into `bootstrap.servers`.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// Another one at every start: its offsets begin at 0 each time, and mean other records.
    pub fn id(&self) -> &str {
        &self.id
    }
}

fn cluster(topics: &[String]) -> Result<MockCluster<'static, rdkafka::producer::DefaultProducerContext>, KafkaError> {
    let cluster = MockCluster::new(1)?;
    for topic in topics {
        cluster.create_topic(topic, PARTITIONS, 1)?;
    }
    Ok(cluster)
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there has been reported by its own thread.
            let _ = thread.join();
        }
    }
}
