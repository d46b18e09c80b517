//! A person's notifications over REST, from the worker's own process, while events become rows and windows are open.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::SocketAddr,
};

use futures_util::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};
use signal_harness::{Issuer, Kafka, Kcat, Postgres, PubSub, eventually, free_port, require};
use signal_tests::sister;
use signal_wire::message::event;

use crate::{
    platform::{Platform, SOON, migrate, payment, worker},
    window::Window,
};

/// Somebody's access to the API of one worker.
#[derive(Clone)]
struct Reader {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Reader {
    fn new(worker: SocketAddr, token: String) -> Self {
        let http = reqwest::Client::builder().timeout(2 * SOON).no_proxy().build().unwrap();
        Self { http, url: format!("http://{worker}/v1/api/signal/notifications"), token }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask(Method::GET, path, None).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    async fn unread(&self) -> u64 {
        self.get("/count?unread=true").await["count"].as_u64().unwrap()
    }

    async fn updated(&self, path: &str, body: Option<Value>) -> u64 {
        let (status, body) = self.ask(Method::PATCH, path, body).await;
        assert_eq!(status, 200, "{body}");
        body["updated"].as_u64().unwrap()
    }
}

impl Platform {
    fn reader(&self, user: &str) -> Reader {
        Reader::new(self.worker.http_addr(), self.backplane.issuer.token(user))
    }

    async fn sql(&self, sql: &str) -> String {
        self.postgres.sql(self.database.name(), sql).await
    }

    /// Rows `{prefix}{n}` of a person's, as other services write them: to the microsecond, several in each, and with
    /// ids that say nothing about the order.
    async fn filled(&self, user: &str, prefix: &str, count: usize) {
        self.sql(&format!(
            r#"insert into "ActivityNotification"
               (id, event_id, type, recipient_id, title, content, created_at, modified_at)
               select '{prefix}' || md5(n::text), '{prefix}' || n, 'PAYMENT_SUCCESS', '{user}', 'Payment received', 'Text',
                   at, at
               from generate_series(1, {count}) as n,
                   lateral (select timestamptz '2026-11-01 08:00:00Z' + n / 3 * interval '311 microseconds') as t (at)"#
        ))
        .await;
    }

