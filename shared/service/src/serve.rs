//! A listener of REST routes: HTTP/1.1, with bounds on what connections may take together and each by itself.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use crate::shutdown::Shutdown;

/// After an error that is not one connection's, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// What connections may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// So many at once; whoever is over it waits in the kernel's queue and costs nothing here.
    pub connections: usize,
    /// For the head of a request, and between two of them: slow headers are no way to hold a place.
    pub header_timeout: Duration,
    /// Enough for a request with a long token in a header.
    pub header_bytes: usize,
    /// After which a connection ends with the answer at hand, so that slow bodies are no way either.
    pub lifetime: Duration,
    /// For that answer: whoever does not read it within the time is cut off.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Half of the files that a process may commonly open.
            connections: 512,
            header_timeout: Duration::from_secs(10),
            header_bytes: 16 * 1024,
            lifetime: Duration::from_secs(60),
            grace: Duration::from_secs(15),
        }
    }
}

/// Accepts until the shutdown begins. Connections are tasks of it: each ends once it has answered what it was asked.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, shutdown: Shutdown) {
    serve_until(listener, router, limits, shutdown.token(), shutdown.tasks()).await;
}

/// The same until `stop`, its connections being `tasks`.
pub(crate) async fn serve_until(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
    tasks: &TaskTracker,
) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = accept(&listener, &room) => accepted,
        };
        match accepted {
            Ok((socket, place)) => {
                failing = false;
                tasks.spawn(connection(socket, router.clone(), limits, stop.clone(), place));
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

/// The place is taken before accept.
async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(room).acquire_owned().await.expect("the semaphore is never closed");
    let (socket, _) = listener.accept().await?;
    Ok((socket, place))
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn connection(
    socket: TcpStream,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        async move {
            let response = router.oneshot(request.map(Body::new)).await;
            Ok::<_, Infallible>(response.unwrap_or_else(|never| match never {}))
        }
    });
    // An answer goes out in one piece or two, and neither waits for the other to be acknowledged.
    let _ = socket.set_nodelay(true);
    let mut serving = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_buf_size(limits.header_bytes)
            .serve_connection(TokioIo::new(socket), service)
    );
    tokio::select! {
        // What a peer does to its own connection is its own affair.
        ended = &mut serving => return count_malformed(&ended),
        () = stop.cancelled() => {}
        () = sleep(limits.lifetime) => {}
    }
    serving.as_mut().graceful_shutdown();
    let _ = timeout(limits.grace, serving).await;
}

/// Counts what was no HTTP, or too large a head of it. It was answered with 400 or 431 and never became a request.
pub fn count_malformed(ended: &Result<(), hyper::Error>) {
    let malformed = ended.as_ref().is_err_and(hyper::Error::is_parse);
    metrics::counter!("signal_http_malformed_requests_total").increment(u64::from(malformed));
}

#[cfg(test)]
mod tests;
