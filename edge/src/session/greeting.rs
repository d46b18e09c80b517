//! A socket to somebody unknown, until it is known or closed.

use std::{future::poll_fn, pin::Pin, sync::Arc, time::Duration};

use signal_wire::{close::CloseCode, message};
use tokio::time::{Instant, sleep};
use tracing::Instrument;

use super::{
    End, FRAMES_PER_TURN, Reader,
    live::Member,
    machine::{self, Before, Greeting},
};
use crate::{
    admission::{NotAdmitted, Place},
    app::Shared,
    authenticate::{Accepted, Denied, Offer, authenticate},
    connection::{Link, Turn},
    metrics,
};

type Check<'a> = Pin<Box<dyn Future<Output = Result<Accepted, Denied>> + Send + 'a>>;

/// Returns once the client is authenticated and registered, or `None` once the link is closing.
pub(super) async fn greet<'a>(
    shared: &'a Arc<Shared>,
    link: &Arc<Link>,
    reader: &mut Reader,
    place: &Place,
) -> Option<Member> {
    let make_room = place.make_room();
    let mut deadline = std::pin::pin!(sleep(shared.settings.authentication_timeout));
    let mut check: Option<(Check<'a>, Instant)> = None;
    // It reads first: what came along with the upgrade is in tungstenite's buffer, where no readiness tells of it.
    let mut unread = true;
    loop {
        let checked = async {
            match &mut check {
                Some((check, _)) => check.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // A verdict that is there counts, even if the deadline has passed meanwhile.
            biased;
            verdict = checked => {
                let took = check.take().map_or(Duration::ZERO, |(_, since)| since.elapsed());
                return settle(shared, link, verdict, took);
            }
            () = shared.stop.cancelled() => {
                link.close(CloseCode::ServerShutdown);
                return None;
            }
            () = make_room.cancelled() => {
                metrics::not_admitted(NotAdmitted::Silent.label());
                link.close(CloseCode::TooManyRequests);
                return None;
            }
            () = &mut deadline => {
                metrics::handshake("timeout", shared.settings.authentication_timeout);
                link.close(CloseCode::AuthenticationTimeout);
                return None;
            }
            turn = next_turn(link, unread) => {
                if turn != Turn::Readable {
                    return None;
                }
                unread = match read(link, reader, check.is_some()) {
                    Read::All => false,
                    Read::Some => true,
                    Read::Closing => return None,
                    Read::Offer(offer) => {
                        place.spoke();
                        deadline.as_mut().reset(Instant::now() + shared.settings.handshake_timeout);
                        let span = tracing::debug_span!("handshake", "otel.kind" = "server");
                        let work = Box::pin(async move { authenticate(shared, &offer).await }.instrument(span));
                        check = Some((work, Instant::now()));
                        true
                    }
                };
            }
        }
    }
}

/// Waits for something to read; where some is left already, only lets others have their turn.
async fn next_turn(link: &Link, unread: bool) -> Turn {
    if !unread {
        return poll_fn(|cx| link.poll_turn(cx)).await;
    }
    tokio::task::yield_now().await;
    if link.is_open() { Turn::Readable } else { Turn::Closing }
}

/// How far reading came.
enum Read {
    /// Nothing is left for now.
    All,
    /// Others are to have their turn.
    Some,
    Offer(Offer),
    Closing,
}

/// Answers what is there to read, up to an offer.
fn read(link: &Link, reader: &mut Reader, checking: bool) -> Read {
    let greeting = if checking { Greeting::Checking } else { Greeting::Fresh };
    for _ in 0..FRAMES_PER_TURN {
        match reader.read(link) {
            Ok(None) => {}
            Ok(Some(message)) => match machine::before(&message.into_data(), greeting) {
                Before::Silence => {}
                Before::Error(text) => {
                    metrics::inbound_refused("unauthenticated");
                    link.send_plain(&message::compose_error(text));
                }
                Before::Authenticate(data) => return Read::Offer(data.into()),
            },
            Err(End::Empty) => return Read::All,
            Err(End::Gone) => return Read::Closing,
            Err(End::Broke(code)) => {
                link.close(code);
                return Read::Closing;
            }
        }
    }
    Read::Some
}

fn settle(shared: &Arc<Shared>, link: &Arc<Link>, verdict: Result<Accepted, Denied>, took: Duration) -> Option<Member> {
    match verdict {
        Ok(accepted) => {
            metrics::handshake("connected", took);
            Some(Member::enter(shared, link, accepted))
        }
        Err(denied) => {
            metrics::handshake(denied.label, took);
            link.send_plain(&message::compose_error(denied.message));
            link.close(denied.close);
            None
        }
    }
}
