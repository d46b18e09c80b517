//! The listener: HTTP/1.1, whose one interesting request becomes a WebSocket.

use std::{convert::Infallible, io, net::IpAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use signal_service::serve::count_malformed;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;
use uuid::Uuid;

use crate::{
    admission::{NotAdmitted, Place, Slot},
    app::Shared,
    metrics, upgrade,
};

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
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            () = shared.stop.cancelled() => return Ok(()),
            accepted = accept(&shared, &listener) => accepted,
        };
        match accepted {
            Ok((handshake, socket, peer)) => {
                failing = false;
                match shared.admission.peer(peer) {
                    Ok(slot) => {
                        let make_room = handshake.make_room();
                        let permits = Mutex::new(Some(Permits { handshake, slot }));
                        let arrival = Arrival { peer, make_room, permits };
                        tasks.spawn(connection(Arc::clone(&shared), tasks.clone(), socket, router.clone(), arrival));
                    }
                    Err(refusal) => refuse(&socket, refusal),
                }
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

/// What a connection holds of the edge's limits.
#[derive(Debug)]
pub(crate) struct Permits {
    /// Until it is an authenticated client.
    pub(crate) handshake: Place,
    /// `None` as long as only the proxy's address is known.
    pub(crate) slot: Option<Slot>,
}

/// A connection that has been accepted and is nobody yet.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) peer: IpAddr,
    /// Cancelled when somebody else needs the place more.
    make_room: CancellationToken,
    /// Taken by the session once the connection is upgraded; else they end with the connection.
    pub(crate) permits: Mutex<Option<Permits>>,
}

/// The permit is taken before accept: whoever is over the limit waits in the kernel's queue and costs nothing here.
async fn accept(shared: &Shared, listener: &TcpListener) -> io::Result<(Place, TcpStream, IpAddr)> {
    let room = shared.admission.room().await;
    let (socket, peer) = listener.accept().await?;
    Ok((shared.admission.handshake(room), socket, peer.ip()))
}

/// Before a byte is read: reading would be what the limit is there to spare.
fn refuse(socket: &TcpStream, refusal: NotAdmitted) {
    metrics::not_admitted(refusal.label());
    let id = Uuid::new_v4();
    let body = format!(r#"{{"message":"{refusal}","statusCode":429,"requestId":"{id}","details":{{}}}}"#);
    let answer = format!(
        "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\nretry-after: {}\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        upgrade::RETRY_AFTER.as_secs(),
        body.len()
    );
    // Whether it is heard is the peer's affair.
    let _ = socket.try_write(answer.as_bytes());
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Serves one socket's requests; an upgrade takes the socket over.
async fn connection(shared: Arc<Shared>, sessions: TaskTracker, socket: TcpStream, router: Router, arrival: Arrival) {
    let (stop, timeout_after) = (shared.stop.clone(), shared.settings.http_timeout);
    let make_room = arrival.make_room.clone();
    let arrival = Arc::new(arrival);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (shared, sessions, router, arrival) =
            (Arc::clone(&shared), sessions.clone(), router.clone(), Arc::clone(&arrival));
        async move {
            if request.uri().path() == shared.settings.stream_path
                && let Some(response) = upgrade::answer(&shared, &sessions, &mut request, &arrival)
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
        ended = &mut serving => return count_malformed(&ended),
        () = make_room.cancelled() => {
            metrics::not_admitted(NotAdmitted::Silent.label());
            return;
        }
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
