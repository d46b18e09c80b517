pub fn openapi() -> utoipa::openapi::OpenApi { unimplemented!() }
pub(crate) struct Clients { pub cluster: std::sync::Arc<crate::cluster::Cluster>, pub verifier: std::sync::Arc<signal_auth::Verifier>, pub permissions: std::sync::Arc<signal_auth::Permissions> }
pub(crate) fn router(_: &str, _: Clients) -> axum::Router { axum::Router::new() }
