//! Kafka that asks who one is, and records as producers compress them.

use serde_json::{Value, json};
use signal_harness::{
    Certificates, Issuer, Kafka, KafkaTls, Kcat, Launch, Postgres, PubSub, Record, Service, eventually, require,
};

use crate::platform::{SOON, dead_letters_of, migrate, payment, worker};

const USER: &str = "proving";
const PASSWORD: &str = "hunter2";
const NEXT_PASSWORD: &str = "correct-horse";

/// What `SIGNAL_KAFKA_PROPERTIES` has where brokers want TLS and a password.
pub fn scram(authority: &Certificates, user: &str, password: &str) -> String {
    format!(
        "security.protocol=sasl_ssl,ssl.ca.location={},sasl.mechanism=SCRAM-SHA-512,sasl.username={user},\
         sasl.password={password}",
        authority.ca_file().display()
    )
}

/// Why a worker that lives does not do without Kafka.
async fn reason(worker: &Service, about: &str) -> String {
    worker
        .wait_until(SOON, || async {
            let ready = worker.health("ready").await.map_err(|error| error.to_string())?;
            let body: Value = serde_json::from_str(&ready.body).map_err(|error| error.to_string())?;
            let said = body["components"]["kafka"]["reason"].as_str().unwrap_or_default();
            if said.contains(about) { Ok(said.to_owned()) } else { Err(ready.body) }
        })
        .await
}

#[tokio::test]
async fn a_worker_proves_who_it_is_and_says_what_is_wrong_when_it_cannot() {
    require!(KafkaTls, Postgres, PubSub, Kcat);
    let (kafka, postgres) = tokio::join!(Kafka::secured(), Postgres::shared());
    let (pubsub, issuer) = tokio::join!(PubSub::launch(), Issuer::launch());
    let database = postgres.database_with("core", async |url| migrate(&url).await).await;
    let topic = kafka.topic("proving", 1).await;
    kafka.create_topic(&dead_letters_of(&topic), 1).await;
    kafka.set_user(USER, PASSWORD).await;
    let launch = |authority: &Certificates, password: &str| -> Launch {
        worker(database.url(), &kafka.secured_brokers(), &topic, &pubsub, &issuer)
            .env("SIGNAL_KAFKA_GROUP", &topic)
            .env("SIGNAL_KAFKA_PROPERTIES", scram(authority, USER, password))
    };
    let produce = async |id: &str, value: &str| {
        Kcat::produce(&kafka.brokers(), &topic, &Record::new(value)).await;
        let good = payment(id, &json!({ "userIds": ["an"] }));
        Kcat::produce(&kafka.brokers(), &topic, &Record::new(good.to_string())).await;
    };
    let rows = async |expected: &str| {
        eventually(SOON, || async {
            let rows = postgres.sql(database.name(), r#"select event_id from "ActivityNotification" order by 1"#).await;
            if rows == expected { Ok(()) } else { Err(rows) }
        })
        .await;
    };

    let first = launch(kafka.certificates(), PASSWORD).spawn();
    first.wait_ready(SOON).await;
    produce("evt_1", "no JSON").await;
    rows("evt_1").await;
    let letters = Kcat::consume(&kafka.brokers(), &dead_letters_of(&topic)).await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0].value.as_deref(), Some(&b"no JSON"[..]));

    // Whoever has signed the broker's certificate, it is not this authority.
    let stranger = launch(&Certificates::make(), PASSWORD).spawn();
    let said = reason(&stranger, "certificate verify failed").await;
    assert!(!said.contains(PASSWORD), "{said}");

    let wrong = launch(kafka.certificates(), NEXT_PASSWORD).spawn();
    let said = reason(&wrong, "invalid credentials").await;
    assert!(said.contains("SCRAM-SHA-512"), "{said}");
    // The first one's connections stand, the second one's password becomes right.
    kafka.set_user(USER, NEXT_PASSWORD).await;
    wrong.wait_ready(SOON).await;
    produce("evt_2", "no JSON either").await;
    rows("evt_1\nevt_2").await;

    for worker in [&first, &stranger, &wrong] {
        let output = worker.output();
        assert_eq!(worker.exited(), None, "{output}");
        for password in [PASSWORD, NEXT_PASSWORD] {
            assert!(!output.contains(password), "{output}");
        }
    }
    for worker in [&stranger, &wrong] {
        assert_eq!(worker.output().matches("component is down").count(), 1, "said once:\n{}", worker.output());
    }
}

#[tokio::test]
async fn records_are_read_however_they_are_compressed() {
    const RECORDS: usize = 40;
    require!(Kafka, Postgres, PubSub, Kcat);
    let (pubsub, issuer) = tokio::join!(PubSub::launch(), Issuer::launch());
    let (postgres, kafka) = tokio::join!(Postgres::shared(), Kafka::shared());
    let database = postgres.database_with("core", async |url| migrate(&url).await).await;
    let topic = kafka.topic("compressed", 1).await;
    let _worker =
        worker(database.url(), &kafka.brokers(), &topic, &pubsub, &issuer).env("SIGNAL_KAFKA_GROUP", &topic).spawn();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let event = |number| payment(&format!("{codec}_{number}"), &json!({ "userIds": ["an"] })).to_string();
        let events: Vec<String> = (0..RECORDS).map(event).collect();
        Kcat::produce_compressed(&kafka.brokers(), &topic, codec, &events).await;
        let query = format!(r#"select count(*) from "ActivityNotification" where event_id like '{codec}\_%'"#);
        eventually(SOON, || async {
            let rows = postgres.sql(database.name(), &query).await;
            if rows == RECORDS.to_string() { Ok(()) } else { Err(format!("{codec}: {rows} rows")) }
        })
        .await;
    }
}
