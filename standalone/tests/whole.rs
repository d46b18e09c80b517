//! The whole service in this process: from the button to the window.

#![allow(clippy::unwrap_used)]

use std::{path::Path, time::Duration};

use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};
use serde_json::{Value, json};
use signal_client::{Client, Event, Events, Message};
use signal_service::{
    settings::{Source, parse},
    shutdown::{Drain, Shutdown},
};
use signal_standalone::{
    app::{self, Running, StartError},
    config::Settings,
};
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

const DEADLINE: Duration = Duration::from_secs(30);

fn settings(dir: &Path, variables: &[(&str, &str)]) -> Settings {
    let source: Source = [("SIGNAL_HTTP_ADDR", "127.0.0.1:0"), ("SIGNAL_ADMIN_ADDR", "127.0.0.1:0")]
        .iter()
        .chain(variables)
        .copied()
        .collect();
    parse(["signal"], &source.with("SIGNAL_DATA_DIR", dir.to_str().unwrap())).unwrap()
}

fn shutdown() -> Shutdown {
    Shutdown::new(DEADLINE)
}

async fn start(dir: &Path) -> Running {
    let running = app::start(settings(dir, &[]), shutdown(), |_, _| {}).await.unwrap();
    tokio::time::timeout(DEADLINE, running.health.wait_until_ready()).await.expect("everything is up in time");
    running
}

async fn stop(running: Running) {
    running.shutdown.trigger();
    assert_eq!(running.finish().await, Drain::Finished);
}

