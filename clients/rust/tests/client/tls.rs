//! `wss://`: a certificate that is trusted, and one that is not.
#![cfg(feature = "tls")]

use std::{net::SocketAddr, sync::Arc};

use futures_util::{SinkExt, StreamExt};
use rcgen::generate_simple_self_signed;
use signal_client::{Endpoint, Session, session::OpenError};
use tokio::net::TcpListener;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};
use tokio_tungstenite::{accept_async, tungstenite::Message as RawFrame};

use crate::fake_edge::soon;

/// An edge behind TLS that closes everybody who authenticates with 4003; and its certificate.
async fn edge() -> (SocketAddr, CertificateDer<'static>) {
    let issued = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = issued.cert.der().clone();
    let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(stream) = TlsAcceptor::from(Arc::new(config)).accept(stream).await else { return };
        let mut socket = accept_async(stream).await.unwrap();
        let _authenticate = socket.next().await;
        socket.send(RawFrame::Close(None)).await.unwrap();
    });
    (addr, certificate)
}

#[tokio::test]
async fn a_trusted_edge_is_talked_to() {
    let (addr, certificate) = edge().await;
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let trusting = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let endpoint = Endpoint::new(&format!("wss://localhost:{}/stream", addr.port())).unwrap().tls(Arc::new(trusting));
    let refused = soon(Session::open(&endpoint, "t")).await;
    assert!(matches!(&refused, Err(OpenError::Refused { .. })), "{refused:?}");
}

#[tokio::test]
async fn an_edge_that_nobody_vouches_for_is_not() {
    let (addr, _) = edge().await;
    let endpoint = Endpoint::new(&format!("wss://localhost:{}/stream", addr.port())).unwrap();
    let refused = soon(Session::open(&endpoint, "t")).await;
    assert!(matches!(&refused, Err(OpenError::Dial(_))), "{refused:?}");
}
