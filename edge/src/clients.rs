//! The REST API with which operators see and steer connected clients, whichever edge they ask and whichever edge a
//! client is on. What happens is the cluster's affair; here is what is asked, by whom, and how it is put.
//!
//! 401 and 403 before anything else about a request; 404 only if every edge has answered that it has no such client,
//! else 503; 429 if this edge asks the others as much as it may at once.

mod acting;
mod operator;
mod reading;
mod shapes;

use std::{sync::Arc, time::Duration};

use signal_auth::{Permissions, Verifier};
use signal_service::rest::RestError;
use signal_wire::control::Ask;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::cluster::{Cluster, Found, TooManyRequests};

const TAG: &str = "WebSocket clients";
/// After which a request that was one too many may succeed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What the handlers need.
#[derive(Debug)]
pub(crate) struct Clients {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) permissions: Arc<Permissions>,
}

/// The routes, with paths relative to the base path.
pub(crate) fn documented() -> OpenApiRouter<Arc<Clients>> {
    OpenApiRouter::default()
        .routes(routes!(reading::status))
        .routes(routes!(reading::list))
        .routes(routes!(reading::get, acting::disconnect))
        .routes(routes!(acting::broadcast))
        .routes(routes!(acting::send_to_room))
        .routes(routes!(acting::send_to_client))
}

/// Finds a client by its id and does what is asked, or says why not.
async fn somewhere(clients: &Clients, id: &str, ask: impl FnOnce(String) -> Ask) -> Result<Found, RestError> {
    // What is no UUID is no client's id.
    let id = Uuid::try_parse(id).map_err(|_| RestError::not_found())?.to_string();
    match clients.cluster.reach(ask(id)).await.map_err(refused)? {
        Found::Nowhere => Err(RestError::not_found()),
        Found::Unknown => Err(unknown()),
        Found::Busy => Err(overloaded()),
        found => Ok(found),
    }
}

fn unknown() -> RestError {
    RestError::unavailable("An edge did not answer: it is not known whether the client is connected")
        .retry_after(RETRY_AFTER)
}

fn overloaded() -> RestError {
    RestError::unavailable("More waits to be sent than is taken").retry_after(RETRY_AFTER)
}

fn refused(_: TooManyRequests) -> RestError {
    RestError::too_many_requests(RETRY_AFTER)
}
