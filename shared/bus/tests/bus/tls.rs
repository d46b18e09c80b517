//! TLS. Which roots are trusted is the environment's word, so that the test runs itself again in a process with another
//! environment.

use std::{path::Path, process::Command};

use signal_bus::{Mode, redis::RedisBus};
use signal_harness::{Certificates, Process, Redis, RedisCluster, RedisSentinel, RedisTls, Signal, require};

use crate::{
    behaviour::{behaves, comes_back},
    listener::{AT_LAST, Listener, heard, say},
};

const CERTIFICATES: &str = "BUS_TEST_CERTIFICATES";

#[tokio::test]
async fn a_server_whose_authority_is_trusted() {
    require!(RedisTls);
    match trusted() {
        Some(certificates) => with_trust(&certificates).await,
        None => again_with_trust("tls::a_server_whose_authority_is_trusted").await,
    }
}

/// In the process that trusts an authority, its certificates.
pub(crate) fn trusted() -> Option<Certificates> {
    #[allow(clippy::disallowed_methods, reason = "how the process that trusts the authority knows that it is that")]
    std::env::var(CERTIFICATES).ok().map(|dir| Certificates::at(Path::new(&dir)))
}

/// Runs `test` in a process that trusts an authority.
pub(crate) async fn again_with_trust(test: &str) {
    let certificates = Certificates::make();
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", test, "--nocapture"]);
    again.env("SSL_CERT_FILE", certificates.ca_file()).env(CERTIFICATES, certificates.dir());
    let process = Process::spawn("the same test", again, Signal::Kill);
    let status = process.wait_exit(3 * AT_LAST).await;
    let output = process.output_to_its_end();
    assert!(status.success() && output.contains("1 passed"), "{output}");
}

async fn with_trust(certificates: &Certificates) {
    let server = Redis::launch_with_tls(certificates).await;
    let bus = RedisBus::new(&server.url(), Mode::Exact).unwrap();
    behaves(&bus).await;
    comes_back(&bus, &server).await;
    // For a node of a cluster it is the same.
    let address = server.url().replace("rediss://", "");
    behaves(&RedisBus::new(&format!("rediss-cluster://{address},{address}"), Mode::Exact).unwrap()).await;

    let cluster = RedisCluster::launch_with_tls(certificates).await;
    behaves(&RedisBus::new(&cluster.sharded_url(), Mode::Exact).unwrap()).await;
    drop(cluster);

    let redis = RedisSentinel::launch_with_tls(certificates).await;
    let bus = RedisBus::new(&redis.url(), Mode::Exact).unwrap();
    let mut listener = Listener::open(&bus).await;
    listener.acquire(&["a"]).await;
    redis.master().await.stop().await;
    listener.lost().await;
    listener.restored().await;
    say(&bus, "a", "after").await;
    assert_eq!(listener.message().await, heard("a", "after"));
}

#[tokio::test]
async fn a_server_whose_authority_is_unknown() {
    require!(RedisTls);
    let server = Redis::launch_with_tls(&Certificates::make()).await;
    let bus = RedisBus::new(&server.url(), Mode::Exact).unwrap();
    let reason = Listener::begin(&bus).lost().await;
    assert!(reason.starts_with("Redis at 127.0.0.1:") && reason.contains("certificate"), "{reason}");
}