async fn post(running: &Running, path: &str, body: Value) -> (u16, Value) {
    let url = format!("{}{path}", running.page());
    let response = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn sign_in(running: &Running, user: &str) -> String {
    let (status, body) = post(running, "demo/sign-in", json!({ "userId": user })).await;
    assert_eq!(status, 200, "{body}");
    body["token"].as_str().unwrap().to_owned()
}

async fn pay(running: &Running, merchant: &str, order: &str) -> String {
    let body = json!({ "merchantId": merchant, "amount": "125000", "currency": "VND", "orderCode": order });
    let (status, body) = post(running, "demo/payments", body).await;
    assert_eq!(status, 202, "{body}");
    body["eventId"].as_str().unwrap().to_owned()
}

/// Asks the notification API for what is the bearer's.
async fn notifications(running: &Running, token: &str, method: reqwest::Method, path: &str) -> Value {
    let url = format!("{}v1/api/signal/notifications{path}", running.page());
    let response = reqwest::Client::new().request(method, url).bearer_auth(token).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    response.json().await.unwrap()
}

/// A window that is open: connected, its key agreed.
struct Window {
    events: Events,
    _client: Client,
}

impl Window {
    async fn open(running: &Running, token: String) -> Self {
        let url = format!("ws://{}/stream", running.http_addr);
        let token = move || {
            let token = token.clone();
            async move { Ok::<_, std::io::Error>(token) }
        };
        let (client, events) = Client::builder(&url).token(token).connect().unwrap();
        let mut window = Self { events, _client: client };
        while !matches!(window.next().await, Event::Connected(_)) {}
        window
    }

    async fn next(&mut self) -> Event {
        tokio::time::timeout(DEADLINE, self.events.next()).await.expect("an event in time").expect("the client lives")
    }

    async fn message(&mut self) -> Message {
        loop {
            if let Event::Message(message) = self.next().await {
                return message;
            }
        }
    }

    /// The event id and the text of the next notification, whatever else comes before it.
    async fn notification(&mut self) -> (String, String) {
        loop {
            if let Event::Message(message) = self.next().await
                && let Some(notification) = message.notification()
            {
                let notification = notification.unwrap();
                return (notification.event_id, notification.content);
            }
        }
    }
}

async fn rows(dir: &Path) -> i64 {
    let options = SqliteConnectOptions::new().filename(dir.join("signal.db"));
    let mut connection = options.connect().await.unwrap();
    let query = sqlx::query_scalar(r#"SELECT count(*) FROM "ActivityNotification""#);
    let count = query.fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_lights_up_the_right_windows() {
    let scratch = tempfile::tempdir().unwrap();
    let running = start(scratch.path()).await;
    let mut lan = Window::open(&running, sign_in(&running, "user-lan").await).await;
    let mut minh = Window::open(&running, sign_in(&running, "user-minh").await).await;
    let mut thao = Window::open(&running, sign_in(&running, "user-thao").await).await;

    let coffee = pay(&running, "mer-cafe-79", "A-1").await;
    for window in [&mut lan, &mut minh] {
        let (event_id, content) = window.notification().await;
        assert_eq!(event_id, coffee);
        assert_eq!(content, "125.000 ₫ from order A-1 at Cà Phê 79");
    }
    // Had the first payment reached her, it would be what she sees first.
    let bread = pay(&running, "mer-banh-mi-sen", "B-1").await;
    assert_eq!(thao.notification().await.0, bread);
    assert_eq!(lan.notification().await.0, bread);
    assert_eq!(rows(scratch.path()).await, 4);
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_the_rows_and_the_key() {
    let scratch = tempfile::tempdir().unwrap();
    let running = start(scratch.path()).await;
    let token = sign_in(&running, "user-minh").await;
    let mut window = Window::open(&running, token.clone()).await;
    let first = pay(&running, "mer-cafe-79", "A-1").await;
    assert_eq!(window.notification().await.0, first);
    stop(running).await;

    let running = start(scratch.path()).await;
    assert_eq!(rows(scratch.path()).await, 2);
    assert_eq!(notifications(&running, &token, reqwest::Method::GET, "").await["data"][0]["eventId"], first);
    let mut window = Window::open(&running, token).await;
    let second = pay(&running, "mer-cafe-79", "A-2").await;
    assert_eq!(window.notification().await.0, second);
    assert_eq!(rows(scratch.path()).await, 4);
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_in_one_window_is_told_to_the_persons_others() {
    let scratch = tempfile::tempdir().unwrap();
    let running = start(scratch.path()).await;
    let token = sign_in(&running, "user-minh").await;
    let mut windows = [Window::open(&running, token.clone()).await, Window::open(&running, token.clone()).await];
    let paid = pay(&running, "mer-cafe-79", "A-1").await;
    let patched = async |path: &str| notifications(&running, &token, reqwest::Method::PATCH, path).await;
    for window in &mut windows {
        assert_eq!(window.notification().await.0, paid);
    }
    let listed = notifications(&running, &token, reqwest::Method::GET, "?unread=true").await;
    let id = listed["data"][0]["id"].as_str().unwrap();
    let row = patched(&format!("/{id}/read")).await;
    assert_eq!(row["eventId"], paid);
    for window in &mut windows {
        let read = window.message().await.read().unwrap().unwrap();
        assert_eq!(read.ids.unwrap(), [id]);
        let unread = window.message().await.unread().unwrap().unwrap();
        assert_eq!(unread.unread, 0);
    }
    assert_eq!(patched("/read-all").await, json!({ "updated": 0 }));
    stop(running).await;
}

/// Starts, and gives a producer to the embedded broker, whose address is printed for the purpose.
async fn start_with_producer(dir: &Path) -> (Running, FutureProducer) {
    let mut config = ClientConfig::new();
    let running = app::start(settings(dir, &[]), shutdown(), |part, what| {
        if part == "broker" {
            config.set("bootstrap.servers", what.trim_start_matches("embedded, "));
        }
    });
    let running = running.await.unwrap();
    tokio::time::timeout(DEADLINE, running.health.wait_until_ready()).await.expect("everything is up in time");
    (running, config.create().unwrap())
}

/// Produces `count` records for one person, without ids.
async fn produce(producer: &FutureProducer, count: usize) {
    let event = json!({
        "type": "PAYMENT_SUCCESS", "userIds": ["user-minh"], "data": { "amount": "5", "currency": "VND" },
    })
    .to_string();
    let sent: Vec<_> = (0..count)
        .map(|_| {
            let record = FutureRecord::<(), _>::to("SIGNAL_ACTIVITY_NOTIFICATION").payload(&event).partition(0);
            producer.send_result(record).map_err(|(error, _)| error).unwrap()
        })
        .collect();
    for delivery in sent {
        delivery.await.unwrap().map_err(|(error, _)| error).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_what_the_embedded_broker_took() {
    let scratch = tempfile::tempdir().unwrap();
    let (running, producer) = start_with_producer(scratch.path()).await;
    produce(&producer, 3000).await;
    stop(running).await;
    assert_eq!(rows(scratch.path()).await, 3000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_was_accepted_outlives_a_stop() {
    let scratch = tempfile::tempdir().unwrap();
    let running = start(scratch.path()).await;
    let url = format!("{}demo/payments", running.page());
    let (accepted, mut enough) = tokio::sync::watch::channel(0_i64);
    let tills = (0..4).map(|_| {
        let (url, accepted, http) = (url.clone(), accepted.clone(), reqwest::Client::new());
        tokio::spawn(async move {
            let body = json!({ "merchantId": "mer-cafe-79", "amount": "1", "currency": "VND", "orderCode": "A-1" });
            // Until it is refused, or nobody listens any more.
            while let Ok(response) = http.post(&url).json(&body).send().await
                && response.status().as_u16() == 202
            {
                accepted.send_modify(|count| *count += 1);
            }
        })
    });
    let tills: Vec<_> = tills.collect();
    tokio::time::timeout(DEADLINE, enough.wait_for(|count| *count >= 200)).await.expect("payments in time").unwrap();
    stop(running).await;
    for till in tills {
        till.await.unwrap();
    }
    let (rows, accepted) = (rows(scratch.path()).await, *accepted.borrow());
    // Two people each; one whose answer was lost on the way may be there, too.
    assert!(rows >= 2 * accepted, "{rows} rows of {accepted} payments");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_without_id_are_new_after_a_restart() {
    let scratch = tempfile::tempdir().unwrap();
    for expected in [2, 4] {
        let (running, producer) = start_with_producer(scratch.path()).await;
        produce(&producer, 2).await;
        stop(running).await;
        assert_eq!(rows(scratch.path()).await, expected, "the embedded broker's offsets begin anew");
    }
}

#[tokio::test]
async fn parts_step_aside_for_real_ones_and_say_what_is_missing() {
    let scratch = tempfile::tempdir().unwrap();
    // Ports of listeners that are gone: nobody is there.
    let nobody = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (redis, kafka, issuer) =
        (format!("redis://{}", nobody()), nobody().to_string(), format!("http://{}/jwks", nobody()));
    let variables =
        [("SIGNAL_REDIS_URL", redis.as_str()), ("SIGNAL_KAFKA_BROKERS", &kafka), ("SIGNAL_JWKS_URL", &issuer)];
    let mut said = Vec::new();
    let running = app::start(settings(scratch.path(), &variables), shutdown(), |part, what| {
        said.push(format!("{part} {what}"));
    });
    let running = running.await.unwrap();

    let http = reqwest::Client::new();
    let read = async |url: String| http.get(url).send().await.unwrap();
    let settings: Value = read(format!("{}demo/settings", running.page())).await.json().await.unwrap();
    assert_eq!(settings["embedded"], json!({ "database": true, "backplane": false, "broker": false, "issuer": false }));
    let ready = read(format!("http://{}/health/ready", running.admin_addr)).await;
    assert_eq!(ready.status().as_u16(), 503);
    let ready: Value = ready.json().await.unwrap();
    for component in ["issuer", "kafka", "backplane"] {
        assert_eq!(ready["components"][component]["up"], false, "{ready}");
    }
    assert!(said.contains(&format!("broker {kafka}")) && said.contains(&format!("issuer {issuer}")), "{said:?}");
    stop(running).await;
}

#[tokio::test]
async fn what_is_in_the_way_is_explained() {
    let scratch = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let refused = async |variables: &[(&str, &str)]| {
        let error: StartError =
            app::start(settings(scratch.path(), variables), shutdown(), |_, _| {}).await.unwrap_err();
        error.to_string()
    };
    let message = refused(&[("SIGNAL_HTTP_ADDR", &addr)]).await;
    assert!(message.contains(&addr) && message.contains("another process has the port"), "{message}");
    for variable in ["SIGNAL_HTTP_ADDR", "SIGNAL_ADMIN_ADDR"] {
        let message = refused(&[(variable, "0.0.0.0:0")]).await;
        assert!(message.contains(variable) && message.contains("--allow-remote"), "{message}");
    }
    for path in ["/demo", "/demo/settings", "/assets/app.js", "/.well-known/jwks.json", "/v1/api/signal"] {
        let message = refused(&[("SIGNAL_STREAM_PATH", path)]).await;
        assert!(message.contains(&format!("SIGNAL_STREAM_PATH is {path}, ")), "{message}");
    }
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "nothing was made before it was clear");
    let message = refused(&[("SIGNAL_KAFKA_PROPERTIES", "sasl.passwort=hunter2")]).await;
    assert!(message.contains("sasl.passwort") && !message.contains("hunter2"), "{message}");
}
