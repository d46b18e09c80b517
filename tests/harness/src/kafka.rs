//! Apache Kafka: one node that is broker and controller.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{sync::OnceCell, time::Instant};

use crate::{
    Chaos, Server,
    eventually::until,
    free_port,
    process::{Process, Signal},
    program::{find_program, run},
    scratch_dir,
};

mod secured;
mod wire;

pub use secured::KafkaTls;

const START: Duration = Duration::from_secs(120);
const TOPIC: Duration = Duration::from_secs(30);

/// The version in `kafka/pom.xml`; a test holds them together.
const VERSION: &str = "4.1.1";
const CLUSTER_ID: &str = "4L6g3nShT-eMCtK--X86sw";
const LOGGING: &str = include_str!("../kafka/log4j2.properties");

/// Small and quick to start: the serial collector, no optimising compiler, 384 MiB of heap.
const JVM: [&str; 5] = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xms64m", "-Xmx384m"];

/// One Kafka broker. It takes seconds to start: tests share it and have topics of their own.
#[derive(Debug)]
pub struct Kafka {
    port: u16,
    controller_port: u16,
    detour: Detour,
    jars: PathBuf,
    dir: PathBuf,
    topics: AtomicU32,
    secured: Option<secured::Secured>,
    process: Mutex<Option<Process>>,
}

/// A second way to the broker: whoever asks at `told` is told to go on there, and whoever listens there passes it on to
/// `listening`. Nobody does unless a test puts a [`crate::Chaos`] there.
#[derive(Debug, Clone, Copy)]
struct Detour {
    told: u16,
    listening: u16,
}

impl Server for Kafka {
    const NAME: &'static str = "Apache Kafka";

    fn available() -> Result<(), String> {
        if find_program("java").is_none() {
            return Err("no java on the PATH (Debian: apt-get install default-jre-headless)".to_owned());
        }
        match find_jars() {
            Some(_) => Ok(()),
            None => Err(format!("no jars in {} (run scripts/kafka-jars)", jars_dir().display())),
        }
    }
}

