//! Every secret is rotated, one after the other and as docs/rotation.md says, while people are connected and records
//! come: nobody is told anything but to come back, misses anything, or is refused what the issuer gave.

mod fleet;

use std::{convert::Infallible, future::ready, time::Duration};

use serde_json::{Value, json};
use signal_client::{Builder, Client, Disconnect, Event, session::IdentityError, session::OpenError};
use signal_harness::{
    Algorithm, Issuer, Kafka, KafkaTls, Kcat, Postgres, PubSub, Record, Redis, Service, Signal, eventually,
    identity_key, require,
};
use signal_tests::{
    balancer::Balancer,
    healing::{Ended, Person, Population},
    ledger::Ledger,
    sister::Sister,
};
use tokio::time::{interval, timeout};

use self::fleet::{Fleet, Ground, Mint, Secrets};
use crate::platform::{SOON, migrate, payment, worker};

const PEOPLE: usize = 20;
const ACCEPTED: [u16; 3] = [403, 403, 200];
const REFUSED: [u16; 3] = [401; 3];

fn client(mint: &Mint, balancer: &Balancer, pins: &str, user: &str) -> Builder {
    let (mint, user) = (mint.clone(), user.to_owned());
    Client::builder("ws://fleet/stream")
        .token(move || ready(Ok::<_, Infallible>(mint.token(&user))))
        .dial_with(balancer.clone())
        .pin(pins)
        .open_timeout(SOON)
        .handshake_timeout(SOON)
        .pong_timeout(SOON)
}

/// People who pin these keys, all of them connected.
async fn people(fleet: &Fleet, ledger: &Ledger, pins: &str) -> Population {
    let mut people = Population::default();
    for number in 0..PEOPLE {
        let client = client(&fleet.ground.mint, &fleet.balancer, pins, &format!("user-{number}"));
        people.join(client, ledger).unwrap();
    }
    everybody(&people, "is connected", |person| person.sessions >= 1).await;
    people
}

async fn everybody(people: &Population, what: &str, holds: impl Fn(&Person) -> bool) {
    eventually(SOON, || async {
        let count = people.count(&holds);
        let said = people.complaints();
        if count == people.len() { Ok(()) } else { Err(format!("{what}: {count} of {} {said:?}", people.len())) }
    })
    .await;
}

/// What an edge publishes for clients to pin.
async fn published(edge: &Service) -> Value {
    serde_json::from_str(&edge.get("/v1/api/signal/identity").await.unwrap().body).unwrap()
}

fn only_told_to_come_back(people: &Population) {
    let fine = |ended: &Ended| matches!(ended, Ended::Draining | Ended::Closed(1001));
    let told = |person: &Person| person.ended.iter().all(fine);
    assert_eq!((people.complaints(), people.count(told)), (Vec::new(), people.len()));
}

