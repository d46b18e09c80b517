//! TLS with the certificates that the operating system trusts.

use std::{io, sync::Arc};

use rustls_platform_verifier::BuilderVerifierExt;
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, Error, crypto::aws_lc_rs, pki_types::ServerName},
};

use super::Transport;

/// The default configuration. It names its provider of cryptography, so that it depends on no process-wide choice.
pub(crate) fn platform() -> Result<Arc<ClientConfig>, Error> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    Ok(Arc::new(config))
}

pub(crate) async fn wrap(
    config: &Arc<ClientConfig>,
    host: &str,
    stream: Box<dyn Transport>,
) -> io::Result<Box<dyn Transport>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await?;
    Ok(Box::new(stream))
}
