//! A second listener that speaks TLS and asks who one is: SASL_SSL with SCRAM-SHA-512.

use std::{fs, path::Path, process::Command};

use tokio::sync::OnceCell;

use super::Kafka;
use crate::{Certificates, Server, free_port, program::run, service::find_binary};

const MECHANISM: &str = "SCRAM-SHA-512";

/// Stands for Kafka beside a worker that was built with the feature `kafka-tls`.
#[derive(Debug)]
pub struct KafkaTls;

impl Server for KafkaTls {
    const NAME: &'static str = "a worker with Kafka over TLS";

    fn available() -> Result<(), String> {
        Kafka::available()?;
        let mut asked = Command::new(find_binary("signal-worker"));
        asked.env_clear().arg("check-config").env("SIGNAL_KAFKA_PROPERTIES", "security.protocol=ssl");
        for (name, value) in [
            ("SIGNAL_KAFKA_BROKERS", "127.0.0.1:1"),
            ("SIGNAL_DATABASE_URL", "postgres://127.0.0.1:1/none"),
            ("SIGNAL_REDIS_URL", "redis://127.0.0.1:1"),
            ("SIGNAL_JWKS_URL", "http://127.0.0.1:1/jwks"),
        ] {
            asked.env(name, value);
        }
        let output = asked.output().map_err(|error| format!("signal-worker does not start: {error}"))?;
        match output.status.success() {
            true => Ok(()),
            false => Err("build with --features signal-worker/kafka-tls (Debian: libssl-dev, pkg-config)".to_owned()),
        }
    }
}

#[derive(Debug)]
pub(super) struct Secured {
    port: u16,
    certificates: Certificates,
}

impl Kafka {
    /// The broker of this test binary that has a second listener. Tests have users of their own.
    pub async fn secured() -> &'static Kafka {
        static SECURED: OnceCell<Kafka> = OnceCell::const_new();
        let launch = async || {
            let secured = Secured { port: free_port(), certificates: Certificates::make() };
            let kafka = Kafka { secured: Some(secured), ..Kafka::reserved() };
            kafka.start().await;
            kafka
        };
        SECURED.get_or_init(launch).await
    }

    /// The authority that whoever uses the second listener has to trust.
    pub fn certificates(&self) -> &Certificates {
        &self.second().certificates
    }

    /// `bootstrap.servers` of those who have to say who they are.
    pub fn secured_brokers(&self) -> String {
        format!("127.0.0.1:{}", self.second().port)
    }

    /// Makes a user, or gives it another password. Connections that there are stay.
    pub async fn set_user(&self, user: &str, password: &str) {
        self.configure(user, &["--add-config", &format!("{MECHANISM}=[password={password}]")]).await;
    }

    pub async fn remove_user(&self, user: &str) {
        self.configure(user, &["--delete-config", MECHANISM]).await;
    }

    /// What `kafka-configs.sh` does.
    async fn configure(&self, user: &str, change: &[&str]) {
        let mut command = self.java("kafka.admin.ConfigCommand");
        command.args(["--bootstrap-server", &self.brokers(), "--entity-type", "users", "--entity-name", user]);
        command.arg("--alter").args(change);
        let output = run(command).await.unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(output.status.success() && said.contains("Completed"), "configuring user {user}: {said}");
    }

    fn second(&self) -> &Secured {
        self.secured.as_ref().expect("it is `Kafka::secured`")
    }
}

impl Secured {
    pub(super) fn listener(&self) -> String {
        format!(",SECURED://127.0.0.1:{}", self.port)
    }

    /// Its part of the broker's properties; the key store is written beside them.
    pub(super) fn properties(&self, dir: &Path) -> String {
        let store = dir.join("server.pem");
        fs::write(&store, self.certificates.server_files().map(|part| fs::read_to_string(part).unwrap()).concat())
            .unwrap();
        format!(
            "listener.name.secured.sasl.enabled.mechanisms={MECHANISM}\n\
             listener.name.secured.scram-sha-512.sasl.jaas.config=\
             org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
             listener.name.secured.ssl.keystore.type=PEM\n\
             listener.name.secured.ssl.keystore.location={}\n",
            store.display()
        )
    }
}