async fn decryptions(fleet: &Fleet, secret: &str) -> f64 {
    let mut sum = 0.0;
    for service in fleet.edges.iter().chain([&fleet.worker]) {
        sum += service.metrics().await.sum("signal_token_decryptions_total", &[("secret", secret)]);
    }
    sum
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_secret_is_rotated_and_no_client_is_dropped() {
    require!(KafkaTls, Postgres, Redis, Kcat);
    let ground = Ground::lay().await;
    let (identity, next_identity) = (identity_key(), identity_key());
    let mut secrets = Secrets {
        application: "first-application-secret",
        previous_application: None,
        identity: identity.clone(),
        database: ("a", "first-database"),
        redis: ("signal", "first-redis"),
        kafka: ("rotation-a", "first-kafka"),
    };
    ground.allow_a_role().await;
    ground.add_role(secrets.database).await;
    let acl = ["ACL", "SETUSER", "signal", "on", ">first-redis", "&*", "+@pubsub", "+@connection"];
    ground.redis.command(&acl).await.unwrap();
    ground.kafka.set_user("rotation-a", "first-kafka").await;
    ground.mint.publish(&[Algorithm::Es256]);
    ground.mint.changes_to(Algorithm::Es256, secrets.application);

    let mut fleet = Fleet::up(ground, &secrets).await;
    let (mint, ledger) = (fleet.ground.mint.clone(), Ledger::default());
    let pins_of_old = published(&fleet.edges[0]).await.to_string();
    let early = people(&fleet, &ledger, &pins_of_old).await;
    let traffic = tokio::spawn({
        let (ledger, sister) = (ledger.clone(), Sister::connect(&fleet.ground.redis.url()).await.unwrap());
        async move {
            let mut ticks = interval(Duration::from_millis(100));
            loop {
                ticks.tick().await;
                ledger.publish(&sister).await.unwrap();
            }
        }
    });

    // The issuer's key is published before it is used; whoever starts from here on knows it.
    mint.publish(&[Algorithm::Es256, Algorithm::EdDsa]);

    // The application secret: first everybody reads the new one, then the issuer uses it, then nobody reads the old one.
    let old_token = mint.token("an");
    (secrets.application, secrets.previous_application) = ("second-application-secret", Some(secrets.application));
    fleet.roll(&secrets).await;
    assert_eq!(fleet.answers(&old_token).await, ACCEPTED);
    assert!(decryptions(&fleet, "previous").await > 0.0, "the old one is still needed");
    mint.changes_to(Algorithm::EdDsa, secrets.application);
    assert_eq!(fleet.answers(&mint.token("an")).await, ACCEPTED);
    secrets.previous_application = None;
    // Nothing is signed by the issuer's old key any more.
    let by_old_key = mint.token_with(Algorithm::Es256, secrets.application, "an");
    assert_eq!(fleet.answers(&by_old_key).await, ACCEPTED, "it is published");
    mint.publish(&[Algorithm::EdDsa]);
    fleet.roll(&secrets).await;
    assert_eq!(fleet.answers(&old_token).await, REFUSED);
    assert_eq!(fleet.answers(&by_old_key).await, REFUSED, "it was withdrawn, and whoever starts has heard of it");
    assert_eq!(fleet.answers(&mint.token("an")).await, ACCEPTED);
    assert_eq!(decryptions(&fleet, "previous").await, 0.0);

    // The identity: published, learnt, used, and only then is the old one gone.
    secrets.identity = [identity.as_str(), &next_identity].concat();
    fleet.roll_edges(&secrets).await;
    let pins_of_both = published(&fleet.edges[0]).await;
    assert_eq!(pins_of_both["keys"].as_array().unwrap().len(), 2);
    let late = people(&fleet, &ledger, &pins_of_both.to_string()).await;
    everybody(&early, "knows everything", |person| person.knows_all(ledger.len().saturating_sub(20))).await;
    only_told_to_come_back(&early);
    drop(early);
    secrets.identity = [next_identity.as_str(), &identity].concat();
    fleet.roll_edges(&secrets).await;
    secrets.identity = next_identity;
    fleet.roll_edges(&secrets).await;

    // The database: another role with the same rights.
    fleet.ground.add_role(("b", "second-database")).await;
    secrets.database = ("b", "second-database");
    fleet.roll(&secrets).await;
    let old_role = fleet.ground.role("a");
    let (postgres, database) = (fleet.ground.postgres, fleet.ground.database.name());
    let connected = format!("select count(*) from pg_stat_activity where usename = '{old_role}'");
    eventually(SOON, || async { postgres.sql(database, &connected).await == "0" }).await;
    postgres.sql(database, &format!("drop role {old_role}")).await;
    assert_eq!(fleet.answers(&mint.token("an")).await, ACCEPTED);
    assert_eq!(fleet.mark_all(&mint.token("an")).await, 200);

    // Redis: both passwords, then the new one.
    fleet.ground.redis.command(&["ACL", "SETUSER", "signal", ">second-redis"]).await.unwrap();
    let old_redis = fleet.ground.redis_url(secrets.redis);
    secrets.redis = ("signal", "second-redis");
    fleet.roll(&secrets).await;
    fleet.ground.redis.command(&["ACL", "SETUSER", "signal", "<first-redis"]).await.unwrap();
    assert!(Sister::connect(&old_redis).await.is_err());

    // Kafka: another user.
    fleet.ground.kafka.set_user("rotation-b", "second-kafka").await;
    secrets.kafka = ("rotation-b", "second-kafka");
    fleet.roll_worker(&secrets).await;
    fleet.ground.kafka.remove_user("rotation-a").await;

    traffic.abort();
    assert!(traffic.await.is_err_and(|error| error.is_cancelled()), "there were messages to the end");
    everybody(&late, "knows everything", |person| person.knows_all(ledger.len())).await;
    only_told_to_come_back(&late);
    fleet.every_row_is_there_once().await;

    // Whoever has not learnt the new identity by then is right to refuse.
    let (_forgetful, mut events) = client(&mint, &fleet.balancer, &pins_of_old, "user-0").connect().unwrap();
    let first = timeout(SOON, events.next()).await.unwrap();
    assert!(
        matches!(
            &first,
            Some(Event::Disconnected {
                cause: Disconnect::Open(OpenError::Identity(IdentityError::UnknownKey(_))),
                ..
            })
        ),
        "{first:?}"
    );
}

#[tokio::test]
async fn a_worker_whose_database_password_is_changed_under_it_waits_and_loses_nothing() {
    require!(Postgres, PubSub, Kafka, Kcat);
    let (pubsub, issuer) = tokio::join!(PubSub::launch(), Issuer::launch());
    let (postgres, kafka) = tokio::join!(Postgres::shared(), Kafka::shared());
    let database = postgres.database_with("core", async |url| migrate(&url).await).await;
    let (topic, role) = (kafka.topic("password", 1).await, format!("{}_worker", database.name()));
    let create = format!(
        r#"create role {role} login password 'hunter2';
           grant select, insert, update on "ActivityNotification" to {role};
           grant select on all tables in schema public to {role}"#
    );
    postgres.sql(database.name(), &create).await;
    let launch = |password: &str| {
        let url = postgres.url_as(&role, password, database.name());
        worker(&url, &kafka.brokers(), &topic, &pubsub, &issuer).env("SIGNAL_KAFKA_GROUP", &topic).spawn()
    };
    let produce = async |id: &str| {
        let record = Record::new(payment(id, &json!({ "userIds": ["an"] })).to_string());
        Kcat::produce(&kafka.brokers(), &topic, &record).await;
    };
    let rows = async |expected: &str| {
        eventually(SOON, || async {
            let rows = postgres.sql(database.name(), r#"select event_id from "ActivityNotification" order by 1"#).await;
            if rows == expected { Ok(()) } else { Err(rows) }
        })
        .await;
    };
    let old = launch("hunter2");
    produce("evt_1").await;
    rows("evt_1").await;

    let change = format!(
        "alter role {role} password 'hunter3'; \
         select pg_terminate_backend(pid) from pg_stat_activity where usename = '{role}'"
    );
    postgres.sql(database.name(), &change).await;
    produce("evt_2").await;
    let reason = old
        .wait_until(SOON, || async {
            let ready = old.health("ready").await.map_err(|error| error.to_string())?;
            let body: Value = serde_json::from_str(&ready.body).map_err(|error| error.to_string())?;
            let reason = body["components"]["database"]["reason"].as_str().unwrap_or_default();
            if reason.contains("password authentication failed") { Ok(reason.to_owned()) } else { Err(ready.body) }
        })
        .await;
    assert!(reason.contains(&role), "{reason}");

    let new = launch("hunter3");
    old.signal(Signal::Term);
    assert!(old.wait_exit(SOON).await.success(), "{}", old.output());
    rows("evt_1\nevt_2").await;
    for worker in [&old, &new] {
        assert!(!worker.output().contains("hunter"), "{}", worker.output());
    }
}
