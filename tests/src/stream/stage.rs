//! The servers of a stream: Kafka and Postgres of the caller's, a database and a topic of its own on them, a backplane, an
//! issuer, an edge, and a worker that is there for its REST API alone.

use signal_harness::{Database, Issuer, Kafka, Launch, Postgres, PubSub, Service};

use super::{Scale, rows::Rows};
use crate::launch;

/// A member that was killed holds its partitions until this is over: the least that a broker allows.
const QUICK_GROUP: &str = "session.timeout.ms=6000,heartbeat.interval.ms=500";

#[derive(Debug)]
pub struct Stage<'a> {
    pub scale: Scale,
    pub postgres: &'a Postgres,
    pub kafka: &'a Kafka,
    pub database: Database,
    pub topic: String,
    pub pubsub: PubSub,
    pub issuer: Issuer,
    pub edge: Service,
    /// Where people read their lists, whatever happens to the workers of the stream: it consumes a topic of its own,
    /// on which nothing ever comes.
    pub inbox: Service,
    pub rows: Rows,
}

impl<'a> Stage<'a> {
    /// # Errors
    /// If there is no way into the database.
    pub async fn set(postgres: &'a Postgres, kafka: &'a Kafka, scale: Scale) -> anyhow::Result<Self> {
        let (database, topic, silent, pubsub, issuer) = tokio::join!(
            postgres.database_with("core", async |url| launch::migrate(&url).await),
            kafka.topic("stream", scale.partitions),
            kafka.topic("silent", 1),
            PubSub::launch(),
            Issuer::launch(),
        );
        let edge = launch::edge(&pubsub, &issuer).spawn();
        let inbox = launch::worker(database.url(), &kafka.brokers(), &silent, &pubsub, &issuer);
        let inbox = inbox.env("SIGNAL_KAFKA_GROUP", &silent).spawn();
        edge.wait_ready(scale.within).await;
        inbox.wait_ready(scale.within).await;
        let rows = Rows::of(database.url())?;
        Ok(Self { scale, postgres, kafka, database, topic, pubsub, issuer, edge, inbox, rows })
    }

    /// A worker of the stream's group, to be spawned.
    pub fn worker(&self) -> Launch {
        self.member(QUICK_GROUP)
    }

    /// A worker whose place in the group has a name: whoever comes under it is who was there before.
    pub fn worker_of_place(&self, place: &str) -> Launch {
        self.member(&format!("{QUICK_GROUP},group.instance.id={place}"))
    }

    fn member(&self, properties: &str) -> Launch {
        launch::worker(self.database.url(), &self.kafka.brokers(), &self.topic, &self.pubsub, &self.issuer)
            .env("SIGNAL_KAFKA_GROUP", &self.topic)
            .env("SIGNAL_KAFKA_PROPERTIES", properties)
            .env("SIGNAL_BATCH_SIZE", self.scale.batch.to_string())
    }
}
