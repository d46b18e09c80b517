//! TLS to servers that the system's roots vouch for, or those in the file that `SSL_CERT_FILE` names.
//!
//! The redis crate can do this, too. It would read all roots again for each connection, on the thread that serves
//! others, and leaves no room for a patience of its own with each step of connecting.

use std::{
    io,
    sync::{Arc, OnceLock},
};

use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName},
};

/// One for the process, as the roots are. They are read when they are first needed.
static CONNECTOR: OnceLock<TlsConnector> = OnceLock::new();

pub(crate) async fn connect(host: &str, tcp: TcpStream) -> io::Result<Box<TlsStream<TcpStream>>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    // Both are large, and would make everything that may connect as large.
    Box::pin(connector()?.connect(name, tcp)).await.map(Box::new)
}

fn connector() -> io::Result<TlsConnector> {
    if let Some(connector) = CONNECTOR.get() {
        return Ok(connector.clone());
    }
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Old and odd certificates in a system's store are no reason to trust none of it.
    let (trusted, _) = roots.add_parsable_certificates(found.certs);
    if trusted == 0 {
        let cause = found.errors.first().map_or_else(|| "the system has none".to_owned(), ToString::to_string);
        return Err(io::Error::other(format!("no root certificates to trust: {cause}")));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(CONNECTOR.get_or_init(|| TlsConnector::from(Arc::new(config))).clone())
}
