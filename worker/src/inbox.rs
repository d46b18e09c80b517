//! The REST API with which people read their notifications and mark them as read. Whoever asks sees and changes nobody's
//! but their own: what is another's is not there.
//!
//! 401 before anything else about a request; 503, within seconds, while the issuer or the database is away. What is
//! marked in one window is told to the person's others once it is committed, which no answer waits for.

mod caller;
mod marking;
mod reading;
mod shapes;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    http::{HeaderValue, header::CACHE_CONTROL},
    middleware::map_response,
    response::Response,
};
use signal_auth::Verifier;
use signal_service::rest::RestError;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    publish::Publisher,
    store::{StoreError, inbox::Inbox},
};

const TAG: &str = "Notifications";
/// After which a request that found something away may succeed.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Markings that are not committed, or not told, yet. Above it they are refused, with 503.
const MARKINGS: usize = 1024;

/// What the handlers need.
#[derive(Debug)]
pub struct Notifications {
    inbox: Arc<dyn Inbox>,
    verifier: Arc<Verifier>,
    publisher: Arc<Publisher>,
    /// Where a marking goes on although whoever asked for it has hung up.
    tasks: TaskTracker,
    markings: Arc<Semaphore>,
}

impl Notifications {
    pub fn new(
        inbox: Arc<dyn Inbox>,
        verifier: Arc<Verifier>,
        publisher: Arc<Publisher>,
        tasks: TaskTracker,
    ) -> Arc<Self> {
        Arc::new(Self { inbox, verifier, publisher, tasks, markings: Arc::new(Semaphore::new(MARKINGS)) })
    }
}

/// The routes under `base_path`, to be finished with the others.
pub fn router(base_path: &str, notifications: Arc<Notifications>) -> Router {
    let (routes, _) = documented().layer(map_response(not_stored)).with_state(notifications).split_for_parts();
    if base_path.is_empty() { routes } else { Router::new().nest(base_path, routes) }
}

/// What they are, with paths relative to the base path.
pub fn openapi() -> OpenApi {
    documented().into_openapi()
}

fn documented() -> OpenApiRouter<Arc<Notifications>> {
    OpenApiRouter::default()
        .routes(routes!(reading::list))
        .routes(routes!(reading::count))
        .routes(routes!(marking::read_one))
        .routes(routes!(marking::read_these))
        .routes(routes!(marking::read_all))
}

/// What a person has to read is nobody else's, and another thing a moment later.
async fn not_stored(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn away(error: &StoreError) -> RestError {
    match error {
        // These do not pass by themselves.
        StoreError::Schema(_) | StoreError::Unfit(_) | StoreError::Refused { .. } => {
            tracing::error!(%error, "the notification API cannot be answered from this database");
        }
        StoreError::Away(_) | StoreError::TimedOut | StoreError::Stopped => {
            tracing::debug!(%error, "a request found no database");
        }
    }
    RestError::unavailable("The database is away").retry_after(RETRY_AFTER)
}
