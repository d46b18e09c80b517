//! The request that turns a connection into a WebSocket (RFC 6455, 4.2).

use std::sync::Arc;

use axum::{body::Body, response::IntoResponse};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{SEC_WEBSOCKET_VERSION, UPGRADE},
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use signal_service::rest::RestError;
use tokio::{net::TcpStream, sync::OwnedSemaphorePermit};
use tokio_util::task::TaskTracker;
use tungstenite::handshake::server::create_response_with_body;

use crate::{app::Shared, metrics, session};

/// Answers a request for the stream. The session begins once the answer is written, as a task of its own.
pub(crate) fn answer(
    shared: &Arc<Shared>,
    sessions: &TaskTracker,
    mut request: Request<Incoming>,
    permit: Arc<OwnedSemaphorePermit>,
) -> Response<Body> {
    let response = match create_response_with_body(&request, Body::empty) {
        Ok(response) => response,
        Err(error) => return refuse(&error),
    };
    let shared = Arc::clone(shared);
    let upgrade = hyper::upgrade::on(&mut request);
    sessions.spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let (socket, early) = take_socket(upgraded);
        session::run(shared, socket, early).await;
        drop(permit);
    });
    response
}

/// The raw socket is taken back out of hyper, so that nothing stands between it and the write path.
fn take_socket(upgraded: Upgraded) -> (TcpStream, Vec<u8>) {
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().expect("the listener hands hyper nothing but TCP sockets");
    (parts.io.into_inner(), parts.read_buf.into())
}

fn refuse(error: &tungstenite::Error) -> Response<Body> {
    metrics::upgrade_refused();
    let message = format!("This is a WebSocket endpoint: {error}");
    let mut response = RestError::new(StatusCode::UPGRADE_REQUIRED, message).into_response();
    // RFC 9110, 15.5.22 wants the protocol named, RFC 6455, 4.4 the version.
    response.headers_mut().insert(UPGRADE, "websocket".parse().expect("a valid header"));
    response.headers_mut().insert(SEC_WEBSOCKET_VERSION, "13".parse().expect("a valid header"));
    response
}