impl Kafka {
    /// The broker of this test binary, started by the first test that asks.
    pub async fn shared() -> &'static Kafka {
        static SHARED: OnceCell<Kafka> = OnceCell::const_new();
        SHARED.get_or_init(Kafka::launch).await
    }

    /// A broker of one's own, for tests that stop it.
    pub async fn launch() -> Kafka {
        let kafka = Kafka::reserved();
        kafka.start().await;
        kafka
    }

    /// An address, with nobody there until `start`.
    pub fn reserved() -> Kafka {
        Kafka {
            port: free_port(),
            controller_port: free_port(),
            detour: Detour { told: free_port(), listening: free_port() },
            jars: find_jars().expect("a test asks for it with require!"),
            dir: scratch_dir("kafka"),
            topics: AtomicU32::new(0),
            secured: None,
            process: Mutex::new(None),
        }
    }

    /// What `bootstrap.servers` takes.
    pub fn brokers(&self) -> String {
        self.addr().to_string()
    }

    /// A bad network before the broker, for whoever is given its address for `bootstrap.servers`. One at a time.
    pub fn behind_chaos(&self) -> Chaos {
        Chaos::at(self.detour.told, SocketAddr::from(([127, 0, 0, 1], self.detour.listening)))
    }

    /// Starts the broker, on the data it had.
    pub async fn start(&self) {
        let properties = self.dir.join("server.properties");
        if !properties.exists() {
            fs::write(self.dir.join("log4j2.properties"), LOGGING).unwrap();
            fs::write(&properties, self.properties()).unwrap();
            let mut format = self.java("kafka.tools.StorageTool");
            format.args(["format", "-t", CLUSTER_ID, "-c"]).arg(&properties);
            let output = run(format).await.unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "formatting Kafka's storage: {said}");
        }
        let mut command = self.java("kafka.Kafka");
        command.arg(&properties);
        let process = Process::spawn("kafka", command, Signal::Kill);
        let answered = until(Instant::now() + START, &mut || wire::is_up(self.addr())).await;
        if let Err(last) = answered {
            panic!("Kafka does not answer: {last}\n{}", process.output());
        }
        *self.process.lock().unwrap() = Some(process);
    }

    /// Kills the broker. What it had acknowledged is with the operating system and survives.
    pub async fn stop(&self) {
        drop(self.process.lock().unwrap().take());
    }

    /// Gives a topic more partitions, so that there are so many in all, and waits until each has a leader.
    pub async fn create_partitions(&self, topic: &str, partitions: u32) {
        wire::create_partitions(self.addr(), topic, partitions)
            .await
            .unwrap_or_else(|error| panic!("more partitions for {topic}: {error}"));
        let mut look = || wire::leaders(self.addr(), topic, partitions);
        if let Err(last) = until(Instant::now() + TOPIC, &mut look).await {
            panic!("topic {topic} is not ready: {last}");
        }
    }

    /// Creates the topic and waits until each of its partitions has a leader.
    pub async fn create_topic(&self, topic: &str, partitions: u32) {
        wire::create_topic(self.addr(), topic, partitions)
            .await
            .unwrap_or_else(|error| panic!("creating topic {topic}: {error}"));
        let mut look = || wire::leaders(self.addr(), topic, partitions);
        if let Err(last) = until(Instant::now() + TOPIC, &mut look).await {
            panic!("topic {topic} is not ready: {last}");
        }
    }

    /// Deletes the topic and all that is in it.
    pub async fn delete_topic(&self, topic: &str) {
        wire::delete_topic(self.addr(), topic).await.unwrap_or_else(|error| panic!("deleting topic {topic}: {error}"));
    }

    /// A new topic of one's own on a shared broker; its name begins with `prefix`.
    pub async fn topic(&self, prefix: &str, partitions: u32) -> String {
        let topic = format!("{prefix}.{}", self.topics.fetch_add(1, Ordering::Relaxed));
        self.create_topic(&topic, partitions).await;
        topic
    }

    /// The offset that a group has committed in a partition; -1 where it has none.
    pub async fn committed(&self, group: &str, topic: &str, partition: u32) -> i64 {
        wire::committed(self.addr(), group, topic, partition)
            .await
            .unwrap_or_else(|error| panic!("what {group} has committed: {error}"))
    }

    fn addr(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    fn java(&self, class: &str) -> Command {
        let mut command = Command::new("java");
        command.args(JVM).current_dir(&self.dir);
        command.arg("-Dlog4j2.configurationFile=log4j2.properties");
        command.arg("-cp").arg(self.jars.join("*")).arg(class);
        command
    }

    fn properties(&self) -> String {
        let Kafka { port, controller_port, detour: Detour { told, listening }, dir, .. } = self;
        let data = dir.join("data");
        let listener = self.secured.as_ref().map(secured::Secured::listener).unwrap_or_default();
        let security = self.secured.as_ref().map(|secured| secured.properties(dir)).unwrap_or_default();
        // One partition for the internal topics and no rebalance delay: what a cluster needs
        // for its size costs a single node seconds at every start.
        format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             listeners=PLAINTEXT://127.0.0.1:{port},DETOUR://127.0.0.1:{listening},\
             CONTROLLER://127.0.0.1:{controller_port}{listener}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port},DETOUR://127.0.0.1:{told}{listener}\n\
             listener.security.protocol.map=\
             PLAINTEXT:PLAINTEXT,DETOUR:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_SSL\n\
             inter.broker.listener.name=PLAINTEXT\n\
             controller.listener.names=CONTROLLER\n\
             controller.quorum.voters=1@127.0.0.1:{controller_port}\n\
             log.dirs={}\n\
             auto.create.topics.enable=false\n\
             num.partitions=1\n\
             offsets.topic.replication.factor=1\n\
             offsets.topic.num.partitions=1\n\
             transaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\n\
             transaction.state.log.num.partitions=1\n\
             share.coordinator.state.topic.replication.factor=1\n\
             share.coordinator.state.topic.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\n\
             log.segment.bytes=67108864\n\
             num.network.threads=2\n\
             num.io.threads=2\n\
             background.threads=2\n\
             {security}",
            data.display()
        )
    }
}

fn jars_dir() -> PathBuf {
    // Tests run with the package's folder as the working one, at any depth of the workspace.
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = crate::service::target_dir().unwrap_or_else(|| workspace.join("target"));
    target.join(format!("kafka-{VERSION}"))
}

fn find_jars() -> Option<PathBuf> {
    let dir = jars_dir();
    dir.join(format!("kafka_2.13-{VERSION}.jar")).is_file().then_some(dir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::require;

    #[test]
    fn the_version_is_that_of_the_pom() {
        let pom = include_str!("../kafka/pom.xml");
        assert!(pom.contains(&format!("<kafka.version>{VERSION}</kafka.version>")));
    }

    #[tokio::test]
    async fn keeps_its_topics_over_a_kill() {
        require!(Kafka);
        let kafka = Kafka::launch().await;
        kafka.create_topic("kept", 3).await;
        kafka.stop().await;
        assert!(wire::is_up(kafka.addr()).await.is_err());
        kafka.start().await;
        let mut look = || wire::leaders(kafka.addr(), "kept", 3);
        until(Instant::now() + TOPIC, &mut look).await.unwrap();
    }
}
