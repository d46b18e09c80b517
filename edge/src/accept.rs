//! The listener: HTTP/1.1, whose one interesting request becomes a WebSocket.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::{app::Shared, upgrade};

/// Slow headers are no way to hold a socket.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Enough for a request with a long token in a header; freed once the request is an upgrade.
const HEADER_BYTES: usize = 16 * 1024;
/// How long a connection may take to end: a peer that asks and does not read must not hold its place for ever.
const HTTP_GRACE: Duration = Duration::from_secs(5);
/// After an error that is not one connection's, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) async fn serve(
    shared: Arc<Shared>,
    tasks: TaskTracker,
    listener: TcpListener,
    router: Router,
) -> io::Result<()> {
    let permits = Arc::new(Semaphore::new(shared.settings.max_connections.min(Semaphore::MAX_PERMITS)));
    let mut failing = false;
    loop {
        // Taken before accept: whoever is over the limit waits in the kernel's queue and costs nothing here.
        let permit = Arc::clone(&permits).acquire_owned();
        let accepted = async { (permit.await, listener.accept().await) };
        let (permit, accepted) = tokio::select! {
            () = shared.stop.cancelled() => return Ok(()),
            accepted = accepted => accepted,
        };
        let permit = permit.expect("the semaphore is never closed");
        match accepted {
            Ok((socket, _)) => {
                failing = false;
                let (shared, sessions, router) = (Arc::clone(&shared), tasks.clone(), router.clone());
                tasks.spawn(connection(shared, sessions, socket, router, Arc::new(permit)));
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "cannot accept connections; trying again");
                }
                sleep(PAUSE).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Serves one socket's requests; an upgrade takes the socket over.
async fn connection(
    shared: Arc<Shared>,
    sessions: TaskTracker,
    socket: TcpStream,
    router: Router,
    permit: Arc<OwnedSemaphorePermit>,
) {
    let (stop, timeout_after) = (shared.stop.clone(), shared.settings.http_timeout);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (shared, sessions, router, permit) =
            (Arc::clone(&shared), sessions.clone(), router.clone(), Arc::clone(&permit));
        async move {
            if request.uri().path() == shared.settings.stream_path
                && let Some(response) = upgrade::answer(&shared, &sessions, &mut request, permit)
            {
                return Ok(response);
            }
            Ok::<_, Infallible>(route(router, request).await)
        }
    });
    let mut serving = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(HEADER_BYTES)
            .serve_connection(TokioIo::new(socket), service)
            .with_upgrades()
    );
    tokio::select! {
        // What a peer does to its own connection is its own affair.
        _ = &mut serving => return,
        () = stop.cancelled() => {}
        () = sleep(timeout_after) => {}
    }
    serving.as_mut().graceful_shutdown();
    // Whoever does not read its answers within the time is cut off.
    let _ = timeout(HTTP_GRACE, serving).await;
}

async fn route(router: Router, request: Request<Incoming>) -> Response<Body> {
    match router.oneshot(request.map(Body::new)).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}
