//! The binary: what it says, and how it starts where things are missing.

use std::time::Duration;

use serde_json::Value;
use signal_harness::{Issuer, Kafka, Postgres, Redis, Response, Service, Signal, free_port, require};

use crate::kafka::{SOON, TOPIC};

fn sqlite(dir: &tempfile::TempDir) -> String {
    format!("sqlite://{}/signal.db", dir.path().display())
}

#[tokio::test]
async fn says_what_is_missing_and_what_is_wrong() {
    let nothing = Service::worker().arg("check-config").run(SOON).await;
    let missing =
        "not set: SIGNAL_KAFKA_BROKERS, SIGNAL_DATABASE_URL, SIGNAL_REDIS_URL or SIGNAL_NATS_URL, SIGNAL_JWKS_URL";
    assert!(!nothing.status.success() && nothing.output.contains(missing), "{}", nothing.output);
    let started = Service::worker().env("SIGNAL_DATABASE_URL", "sqlite://x.db").run(SOON).await;
    let missing = "not set: SIGNAL_KAFKA_BROKERS, SIGNAL_REDIS_URL or SIGNAL_NATS_URL, SIGNAL_JWKS_URL";
    assert!(!started.status.success() && started.output.contains(missing), "{}", started.output);

    let all = || {
        Service::worker()
            .env("SIGNAL_REDIS_URL", "redis://127.0.0.1:1")
            .env("SIGNAL_KAFKA_BROKERS", "127.0.0.1:1")
            .env("SIGNAL_DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/x")
            .env("SIGNAL_JWKS_URL", "http://127.0.0.1:1/jwks")
            .arg("check-config")
    };
    let output = all().run(SOON).await.expect_success();
    assert!(output.contains("can be used"), "{output}");
    for (name, value, said) in [
        ("SIGNAL_NATS_URL", "nats://hunter2@127.0.0.1:1", "SIGNAL_REDIS_URL and SIGNAL_NATS_URL are both set"),
        ("SIGNAL_KAFKA_TOPICS", "x", "SIGNAL_KAFKA_TOPIC"),
        ("SIGNAL_KAFKA_PROPERTIES", "sasl.passwort=hunter2", "sasl.passwort"),
        ("SIGNAL_KAFKA_PROPERTIES", "enable.auto.commit=true", "enable.auto.commit"),
        ("SIGNAL_KAFKA_PROPERTIES", "max.in.flight.requests.per.connection=9", "enable.idempotence"),
        ("SIGNAL_KAFKA_DEAD_LETTER_TOPIC", "SIGNAL_ACTIVITY_NOTIFICATION", "SIGNAL_KAFKA_DEAD_LETTER_TOPIC"),
        ("SIGNAL_DATABASE_URL", "mysql://u:hunter2@db/x", "SIGNAL_DATABASE_URL"),
        ("SIGNAL_JWKS_URL", "hunter2", "SIGNAL_JWKS_URL"),
        ("SIGNAL_APPLICATION_SECRET_PREVIOUS", "hunter2", "and SIGNAL_APPLICATION_SECRET is not"),
        ("SIGNAL_JWKS_LIFETIME", "1s", "SIGNAL_JWKS_LIFETIME"),
        ("SIGNAL_ALLOWED_ORIGINS", "example.com", "SIGNAL_ALLOWED_ORIGINS"),
    ] {
        let finished = all().env(name, value).run(SOON).await;
        assert!(!finished.status.success() && finished.output.contains(said), "{name}: {}", finished.output);
        assert!(!finished.output.contains("hunter2"), "{}", finished.output);
    }
}

