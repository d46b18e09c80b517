//! TLS. Which roots are trusted is the environment's word, so that the test runs itself again in a process with another
//! environment.

use signal_bus::{Bus, Mode, nats::NatsBus};
use signal_harness::{Certificates, Nats, require};

use crate::{
    behaviour::{behaves, comes_back},
    listener::{Listener, publication},
    server::Broker,
    tls::{again_with_trust, trusted},
};

fn bus(url: &str) -> NatsBus {
    NatsBus::new(url, Mode::Exact).unwrap()
}

#[tokio::test]
async fn a_server_whose_authority_is_trusted() {
    require!(Nats);
    match trusted() {
        Some(certificates) => with_trust(&certificates).await,
        None => again_with_trust("nats::tls::a_server_whose_authority_is_trusted").await,
    }
}

async fn with_trust(certificates: &Certificates) {
    let server = Nats::launch_with_tls(certificates).await;
    behaves(&bus(&server.url())).await;
    comes_back(&bus(&server.url()), &server).await;
    // A server that takes nobody without TLS is met with TLS.
    behaves(&bus(&server.url().replace("tls://", "nats://"))).await;
    // The certificate is for 127.0.0.1 and for localhost, and for no other.
    behaves(&bus(&format!("tls://localhost:{}", server.port()))).await;
    let reason = Listener::begin(&bus(&format!("tls://127.0.0.2:{}", server.port()))).lost().await;
    assert!(reason.starts_with("NATS at 127.0.0.2:"), "{reason}");
}

#[tokio::test]
async fn a_server_whose_authority_is_unknown() {
    require!(Nats);
    let server = Nats::launch_with_tls(&Certificates::make()).await;
    for url in [server.url(), server.url().replace("tls://", "nats://")] {
        let reason = Listener::begin(&bus(&url)).lost().await;
        assert!(server.blames(&reason) && reason.contains("certificate"), "{reason}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_told_nothing() {
    require!(Nats);
    let server = Nats::launch().await;
    let bus = bus(&server.url().replace("nats://", "tls://"));
    let reason = Listener::begin(&bus).lost().await;
    assert!(server.blames(&reason) && reason.ends_with("it does not offer TLS"), "{reason}");
    assert!(bus.publish(&[publication("a", "x")]).await.is_err());
}
