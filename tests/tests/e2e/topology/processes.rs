//! The services of `compose.yaml` as processes of this machine: Signal's own binaries with the environment that the file
//! gives them, nginx with the file's configuration, and the harness' servers. Only addresses are others.

use std::{collections::BTreeMap, fs, net::SocketAddr, os::unix::fs::PermissionsExt, path::Path, process::Command};

use signal_harness::{
    Finished, Kafka, Launch, Nginx, Postgres, Redis, Response, Service, eventually, free_port, get, scratch_dir,
};

use super::compose::{Compose, Condition, Declared};
use crate::platform::SOON;

pub struct Topology {
    compose: Compose,
    pub postgres: &'static Postgres,
    /// What the file calls a place, and where it is here.
    places: Vec<(String, String)>,
    running: BTreeMap<String, Running>,
}

enum Running {
    /// With the environment that it was given.
    Signal(Service, Vec<(String, String)>),
    Proxy(Nginx),
    Redis {
        _server: Redis,
    },
    /// Shared with other scenarios.
    Shared,
    Ended,
}

impl Topology {
    /// Starts everything in the order of the file, each when what it depends on is as it asks.
    pub async fn up() -> Topology {
        let compose = Compose::read();
        let order: Vec<String> = compose.order().into_iter().map(str::to_owned).collect();
        let postgres = Postgres::shared().await;
        let mut topology = Topology { compose, postgres, places: Vec::new(), running: BTreeMap::new() };
        for name in order {
            let declared = topology.compose.services[&name].clone();
            for (dependency, wanted) in &declared.depends_on {
                topology.wait_for(dependency, wanted.condition).await;
            }
            let running = topology.start(&name, &declared).await;
            topology.running.insert(name, running);
        }
        topology.wait_for("proxy", Condition::Healthy).await;
        topology
    }

    /// The one origin.
    pub fn proxy(&self) -> SocketAddr {
        let Running::Proxy(nginx) = &self.running["proxy"] else { panic!("the proxy is nginx") };
        nginx.addr()
    }

    pub fn service(&self, name: &str) -> &Service {
        let Running::Signal(service, _) = &self.running[name] else { panic!("{name} is not Signal's") };
        service
    }

    async fn start(&mut self, name: &str, declared: &Declared) -> Running {
        if let Some(build) = &declared.build {
            return self.start_own(name, &build.target, declared).await;
        }
        match name {
            "postgres" => {
                let given = |variable: &str| &declared.environment[variable];
                let (user, password) = (given("POSTGRES_USER"), given("POSTGRES_PASSWORD"));
                let database = given("POSTGRES_DB");
                self.postgres.sql("postgres", &format!("create role {user} login password '{password}'")).await;
                self.postgres.sql("postgres", &format!("create database {database} owner {user}")).await;
                self.moved("postgres:5432", &format!("127.0.0.1:{}", self.postgres.port()));
                Running::Shared
            }
            "redis" => {
                let redis = Redis::launch().await;
                self.moved("redis:6379", &format!("127.0.0.1:{}", redis.port()));
                Running::Redis { _server: redis }
            }
            "kafka" => {
                self.moved("kafka:9092", &Kafka::shared().await.brokers());
                Running::Shared
            }
            "topics" => {
                self.create_topics(declared).await;
                Running::Ended
            }
            "proxy" => {
                let port = free_port();
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/compose/nginx.conf");
                let configuration = self.here(&fs::read_to_string(path).unwrap());
                let configuration = configuration.replace("listen 31090", &format!("listen 127.0.0.1:{port}"));
                // An address needs no resolver, and Debian's nginx follows no names.
                let configuration = configuration.replace(" resolve;", ";");
                self.moved("127.0.0.1:31090", &format!("127.0.0.1:{port}"));
                Running::Proxy(Nginx::launch(&configuration, port).await)
            }
            other => panic!("nobody has said what {other} is as a process"),
        }
    }

    /// One of Signal's binaries, named by the image's target.
    async fn start_own(&mut self, name: &str, target: &str, declared: &Declared) -> Running {
        let mut environment: Vec<(String, String)> =
            declared.environment.iter().map(|(variable, value)| (variable.clone(), self.here(value))).collect();
        let launch = || launch(target, &environment);
        let commanded = declared.command.iter().fold(launch(), |launch, argument| launch.arg(argument));
        if declared.is_run_once() {
            commanded.run(SOON).await.expect_success();
            return Running::Ended;
        }
        // A variable that the binary does not know fails it.
        let flags = declared.command.iter().filter(|word| word.starts_with("--"));
        let checked = flags.fold(launch(), |launch, flag| launch.arg(flag)).arg("check-config");
        checked.run(SOON).await.expect_success();
        let service = commanded.spawn();
        self.moved(&format!("{name}:3000"), &service.http_addr().to_string());
        environment.push(("SIGNAL_ADMIN_ADDR".to_owned(), service.admin_addr().to_string()));
        Running::Signal(service, environment)
    }