#[tokio::test]
async fn migrates_on_request_only_what_is_requested() {
    let dir = tempfile::tempdir().unwrap();
    let migrate = || Service::worker().env("SIGNAL_DATABASE_URL", sqlite(&dir)).arg("migrate");
    let unset = Service::worker().arg("migrate").run(SOON).await;
    assert!(!unset.status.success() && unset.output.contains("SIGNAL_DATABASE_URL is not set"), "{}", unset.output);
    let both = migrate().arg("--check").arg("--with-core-schema").run(SOON).await;
    assert!(!both.status.success() && both.output.contains("cannot be used with"), "{}", both.output);
    let checked = migrate().arg("--check").run(SOON).await;
    assert_eq!(checked.status.code(), Some(1), "{}", checked.output);

    let refused = migrate().run(SOON).await;
    assert_eq!(refused.status.code(), Some(1), "{}", refused.output);
    let says = [
        "error: the database does not fit, and nothing was changed:\n",
        "  \"ActivityNotification\": there is no such table\n",
        "  \"Role\": there is no such table\n",
        "--with-core-schema",
    ];
    for line in says {
        assert!(refused.output.contains(line), "{line}: {}", refused.output);
    }
    migrate().arg("--with-core-schema").run(SOON).await.expect_success();
    migrate().run(SOON).await.expect_success();
    let output = migrate().arg("--check").run(SOON).await.expect_success();
    assert!(output.contains("the database fits\n"), "{output}");
}

