//! Two edges and a worker that are given every secret, and replaced as a deployment replaces them.

use std::{
    mem,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use signal_auth::{ClaimsCipher, ClaimsKey, claims};
use signal_harness::{Algorithm, Database, Issuer, Kafka, Kcat, Postgres, Record, Redis, Service, Signal, eventually};
use signal_tests::balancer::Balancer;

use crate::{
    kafka_security::scram,
    platform::{SOON, dead_letters_of, edge, migrate, payment, worker},
};

/// A user and a password.
pub type Login = (&'static str, &'static str);

/// All that the platform is told and nobody else may know.
#[derive(Clone)]
pub struct Secrets {
    pub application: &'static str,
    pub previous_application: Option<&'static str>,
    /// PEM; the first key signs.
    pub identity: String,
    /// What the role is called behind the database's name.
    pub database: Login,
    pub redis: Login,
    pub kafka: Login,
}

/// What the issuer signs and encrypts with at the moment. Clones are the same issuer.
#[derive(Clone)]
pub struct Mint {
    issuer: Arc<Issuer>,
    with: Arc<Mutex<(Algorithm, &'static str)>>,
}

impl Mint {
    pub fn changes_to(&self, algorithm: Algorithm, application: &'static str) {
        *self.with.lock().unwrap() = (algorithm, application);
    }

    /// As the issuer makes them now.
    pub fn token(&self, user: &str) -> String {
        let (algorithm, application) = *self.with.lock().unwrap();
        self.token_with(algorithm, application, user)
    }

    pub fn token_with(&self, algorithm: Algorithm, application: &str, user: &str) -> String {
        let plain = Issuer::claims(user, Duration::from_secs(3600));
        let key = ClaimsKey::new(ClaimsCipher::Aes256Cbc, &application.into());
        let mut count = 0_u128;
        let iv = || {
            count += 1;
            count.to_be_bytes()
        };
        let sealed = claims::encrypt(plain.as_object().unwrap(), &key, iv);
        self.issuer.mint(algorithm, &Value::Object(sealed))
    }

    /// Publishes the keys of these algorithms and no others.
    pub fn publish(&self, algorithms: &[Algorithm]) {
        let mut set = self.issuer.jwk_set();
        let wanted = |key: &Value| algorithms.iter().any(|algorithm| key["alg"] == algorithm.name());
        set["keys"].as_array_mut().unwrap().retain(wanted);
        self.issuer.publish(set);
    }
}

/// The servers that stay where they are.
pub struct Ground {
    pub postgres: &'static Postgres,
    pub kafka: &'static Kafka,
    pub redis: Redis,
    pub mint: Mint,
    pub database: Database,
    pub topic: String,
}

impl Ground {
    pub async fn lay() -> Ground {
        let (postgres, kafka) = tokio::join!(Postgres::shared(), Kafka::secured());
        let (redis, issuer) = tokio::join!(Redis::launch(), Issuer::launch());
        let database = postgres.database_with("core", async |url| migrate(&url).await).await;
        let topic = kafka.topic("rotation", 2).await;
        kafka.create_topic(&dead_letters_of(&topic), 1).await;
        let mint = Mint { issuer: Arc::new(issuer), with: Arc::new(Mutex::new((Algorithm::Es256, ""))) };
        Ground { postgres, kafka, redis, mint, database, topic }
    }

    /// The role that has the rights and that nobody is; those who log in are its members.
    pub async fn allow_a_role(&self) {
        let group = self.role("signal");
        let grant = format!(
            r#"create role {group} nologin;
               grant select, insert, update on "ActivityNotification" to {group};
               grant select on all tables in schema public to {group}"#
        );
        self.postgres.sql(self.database.name(), &grant).await;
    }

    pub async fn add_role(&self, (role, password): Login) {
        let (role, group) = (self.role(role), self.role("signal"));
        let create = format!("create role {role} login password '{password}' in role {group}");
        self.postgres.sql(self.database.name(), &create).await;
    }

    /// Roles are the cluster's, which other tests share.
    pub fn role(&self, name: &str) -> String {
        format!("{}_{name}", self.database.name())
    }

    pub fn database_url(&self, (role, password): Login) -> String {
        self.postgres.url_as(&self.role(role), password, self.database.name())
    }

    pub fn redis_url(&self, (user, password): Login) -> String {
        format!("redis://{user}:{password}@127.0.0.1:{}", self.redis.port())
    }

    fn edge(&self, secrets: &Secrets) -> Service {
        let edge = edge(&self.redis, &self.mint.issuer)
            .env("SIGNAL_REDIS_URL", self.redis_url(secrets.redis))
            .env("SIGNAL_DATABASE_URL", self.database_url(secrets.database))
            .env("SIGNAL_APPLICATION_SECRET", secrets.application)
            .env("SIGNAL_IDENTITY_KEY", &secrets.identity)
            .env("SIGNAL_DRAIN_WINDOW", "300ms");
        match secrets.previous_application {
            Some(previous) => edge.env("SIGNAL_APPLICATION_SECRET_PREVIOUS", previous).spawn(),
            None => edge.spawn(),
        }
    }

    fn worker(&self, secrets: &Secrets) -> Service {
        let (user, password) = secrets.kafka;
        let brokers = self.kafka.secured_brokers();
        let database_url = self.database_url(secrets.database);
        let worker = worker(&database_url, &brokers, &self.topic, &self.redis, &self.mint.issuer)
            .env("SIGNAL_KAFKA_GROUP", &self.topic)
            .env("SIGNAL_KAFKA_PROPERTIES", scram(self.kafka.certificates(), user, password))
            .env("SIGNAL_REDIS_URL", self.redis_url(secrets.redis))
            .env("SIGNAL_APPLICATION_SECRET", secrets.application);
        match secrets.previous_application {
            Some(previous) => worker.env("SIGNAL_APPLICATION_SECRET_PREVIOUS", previous).spawn(),
            None => worker.spawn(),
        }
    }
}

pub struct Fleet {
    pub ground: Ground,
    pub balancer: Balancer,
    pub edges: Vec<Service>,
    pub worker: Service,
    events: usize,
}

impl Fleet {
    pub async fn up(ground: Ground, secrets: &Secrets) -> Fleet {
        let edges = vec![ground.edge(secrets), ground.edge(secrets)];
        let worker = ground.worker(secrets);
        let balancer = Balancer::default();
        for edge in &edges {
            edge.wait_ready(SOON).await;
            balancer.add(edge.http_addr());
        }
        worker.wait_ready(SOON).await;
        Fleet { ground, balancer, edges, worker, events: 0 }
    }

    /// What is new is ready before what is old goes, and the old ones go one after the other.
    pub async fn roll_edges(&mut self, secrets: &Secrets) {
        let fresh = vec![self.ground.edge(secrets), self.ground.edge(secrets)];
        for edge in &fresh {
            edge.wait_ready(SOON).await;
            self.balancer.add(edge.http_addr());
        }
        for old in mem::replace(&mut self.edges, fresh) {
            stop(&old).await;
        }
    }

    /// With a record before, one meanwhile, and one after.
    pub async fn roll_worker(&mut self, secrets: &Secrets) {
        self.produce().await;
        let fresh = self.ground.worker(secrets);
        self.produce().await;
        fresh.wait_ready(SOON).await;
        stop(&mem::replace(&mut self.worker, fresh)).await;
        self.produce().await;
    }

    pub async fn roll(&mut self, secrets: &Secrets) {
        self.roll_edges(secrets).await;
        self.roll_worker(secrets).await;
    }

    async fn produce(&mut self) {
        let event = payment(&format!("evt_{}", self.events), &json!({ "userIds": ["an", "binh"] }));
        let record = Record::new(event.to_string()).key(format!("key-{}", self.events));
        Kcat::produce(&self.ground.kafka.brokers(), &self.ground.topic, &record).await;
        self.events += 1;
    }

    /// A row for each event and recipient, and no second one, and no dead letter.
    pub async fn every_row_is_there_once(&self) {
        let count = r#"select count(*) || ' ' || count(distinct event_id) from "ActivityNotification""#;
        let expected = format!("{} {}", 2 * self.events, self.events);
        eventually(SOON, || async {
            let rows = self.ground.postgres.sql(self.ground.database.name(), count).await;
            if rows == expected { Ok(()) } else { Err(format!("{rows}, not {expected}")) }
        })
        .await;
        let letters = Kcat::consume(&self.ground.kafka.brokers(), &dead_letters_of(&self.ground.topic)).await;
        assert!(letters.is_empty(), "{letters:?}");
    }

    /// What the worker answers to whoever marks all that they have as read.
    pub async fn mark_all(&self, token: &str) -> u16 {
        let url = format!("http://{}/v1/api/signal/notifications/read-all", self.worker.http_addr());
        let answer = reqwest::Client::new().patch(url).bearer_auth(token).send().await.unwrap();
        answer.status().as_u16()
    }

    /// What edges and worker answer to whoever has this token: 403 is somebody without a permission.
    pub async fn answers(&self, token: &str) -> Vec<u16> {
        let clients = "/v1/api/signal/socket/websocket/clients";
        let mut answers = Vec::new();
        for edge in &self.edges {
            answers.push(status(edge, clients, token).await);
        }
        answers.push(status(&self.worker, "/v1/api/signal/notifications", token).await);
        answers
    }
}

async fn status(service: &Service, path: &str, token: &str) -> u16 {
    let url = format!("http://{}{path}", service.http_addr());
    let answer = reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap();
    answer.status().as_u16()
}

async fn stop(service: &Service) {
    service.signal(Signal::Term);
    let status = service.wait_exit(2 * SOON).await;
    assert!(status.success(), "{status}\n{}", service.output());
}