    async fn unread_rows(&self, user: &str) -> u64 {
        let query = r#"select count(*) from "ActivityNotification" where read_at is null and recipient_id"#;
        self.sql(&format!("{query} = '{user}'")).await.parse().unwrap()
    }
}

const ROWS: usize = 10_000;

#[tokio::test]
async fn ten_thousand_notifications_are_each_listed_once_while_new_ones_arrive() {
    require!(Postgres, PubSub, Kafka, Kcat);
    let platform = Platform::up().await;
    platform.filled("an", "an-", ROWS).await;
    platform.filled("binh", "binh-", 500).await;
    let an = platform.reader("an");
    let (mut seen, mut times, mut query, mut came) = (Vec::new(), Vec::new(), "?limit=100".to_owned(), 0);
    for page_number in 0.. {
        let page = an.get(&query).await;
        for row in page["data"].as_array().unwrap() {
            assert_eq!(row["recipientId"], "an", "nobody else's");
            seen.push(row["id"].as_str().unwrap().to_owned());
            times.push(row["createdAt"].as_str().unwrap().to_owned());
        }
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        query = format!("?limit=100&cursor={cursor}");
        if page_number % 10 == 5 {
            let events: Vec<String> = (0..7)
                .map(|n| payment(&format!("new-{came}-{n}"), &json!({ "userIds": ["an", "binh"] })).to_string())
                .collect();
            Kcat::produce_lines(&platform.kafka.brokers(), &platform.topic, &events).await;
            came += 7;
            // They are rows before the next page is asked for.
            let rows = (ROWS + 500 + 2 * came) as u64;
            eventually(SOON, || async { Some(platform.rows().await).filter(|there| *there == rows) }).await;
        }
    }
    assert!(came >= 70, "{came} came meanwhile");
    let listed: HashSet<&String> = seen.iter().collect();
    assert_eq!(listed.len(), seen.len(), "no row twice");
    let original = platform.sql(r#"select id from "ActivityNotification" where id like 'an-%'"#).await;
    let original: HashSet<String> = original.lines().map(str::to_owned).collect();
    assert_eq!(original.len(), ROWS);
    let left_out = original.iter().filter(|id| !listed.contains(id)).count();
    assert_eq!(left_out, 0, "none left out");
    assert!(times.iter().rev().is_sorted(), "newest first");
    assert_eq!(an.get("/count").await["count"], (ROWS + came) as u64);
    assert_eq!(platform.reader("binh").get("/count").await["count"], (500 + came) as u64);
}

/// What a window was told, by version.
fn counts(window: &Window) -> BTreeMap<u64, u64> {
    let told = window.data_of(event::NOTIFICATION_UNREAD);
    told.iter().map(|data| (data["version"].as_u64().unwrap(), data["unread"].as_u64().unwrap())).collect()
}

fn named(window: &Window) -> Vec<String> {
    let told = window.data_of(event::NOTIFICATION_READ);
    let ids = told.iter().filter_map(|data| data["ids"].as_array()).flatten();
    ids.map(|id| id.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn windows_of_a_person_agree_on_what_is_read_however_much_is_marked_at_once() {
    const MARKINGS: usize = 60;
    require!(Postgres, PubSub, Kafka, Kcat);
    let platform = Platform::up().await;
    platform.filled("an", "an-", 400).await;
    platform.filled("binh", "binh-", 20).await;
    let (first, second) = (platform.window("an").await, platform.window("an").await);
    let binh = platform.window("binh").await;
    let (pubsub, issuer) = (&platform.backplane.pubsub, &platform.backplane.issuer);
    let other = worker(platform.database.url(), &platform.kafka.brokers(), &platform.topic, pubsub, issuer)
        .env("SIGNAL_KAFKA_GROUP", &platform.topic)
        .spawn();
    other.wait_ready(SOON).await;
    let readers = [platform.reader("an"), Reader::new(other.http_addr(), issuer.token("an"))];

    let ids = platform.sql(r#"select id from "ActivityNotification" where recipient_id = 'an' order by id"#).await;
    let ids: Vec<String> = ids.lines().map(str::to_owned).collect();
    let strangers = platform.sql(r#"select id from "ActivityNotification" where recipient_id = 'binh'"#).await;
    let strangers: Vec<&str> = strangers.lines().collect();
    // Each marks five of its own and one that the next marks, too, and tries one of somebody else's.
    let markings = (0..MARKINGS).map(|n| {
        let (reader, stranger) = (readers[n % 2].clone(), strangers[n % strangers.len()]);
        let mut these: Vec<&str> = ids[n * 5..=n * 5 + 5].iter().map(String::as_str).collect();
        these.push(stranger);
        let body = json!({ "ids": these });
        async move { reader.updated("/read", Some(body)).await }
    });
    let updated: u64 = stream::iter(markings).buffer_unordered(8).collect::<Vec<_>>().await.iter().sum();
    assert_eq!(updated, (MARKINGS * 5 + 1) as u64, "each row is counted by whoever was first");
    for (n, id) in ids[350..360].iter().enumerate() {
        let (status, row) = readers[n % 2].ask(Method::PATCH, &format!("/{id}/read"), None).await;
        assert_eq!((status, row["id"].as_str()), (200, Some(id.as_str())));
        let again = readers[(n + 1) % 2].ask(Method::PATCH, &format!("/{id}/read"), None).await;
        assert_eq!(again, (200, row), "read already, and shown by the other worker as it is");
        let (status, _) = platform.reader("binh").ask(Method::PATCH, &format!("/{id}/read"), None).await;
        assert_eq!(status, 404, "another person's is not there");
    }

    let marked: BTreeSet<String> = ids[..=MARKINGS * 5].iter().chain(&ids[350..360]).cloned().collect();
    let left = (ids.len() - marked.len()) as u64;
    for window in [&first, &second] {
        window.wait_for(event::NOTIFICATION_UNREAD, MARKINGS + 10).await;
        let counts = counts(window);
        assert_eq!(counts.len(), MARKINGS + 10, "no version twice");
        assert!(counts.values().rev().is_sorted(), "of two markings the later one leaves less: {counts:?}");
        assert_eq!(counts.last_key_value().unwrap().1, &left);
        let named = named(window);
        assert_eq!((named.len(), named.into_iter().collect::<BTreeSet<_>>()), (marked.len(), marked.clone()));
    }
    assert_eq!(counts(&first), counts(&second));
    assert_eq!(
        (platform.unread_rows("an").await, readers[0].unread().await, readers[1].unread().await),
        (left, left, left)
    );

    let highest = *counts(&first).last_key_value().unwrap().0;
    assert_eq!(readers[1].updated("/read-all", None).await, left);
    assert_eq!(readers[0].updated("/read-all", None).await, 0);
    for window in [&first, &second] {
        window.wait_for(event::NOTIFICATION_UNREAD, MARKINGS + 11).await;
        let counts = counts(window);
        let (version, unread) = counts.last_key_value().unwrap();
        assert!(*version > highest && *unread == 0, "{version} after {highest}");
        let all = window.data_of(event::NOTIFICATION_READ).pop().unwrap();
        assert_eq!((&all["all"], all["readAt"].is_string()), (&json!(true), true));
    }
    assert_eq!(platform.unread_rows("an").await, 0);

    // Whatever had been said to the other person would have come before this.
    platform.fence("fence", &[&binh, &first]).await;
    assert_eq!(platform.unread_rows("binh").await, 21);
    for event in [event::NOTIFICATION_READ, event::NOTIFICATION_UNREAD] {
        assert_eq!(binh.data_of(event), [Value::Null; 0]);
    }
    // What comes after all was marked is unread again.
    assert_eq!(readers[0].unread().await, 1);
}

#[tokio::test]
async fn what_windows_are_told_of_a_marking_is_of_its_requests_trace() {
    require!(Postgres, PubSub);
    let (pubsub, issuer, postgres) = tokio::join!(PubSub::launch(), Issuer::launch(), Postgres::shared());
    let database = postgres.database_with("core", async |url| migrate(&url).await).await;
    let insert = r#"insert into "ActivityNotification" (id, event_id, type, recipient_id, title, content)
                    values ('id-1', 'evt_1', 'PAYMENT_SUCCESS', 'an', 'T', 'C')"#;
    postgres.sql(database.name(), insert).await;
    let nobody = format!("127.0.0.1:{}", free_port());
    let worker = worker(database.url(), &nobody, "events", &pubsub, &issuer)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{nobody}"))
        .spawn();
    let reader = Reader::new(worker.http_addr(), issuer.token("an"));
    // Without Kafka it is not ready, and answers all the same.
    worker
        .wait_until(SOON, || async { reader.http.get(&reader.url).send().await.map_err(|error| error.to_string()) })
        .await;

    let mut messages = sister::listen(&pubsub.url(), "ws:room:signal/notification/an").await.unwrap();
    let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let request = reader.http.patch(format!("{}/id-1/read", reader.url)).bearer_auth(&reader.token);
    let answer = request.header("traceparent", format!("00-{trace}-{span}-01")).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    for event in [event::NOTIFICATION_READ, event::NOTIFICATION_UNREAD] {
        let message = tokio::time::timeout(SOON, messages.next()).await.unwrap().unwrap();
        let envelope: Value = serde_json::from_slice(&message).unwrap();
        assert_eq!(envelope["event"], event);
        let traceparent = envelope["traceparent"].as_str().unwrap_or_default();
        assert!(traceparent.starts_with(&format!("00-{trace}-")) && !traceparent.contains(span), "{envelope}");
    }
}