#[tokio::test]
async fn two_migrations_at_once_bring_one_of_each() {
    require!(Postgres);
    let postgres = Postgres::shared().await;
    let database = postgres.database("").await;
    let migrate = || Service::worker().env("SIGNAL_DATABASE_URL", database.url()).arg("migrate");
    let with_core = || migrate().arg("--with-core-schema").run(SOON);
    let (one, other, third) = tokio::join!(with_core(), with_core(), with_core());
    for finished in [one, other, third] {
        finished.expect_success();
    }
    assert_eq!(postgres.sql(database.name(), r#"select count(*) from "Permission""#).await, "6");

    postgres
        .sql(database.name(), r#"drop index "ActivityNotification_inbox_idx", "ActivityNotification_unread_idx""#)
        .await;
    let output = migrate().arg("--check").run(SOON).await.expect_success();
    for line in ["no index that begins with (recipient_id, created_at)", "the database fits\n"] {
        assert!(output.contains(line), "{output}");
    }
    postgres
        .sql(database.name(), r#"alter table "ActivityNotification" alter metadata type text, drop column read_at"#)
        .await;
    for arguments in [&["--check"][..], &[], &["--with-core-schema"]] {
        let refused = arguments.iter().fold(migrate(), |launch, argument| launch.arg(argument)).run(SOON).await;
        assert_eq!(refused.status.code(), Some(1), "{}", refused.output);
        for line in [
            "  \"ActivityNotification\".metadata is text: it has to be jsonb or json\n",
            "  \"ActivityNotification\".read_at is missing: it has to be timestamptz",
        ] {
            assert!(refused.output.contains(line), "{arguments:?}: {}", refused.output);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_worker_says_what_does_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    let nobody = || format!("127.0.0.1:{}", free_port());
    let worker = Service::worker()
        .env("SIGNAL_REDIS_URL", format!("redis://{}", nobody()))
        .env("SIGNAL_KAFKA_BROKERS", nobody())
        .env("SIGNAL_DATABASE_URL", sqlite(&dir))
        .env("SIGNAL_JWKS_URL", format!("http://{}/jwks", nobody()))
        .spawn();
    let database = |up: bool, what: &'static str| {
        let worker = &worker;
        move || async move {
            let ready = worker.health("ready").await.map_err(|error| error.to_string())?;
            let body: Value = serde_json::from_str(&ready.body).map_err(|error| error.to_string())?;
            let component = &body["components"]["database"];
            let says = component["reason"].as_str().unwrap_or_default().contains(what);
            if component["up"] == up && says { Ok(()) } else { Err(ready.body) }
        }
    };
    let missing = "the database does not fit: \"ActivityNotification\": there is no such table";
    worker.wait_until(SOON, database(false, missing)).await;
    let migrate = Service::worker().env("SIGNAL_DATABASE_URL", sqlite(&dir)).arg("migrate");
    migrate.arg("--with-core-schema").run(SOON).await.expect_success();
    worker.wait_until(SOON, database(true, "")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_anything_it_lives_says_so_and_stops_in_time() {
    let nobody = || format!("127.0.0.1:{}", free_port());
    let worker = Service::worker()
        .env("SIGNAL_REDIS_URL", format!("redis://{}", nobody()))
        .env("SIGNAL_KAFKA_BROKERS", nobody())
        .env("SIGNAL_DATABASE_URL", format!("postgres://nobody@{}/none", nobody()))
        .env("SIGNAL_JWKS_URL", format!("http://{}/jwks", nobody()))
        .spawn();
    let named = || async {
        let ready = worker.health("ready").await.map_err(|error| error.to_string())?;
        let body: Value = serde_json::from_str(&ready.body).map_err(|error| error.to_string())?;
        let down = |name: &str| {
            let component = &body["components"][name];
            component["up"] == false && component["reason"] != "starting"
        };
        let all = ["kafka", "database", "backplane", "issuer"].into_iter().all(down);
        if ready.status == 503 && all { Ok(()) } else { Err(ready.body) }
    };
    worker.wait_until(SOON, named).await;
    assert_eq!(worker.health("live").await.unwrap().status, 200);
    worker.signal(Signal::Term);
    assert!(worker.wait_exit(Duration::from_secs(20)).await.success(), "{}", worker.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn recovers_when_everything_comes() {
    require!(Kafka, Postgres, Redis);
    let (kafka, postgres, redis) = (Kafka::reserved(), Postgres::reserved(), Redis::reserved());
    let issuer = Issuer::reserved();
    let url = postgres.url("postgres");
    let worker = Service::worker()
        .env("SIGNAL_REDIS_URL", redis.url())
        .env("SIGNAL_KAFKA_BROKERS", kafka.brokers())
        .env("SIGNAL_DATABASE_URL", &url)
        .env("SIGNAL_JWKS_URL", issuer.jwks_url())
        .spawn();
    let live = || async {
        let answer = worker.health("ready").await.map_err(|error| error.to_string())?;
        if answer.status == 503 { Ok(()) } else { Err(answer.body) }
    };
    worker.wait_until(SOON, live).await;
    tokio::join!(kafka.start(), postgres.start(), redis.start(), issuer.start());
    Service::worker()
        .env("SIGNAL_DATABASE_URL", &url)
        .arg("migrate")
        .arg("--with-core-schema")
        .run(SOON)
        .await
        .expect_success();
    kafka.create_topic(TOPIC, 1).await;
    worker.wait_ready(SOON).await;
    worker.signal(Signal::Term);
    assert!(worker.wait_exit(SOON).await.success(), "{}", worker.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn serves_the_api_under_its_base_path_whatever_else_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let migrate = Service::worker().env("SIGNAL_DATABASE_URL", sqlite(&dir)).arg("migrate").arg("--with-core-schema");
    migrate.run(SOON).await.expect_success();
    let issuer = Issuer::launch().await;
    let worker = Service::worker()
        .env("SIGNAL_REDIS_URL", format!("redis://127.0.0.1:{}", free_port()))
        .env("SIGNAL_KAFKA_BROKERS", format!("127.0.0.1:{}", free_port()))
        .env("SIGNAL_DATABASE_URL", sqlite(&dir))
        .env("SIGNAL_JWKS_URL", issuer.jwks_url())
        .env("SIGNAL_BASE_PATH", "/signal")
        .spawn();
    let asked =
        async |path: &str| -> Result<Response, String> { worker.get(path).await.map_err(|error| error.to_string()) };
    let status = async |path: &str, status: u16| {
        let answer = asked(path).await?;
        if answer.status == status { Ok(answer.body) } else { Err(format!("{} {}", answer.status, answer.body)) }
    };
    worker.wait_until(SOON, || status("/signal/notifications", 401)).await;
    let document = worker.wait_until(SOON, || status("/signal/doc/openapi.json", 200)).await;
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["servers"][0]["url"], "/signal");
    assert!(document["paths"]["/notifications/read-all"]["patch"].is_object());
    status("/signal/doc", 200).await.unwrap();
    for path in ["/notifications", "/v1/api/signal/notifications", "/signal/socket/websocket/clients"] {
        let body = status(path, 404).await.unwrap();
        assert!(body.contains(r#""statusCode":404"#), "{body}");
    }
    worker.signal(Signal::Term);
    assert!(worker.wait_exit(SOON).await.success(), "{}", worker.output());
}
