//! A cluster of NATS.

use std::time::Duration;

use tokio::time::Instant;

use super::Nats;
use crate::{eventually::until, free_port};

const FORM: Duration = Duration::from_secs(60);
const SERVERS: usize = 3;

/// Three servers that know each other.
#[derive(Debug)]
pub struct NatsCluster {
    servers: Vec<Nats>,
}

impl NatsCluster {
    /// Returns once every server has a route to all others.
    pub async fn launch() -> NatsCluster {
        let ports: Vec<u16> = (0..SERVERS).map(|_| free_port()).collect();
        let routes: Vec<_> = ports.iter().map(|port| format!("'nats://127.0.0.1:{port}'")).collect();
        let mut servers = Vec::new();
        for port in ports {
            let routes = routes.join(", ");
            let cluster = format!("cluster {{ name: 'tests', listen: '127.0.0.1:{port}', routes: [{routes}] }}");
            servers.push(Nats::launch_with(&cluster).await);
        }
        let deadline = Instant::now() + FORM;
        for server in &servers {
            if let Err(last) = until(deadline, &mut || knows_all(server)).await {
                panic!("the cluster does not form: {last}");
            }
        }
        NatsCluster { servers }
    }

    pub fn servers(&self) -> &[Nats] {
        &self.servers
    }

    /// All servers, so that a client may use any.
    pub fn url(&self) -> String {
        let servers: Vec<_> = self.servers.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
        format!("nats://{}", servers.join(","))
    }
}

async fn knows_all(server: &Nats) -> Result<(), String> {
    let routes = server.monitor("/routez").await?;
    let others = routes["routes"].as_array().cloned().unwrap_or_default();
    let mut names: Vec<_> = others.iter().map(|route| route["remote_id"].to_string()).collect();
    names.sort();
    names.dedup();
    if names.len() + 1 == SERVERS { Ok(()) } else { Err(routes.to_string()) }
}
