//! The request that turns a connection into a WebSocket (RFC 6455, 4.2).

use std::sync::Arc;

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

use crate::{app::Shared, metrics, session};

/// Answers a request to become a WebSocket; `None` if it is none. The session begins once the answer is written, as a
/// task of its own.
pub(crate) fn answer(
    shared: &Arc<Shared>,
    sessions: &TaskTracker,
    request: &mut Request<Incoming>,
    permit: Arc<OwnedSemaphorePermit>,
) -> Option<Response<Body>> {
    let response = create_response_with_body(request, Body::empty).ok()?;
    let shared = Arc::clone(shared);
    let upgrade = hyper::upgrade::on(request);
    sessions.spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let (socket, early) = take_socket(upgraded);
        session::run(shared, socket, early).await;
        drop(permit);
    });
    Some(response)
}

/// The raw socket is taken back out of hyper, so that nothing stands between it and the write path.
fn take_socket(upgraded: Upgraded) -> (TcpStream, Vec<u8>) {
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().expect("the listener hands hyper nothing but TCP sockets");
    // A copy of the few bytes that there may be: taken over, they would keep hyper's whole buffer alive with them.
    (parts.io.into_inner(), parts.read_buf.to_vec())
}

/// What a request for the stream gets that is no upgrade.
pub(crate) async fn refuse() -> Response<Body> {
    metrics::upgrade_refused();
    let message = "This is a WebSocket endpoint: ask for an upgrade, with Sec-WebSocket-Version 13";
    let mut response = RestError::new(StatusCode::UPGRADE_REQUIRED, message).into_response();
    // RFC 9110, 15.5.22 wants the protocol named, RFC 6455, 4.4 the version.
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    response
}