    /// Runs what the file runs, with a program in the place of Kafka's that writes down what it is asked for.
    async fn create_topics(&self, declared: &Declared) {
        let tool = scratch_dir("topics").join("kafka-topics.sh");
        fs::write(&tool, "#!/bin/sh\necho \"$@\"\n").unwrap();
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
        let words = declared.entrypoint.iter().chain(&declared.command);
        let words: Vec<String> =
            words.map(|word| word.replace("/opt/kafka/bin/kafka-topics.sh", tool.to_str().unwrap())).collect();
        let output = Command::new(&words[0]).args(&words[1..]).output().unwrap();
        let asked = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{asked}");
        for line in asked.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [
                "--bootstrap-server",
                "kafka:9092",
                "--create",
                "--if-not-exists",
                "--topic",
                topic,
                "--partitions",
                n,
            ] = words[..]
            else {
                panic!("{line}");
            };
            Kafka::shared().await.create_topic(topic, n.parse().unwrap()).await;
        }
    }

    async fn wait_for(&self, name: &str, condition: Condition) {
        match (condition, &self.running[name]) {
            (Condition::Started, _) | (Condition::CompletedSuccessfully, Running::Ended) => {}
            (Condition::Healthy, running) => self.wait_until_healthy(name, running).await,
            (Condition::CompletedSuccessfully, _) => panic!("{name} is waited for and does not end"),
        }
    }

    /// Asks as the file asks.
    async fn wait_until_healthy(&self, name: &str, running: &Running) {
        let declared = &self.compose.services[name];
        let check = declared.healthcheck.as_ref().unwrap_or_else(|| panic!("{name} has no health check"));
        let question: Vec<&str> = check.test.iter().map(String::as_str).collect();
        match running {
            Running::Signal(_, environment) => {
                let target = &declared.build.as_ref().unwrap().target;
                let ["CMD", binary, arguments @ ..] = &question[..] else { panic!("{question:?}") };
                assert_eq!(*binary, format!("/usr/local/bin/{}", binary_of(target)));
                eventually(SOON, || async {
                    let asked = arguments.iter().fold(launch(target, environment), |launch, word| launch.arg(word));
                    let Finished { status, output, .. } = asked.run(SOON).await;
                    if status.success() { Ok(()) } else { Err(output) }
                })
                .await;
            }
            Running::Proxy(nginx) => {
                let path = question.last().unwrap().strip_prefix("http://127.0.0.1:31090").unwrap();
                eventually(SOON, || async {
                    match get(nginx.addr(), path).await {
                        Ok(Response { status: 200, .. }) => Ok(()),
                        other => Err(format!("{other:?} {}", nginx.output())),
                    }
                })
                .await;
            }
            // The harness has waited for them.
            Running::Redis { .. } | Running::Shared => {}
            Running::Ended => panic!("{name} has ended"),
        }
    }

    fn moved(&mut self, from: &str, to: &str) {
        self.places.push((from.to_owned(), to.to_owned()));
    }

    /// A text of the file with the places that they are at here; whoever the proxy is to others, here it is loopback.
    fn here(&self, text: &str) -> String {
        let proxy = self.compose.services["proxy"].address().expect("edges know the proxy by its address");
        let text = text.replace(proxy, "127.0.0.1");
        self.places.iter().fold(text, |text, (from, to)| text.replace(from.as_str(), to))
    }
}

fn binary_of(target: &str) -> &'static str {
    match target {
        "edge" => "signal-edge",
        "worker" => "signal-worker",
        "demo" => "signal",
        other => panic!("there is no image {other}"),
    }
}

fn launch(target: &str, environment: &[(String, String)]) -> Launch {
    let launch = match binary_of(target) {
        "signal-edge" => Service::edge(),
        "signal-worker" => Service::worker(),
        _ => Service::standalone(),
    };
    environment.iter().fold(launch, |launch, (variable, value)| launch.env(variable, value))
}
