//! What a process needs may be away when it starts: it says so, and goes on when it is there.

use serde_json::{Value, json};
use signal_harness::{Issuer, Kafka, Kcat, Postgres, PubSub, Record, Service, eventually, require};

use crate::{
    platform::{Backplane, SOON, edge, enrol, migrate, payment, publish, worker},
    window::Window,
};

/// Live, not ready, and the component named in both the health answer and the log.
async fn says_that_it_lacks(service: &Service, component: &str) {
    let reason = service
        .wait_until(SOON, || async {
            let ready = service.health("ready").await.map_err(|error| error.to_string())?;
            let body: Value = serde_json::from_str(&ready.body).map_err(|error| error.to_string())?;
            let status = &body["components"][component];
            let said = status["reason"].as_str().filter(|reason| *reason != "starting");
            match (ready.status, status["up"].as_bool(), said) {
                (503, Some(false), Some(reason)) => Ok(reason.to_owned()),
                _ => Err(format!("{} {}", ready.status, ready.body)),
            }
        })
        .await;
    assert!(!reason.is_empty());
    assert_eq!(service.health("live").await.unwrap().status, 200);
    eventually(SOON, || async {
        let output = service.output();
        let named = output.lines().any(|line| line.contains("component is down") && line.contains(component));
        if named { Ok(()) } else { Err(output) }
    })
    .await;
}

async fn pushes_arrive(pubsub: &PubSub, window: &Window) {
    let envelope = json!({ "serverId": "emitter", "type": "user", "target": window.user(), "event": "hello" });
    publish(pubsub, &[(format!("ws:user:{}", window.user()), envelope.to_string().into_bytes())]).await;
    window.wait_for("hello", 1).await;
}

#[tokio::test]
async fn an_edge_that_started_without_a_backplane_recovers_by_itself() {
    require!(PubSub);
    let (pubsub, issuer) = (PubSub::reserved(), Issuer::launch().await);
    let edge = edge(&pubsub, &issuer).spawn();
    says_that_it_lacks(&edge, "backplane").await;

    pubsub.start().await;
    edge.wait_ready(SOON).await;
    let window = Window::open(edge.http_addr(), &issuer.token("an")).await;
    pushes_arrive(&pubsub, &window).await;
}

#[tokio::test]
async fn an_edge_that_started_without_the_key_set_recovers_by_itself() {
    require!(PubSub);
    let (pubsub, issuer) = (PubSub::launch().await, Issuer::reserved());
    let edge = edge(&pubsub, &issuer).spawn();
    says_that_it_lacks(&edge, "issuer").await;

    issuer.start().await;
    edge.wait_ready(SOON).await;
    let window = Window::open(edge.http_addr(), &issuer.token("an")).await;
    pushes_arrive(&pubsub, &window).await;
}

#[tokio::test]
async fn a_worker_that_started_without_kafka_recovers_by_itself() {
    require!(Postgres, PubSub, Kafka, Kcat);
    let (pubsub, issuer) = tokio::join!(PubSub::launch(), Issuer::launch());
    let postgres = Postgres::shared().await;
    let database = postgres.database_with("core", async |url| migrate(&url).await).await;
    let kafka = Kafka::reserved();
    let worker = worker(database.url(), &kafka.brokers(), "events", &pubsub, &issuer).spawn();
    says_that_it_lacks(&worker, "kafka").await;
    // People read their lists meanwhile.
    worker
        .wait_until(SOON, || async {
            let serving = worker.health("serving").await.map_err(|error| error.to_string())?;
            if serving.status == 200 { Ok(()) } else { Err(serving.body) }
        })
        .await;

    kafka.start().await;
    kafka.create_topic("events", 1).await;
    worker.wait_ready(SOON).await;
    let record = Record::new(payment("evt_1", &json!({ "userIds": ["an"] })).to_string());
    Kcat::produce(&kafka.brokers(), "events", &record).await;
    row_appears(postgres, database.name()).await;
}

