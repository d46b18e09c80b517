//! A whole platform for one scenario: its own database, topic, backplane, issuer, edge and worker.

use std::time::Duration;

use serde_json::{Value, json};
use signal_harness::{Database, Issuer, Kafka, Kcat, Launch, Postgres, PubSub, Record, Service, scratch_dir};
use signal_tests::sister::Sister;
pub use signal_tests::{
    launch::{edge, migrate, worker},
    payment::payment,
};

use crate::window::Window;

/// For what a healthy platform does: generous, as two cores run many scenarios at once.
pub const SOON: Duration = Duration::from_secs(30);

pub struct Platform {
    pub postgres: &'static Postgres,
    pub database: Database,
    pub kafka: &'static Kafka,
    pub topic: String,
    pub backplane: Backplane,
    pub worker: Service,
}

/// The half that needs neither Kafka nor Postgres: an edge with a backplane and an issuer.
pub struct Backplane {
    pub pubsub: PubSub,
    pub issuer: Issuer,
    pub edge: Service,
}

impl Backplane {
    pub async fn up() -> Backplane {
        Backplane::with(|edge| edge).await
    }

    pub async fn with(configure: impl FnOnce(Launch) -> Launch) -> Backplane {
        let (pubsub, issuer) = tokio::join!(PubSub::launch(), Issuer::launch());
        let edge = configure(edge(&pubsub, &issuer)).spawn();
        edge.wait_ready(SOON).await;
        Backplane { pubsub, issuer, edge }
    }

    /// A person's open window: an authenticated client.
    pub async fn window(&self, user: &str) -> Window {
        Window::open(self.edge.http_addr(), &self.issuer.token(user)).await
    }

    /// Publishes like a sister service, which has a client for the backplane and nothing of Signal's.
    pub async fn publish(&self, channel: &str, payload: &[u8]) {
        publish(&self.pubsub, &[(channel.to_owned(), payload.to_vec())]).await;
    }
}

pub async fn publish(pubsub: &PubSub, messages: &[(String, Vec<u8>)]) {
    let sister = Sister::connect(&pubsub.url()).await.unwrap();
    sister.publish_all(messages.iter().cloned()).await.unwrap();
}

/// The URL of a database in which nobody holds anything; a role that passes every check still does.
pub fn policies() -> String {
    format!("sqlite://{}", scratch_dir("policies").join("policies.db").display())
}

/// Where the worker keeps what it can't handle of a topic.
pub fn dead_letters_of(topic: &str) -> String {
    format!("{topic}.DLQ")
}

/// Makes people members: a group row each, in the domain of an organizer or a merchant.
pub async fn enrol(postgres: &Postgres, database: &Database, domain: &str, users: &[&str]) {
    for user in users {
        let insert = format!(
            r#"insert into "PolicyDefinition"
               (id, variant, subject_type, subject_id, target_type, target_id, domain)
               values ('{domain}/{user}', 'group', 'User', '{user}', 'Role', 'cashier', '{domain}')"#
        );
        postgres.sql(database.name(), &insert).await;
    }
}

impl Platform {
    pub async fn up() -> Platform {
        Platform::on(Backplane::up().await, |worker| worker).await
    }

    /// With a backplane, and a worker, of one's own making.
    pub async fn on(backplane: Backplane, configure: impl FnOnce(Launch) -> Launch) -> Platform {
        let (postgres, kafka) = tokio::join!(Postgres::shared(), Kafka::shared());
        let (database, topic) = tokio::join!(
            postgres.database_with("core", async |url| migrate(&url).await),
            kafka.topic("SIGNAL_ACTIVITY_NOTIFICATION", 1),
        );
        kafka.create_topic(&dead_letters_of(&topic), 2).await;
        let Backplane { pubsub, issuer, .. } = &backplane;
        let worker = worker(database.url(), &kafka.brokers(), &topic, pubsub, issuer).env("SIGNAL_KAFKA_GROUP", &topic);
        let worker = configure(worker).spawn();
        worker.wait_ready(SOON).await;
        Platform { postgres, database, kafka, topic, backplane, worker }
    }

    pub async fn window(&self, user: &str) -> Window {
        self.backplane.window(user).await
    }

    pub async fn merchant(&self, merchant: &str, users: &[&str]) {
        enrol(self.postgres, &self.database, &format!("Merchant_{merchant}"), users).await;
    }

    pub async fn organizer(&self, organizer: &str, users: &[&str]) {
        enrol(self.postgres, &self.database, &format!("Organizer_{organizer}"), users).await;
    }

    /// Produces by kcat, keyed as a producer would.
    pub async fn produce(&self, value: &Value) {
        self.produce_record(&Record::new(value.to_string()).key("mer-1")).await;
    }

    pub async fn produce_record(&self, record: &Record) {
        Kcat::produce(&self.kafka.brokers(), &self.topic, record).await;
    }

    /// Produces one more event, to exactly these people, and waits until each of their windows
    /// has it. Kafka, worker, backplane and edge keep the order of a partition, so whatever an
    /// earlier record sent to a window is there by then, and what is not will never come.
    pub async fn fence(&self, id: &str, windows: &[&Window]) {
        let users: Vec<&str> = windows.iter().map(|window| window.user()).collect();
        self.produce(&payment(id, &json!({ "userIds": users }))).await;
        for window in windows {
            window.wait_for_notification(id).await;
        }
    }

    /// The recipients of an event, from Postgres, one for each row.
    pub async fn recipients(&self, event_id: &str) -> Vec<String> {
        let query =
            format!(r#"select recipient_id from "ActivityNotification" where event_id = '{event_id}' order by 1"#);
        let rows = self.postgres.sql(self.database.name(), &query).await;
        rows.lines().map(str::to_owned).collect()
    }

    pub async fn rows(&self) -> u64 {
        let count = r#"select count(*) from "ActivityNotification""#;
        self.postgres.sql(self.database.name(), count).await.parse().unwrap()
    }
}
