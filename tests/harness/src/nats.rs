//! A NATS of one's own: one server, or a cluster.

mod cluster;

use std::{fs, net::SocketAddr, ops::Deref, process::Command, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
    time::Instant,
};

pub use self::cluster::NatsCluster;
use crate::{
    Certificates, Server,
    eventually::until,
    free_port, get,
    process::{Process, Signal},
    program::find_program,
    restartable::Restartable,
    scratch_dir,
};

const START: Duration = Duration::from_secs(20);

/// One `nats-server`, without JetStream: what nobody heard is gone.
#[derive(Debug)]
pub struct Nats {
    port: u16,
    monitor: u16,
    scheme: &'static str,
    configuration: String,
    process: Restartable,
}

impl Deref for Nats {
    type Target = Restartable;

    fn deref(&self) -> &Restartable {
        &self.process
    }
}

impl Server for Nats {
    const NAME: &'static str = "NATS";

    fn available() -> Result<(), String> {
        find_program("nats-server")
            .map(|_| ())
            .ok_or_else(|| "no nats-server on the PATH (Debian: apt-get install nats-server)".to_owned())
    }
}

impl Nats {
    pub async fn launch() -> Nats {
        Nats::launch_with("").await
    }

    /// With further lines of configuration.
    pub async fn launch_with(configuration: &str) -> Nats {
        let nats = Nats::reserved_with(configuration);
        nats.start().await;
        nats
    }

    /// One whose URL is `tls://`, and that takes nobody without TLS.
    pub async fn launch_with_tls(certificates: &Certificates) -> Nats {
        let [certificate, key] = certificates.server_files();
        let mut nats = Nats::reserved_with(&format!("tls {{ cert_file: '{certificate}', key_file: '{key}' }}"));
        nats.scheme = "tls";
        nats.start().await;
        nats
    }

    /// A port and a URL, with nobody there until `start`.
    pub fn reserved() -> Nats {
        Nats::reserved_with("")
    }

    pub fn reserved_with(configuration: &str) -> Nats {
        let (port, monitor) = (free_port(), free_port());
        let configuration = format!(
            "listen: '127.0.0.1:{port}'\nhttp: '127.0.0.1:{monitor}'\n# The least that it takes.\n\
             lame_duck_grace_period: '1s'\nlame_duck_duration: '30s'\n{configuration}\n"
        );
        Nats { port, monitor, scheme: "nats", configuration, process: Restartable::default() }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    pub async fn start(&self) {
        let program = find_program("nats-server").expect("a test asks for it with require!");
        let file = scratch_dir("nats").join("nats.conf");
        fs::write(&file, &self.configuration).unwrap();
        let mut starting = Command::new(program);
        starting.arg("-c").arg(file);
        let process = Process::spawn("nats-server", starting, Signal::Kill);
        if let Err(last) = until(Instant::now() + START, &mut || self.greets()).await {
            panic!("nats-server does not answer: {last}\n{}", process.output());
        }
        self.process.runs(process);
    }

    /// A server speaks first, also before TLS.
    async fn greets(&self) -> Result<(), String> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.map_err(|error| error.to_string())?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await.map_err(|error| error.to_string())?;
        if line.starts_with("INFO ") { Ok(()) } else { Err(line) }
    }

    pub async fn restart(&self) {
        self.stop().await;
        self.start().await;
    }

    /// Tells it to take nobody any more and to send those away whom it has, over half a minute.
    pub fn leave(&self) {
        self.signal(Signal::User2);
    }

    /// What the server tells of itself, such as at `/connz?subs=1`.
    pub async fn monitor(&self, path: &str) -> Result<Value, String> {
        let address = SocketAddr::from(([127, 0, 0, 1], self.monitor));
        let response = get(address, path).await.map_err(|error| error.to_string())?;
        serde_json::from_str(&response.body).map_err(|error| error.to_string())
    }

    /// The subjects that anybody is subscribed to, once for each subscription, in order.
    pub async fn subjects(&self) -> Result<Vec<String>, String> {
        let connections = self.monitor("/connz?subs=1").await?;
        let connections = connections["connections"].as_array().cloned().unwrap_or_default();
        let subjects = connections.iter().filter_map(|one| one["subscriptions_list"].as_array()).flatten();
        let mut subjects: Vec<_> = subjects.filter_map(|subject| subject.as_str().map(str::to_owned)).collect();
        subjects.sort();
        Ok(subjects)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::require;

    #[tokio::test]
    async fn comes_back_on_the_port_it_had() {
        require!(Nats);
        let nats = Nats::launch_with("max_payload: 4096").await;
        assert_eq!(nats.monitor("/varz").await.unwrap()["max_payload"], 4096);
        nats.stop().await;
        assert!(nats.greets().await.is_err());
        nats.start().await;
        assert_eq!(nats.greets().await, Ok(()));
        assert_eq!(nats.subjects().await.unwrap(), [""; 0]);
    }
}