#[tokio::test]
async fn a_worker_that_started_without_postgres_recovers_by_itself() {
    require!(Postgres, PubSub, Kafka, Kcat);
    let (pubsub, issuer) = tokio::join!(PubSub::launch(), Issuer::launch());
    let (postgres, kafka) = tokio::join!(Postgres::launch(), Kafka::shared());
    let database = postgres.database_with("core", async |url| migrate(&url).await).await;
    postgres.stop().await;
    let topic = kafka.topic("without-postgres", 1).await;
    let worker =
        worker(database.url(), &kafka.brokers(), &topic, &pubsub, &issuer).env("SIGNAL_KAFKA_GROUP", &topic).spawn();
    says_that_it_lacks(&worker, "database").await;
    assert_eq!(worker.health("serving").await.unwrap().status, 503, "there is no list without it");

    // What arrives meanwhile is not lost.
    let record = Record::new(payment("evt_1", &json!({ "userIds": ["an"] })).to_string());
    Kcat::produce(&kafka.brokers(), &topic, &record).await;
    postgres.start().await;
    worker.wait_ready(SOON).await;
    row_appears(&postgres, database.name()).await;
}

#[tokio::test]
async fn a_backplane_that_was_away_costs_nobody_the_connection() {
    require!(PubSub);
    let backplane = Backplane::up().await;
    let windows = [backplane.window("an").await, backplane.window("binh").await];

    backplane.pubsub.restart().await;
    for window in &windows {
        // Pushes may have been missed, and each client is told so.
        window.wait_for("resync", 1).await;
    }
    backplane.edge.wait_ready(SOON).await;
    for window in &windows {
        pushes_arrive(&backplane.pubsub, window).await;
    }
}

#[tokio::test]
async fn a_worker_that_is_killed_again_and_again_loses_and_doubles_nothing() {
    const EVENTS: usize = 600;
    require!(Postgres, PubSub, Kafka, Kcat);
    let (pubsub, issuer) = tokio::join!(PubSub::launch(), Issuer::launch());
    let (postgres, kafka) = tokio::join!(Postgres::shared(), Kafka::shared());
    let database = postgres.database_with("core", async |url| migrate(&url).await).await;
    let topic = kafka.topic("killed", 3).await;
    enrol(postgres, &database, "Merchant_mer-1", &["an", "binh"]).await;
    let records: Vec<Value> =
        (0..EVENTS).map(|number| payment(&format!("evt_{number}"), &json!({ "merchantId": "mer-1" }))).collect();
    let records: Vec<String> = records.iter().map(Value::to_string).collect();
    Kcat::produce_lines(&kafka.brokers(), &topic, &records).await;

    let count = async |what: &str| -> usize {
        let query = format!(r#"select count({what}) from "ActivityNotification""#);
        postgres.sql(database.name(), &query).await.parse().unwrap()
    };
    // Small batches, so that each kill falls between the first and the last of them.
    let launch = || {
        worker(database.url(), &kafka.brokers(), &topic, &pubsub, &issuer)
            .env("SIGNAL_KAFKA_GROUP", &topic)
            .env("SIGNAL_BATCH_SIZE", "10")
            // A killed member holds its partitions until its session has timed out.
            .env("SIGNAL_KAFKA_PROPERTIES", "session.timeout.ms=6000,heartbeat.interval.ms=500")
    };
    for _ in 0..2 {
        let before = count("*").await;
        let worker = launch().spawn();
        eventually(2 * SOON, || async {
            let rows = count("*").await;
            if rows > before { Ok(()) } else { Err(format!("{rows} rows\n{}", worker.output())) }
        })
        .await;
        worker.kill();
    }
    let worker = launch().spawn();
    eventually(2 * SOON, || async {
        let rows = count("*").await;
        if rows >= 2 * EVENTS { Ok(()) } else { Err(format!("{rows} rows\n{}", worker.output())) }
    })
    .await;
    assert_eq!(count("*").await, 2 * EVENTS);
    assert_eq!(count("distinct event_id || '/' || recipient_id").await, 2 * EVENTS);
}

async fn row_appears(postgres: &Postgres, database: &str) {
    eventually(SOON, || async {
        let rows = postgres.sql(database, r#"select event_id, recipient_id from "ActivityNotification""#).await;
        if rows == "evt_1|an" { Ok(()) } else { Err(rows) }
    })
    .await;
}
