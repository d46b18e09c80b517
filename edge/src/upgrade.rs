//! The request that turns a connection into a WebSocket (RFC 6455, 4.2).

use std::{sync::Arc, time::Duration};

use axum::{body::Body, response::IntoResponse};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{HeaderValue, SEC_WEBSOCKET_VERSION, UPGRADE},
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use signal_service::rest::RestError;
use tokio::{net::TcpStream, sync::OwnedSemaphorePermit};
use tokio_util::task::TaskTracker;
use tungstenite::handshake::server::create_response_with_body;

use crate::{
    accept::{Arrival, Permits},
    admission::{NotAdmitted, Place, Slot},
    app::Shared,
    metrics, session,
};

/// How soon whoever was one too many may try again.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Answers a request to become a WebSocket. The session begins once the answer is written, as a task of its own. `None`
/// leaves the answer to [`refuse`]: the request is no upgrade, or is not admitted.
pub(crate) fn answer(
    shared: &Arc<Shared>,
    sessions: &TaskTracker,
    request: &mut Request<Incoming>,
    arrival: &Arrival,
) -> Option<Response<Body>> {
    let response = create_response_with_body(request, Body::empty).ok()?;
    let admitted = match admit(shared, request, arrival) {
        Ok(admitted) => admitted,
        Err(refusal) => {
            request.extensions_mut().insert(refusal);
            return None;
        }
    };
    let shared = Arc::clone(shared);
    let upgrade = hyper::upgrade::on(request);
    sessions.spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let (socket, early) = take_socket(upgraded);
        session::run(shared, socket, early, admitted).await;
    });
    Some(response)
}

/// What a session holds of the edge's limits.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// Given back as soon as the client is authenticated.
    pub(crate) handshake: Place,
    pub(crate) stream: OwnedSemaphorePermit,
    pub(crate) slot: Option<Slot>,
}

fn admit(shared: &Shared, request: &Request<Incoming>, arrival: &Arrival) -> Result<Admitted, NotAdmitted> {
    shared.admission.origin(request.headers())?;
    let mut permits = arrival.permits.lock();
    let needs_slot = permits.as_ref().is_some_and(|permits| permits.slot.is_none());
    let forwarded = needs_slot.then(|| shared.admission.forwarded(arrival.peer, request.headers()));
    let forwarded = forwarded.transpose()?;
    let stream = shared.admission.stream()?;
    // A connection is upgraded once and is no HTTP from then on.
    let Permits { handshake, slot } = permits.take().ok_or(NotAdmitted::Full)?;
    Ok(Admitted { handshake, stream, slot: slot.or(forwarded) })
}

/// The raw socket is taken back out of hyper, so that nothing stands between it and the write path.
fn take_socket(upgraded: Upgraded) -> (TcpStream, Vec<u8>) {
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().expect("the listener hands hyper nothing but TCP sockets");
    // A copy of the few bytes that there may be: taken over, they would keep hyper's whole buffer alive with them.
    (parts.io.into_inner(), parts.read_buf.to_vec())
}

/// What a request for the stream gets that is no upgrade, or one too many.
pub(crate) async fn refuse(request: axum::extract::Request) -> Response<Body> {
    if let Some(refusal) = request.extensions().get::<NotAdmitted>() {
        metrics::not_admitted(refusal.label());
        let error = RestError::new(refusal.status(), refusal.to_string());
        return match refusal {
            NotAdmitted::Full | NotAdmitted::Address | NotAdmitted::Silent => error.retry_after(RETRY_AFTER),
            NotAdmitted::Origin => error,
        }
        .into_response();
    }
    metrics::upgrade_refused();
    let message = "This is a WebSocket endpoint: ask for an upgrade, with Sec-WebSocket-Version 13";
    let mut response = RestError::new(StatusCode::UPGRADE_REQUIRED, message).into_response();
    // RFC 9110, 15.5.22 wants the protocol named, RFC 6455, 4.4 the version.
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    response
}
