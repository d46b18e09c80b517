//! One direction of one connection.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};

use super::{Shared, Way, Weather};

const PIECE: usize = 16 * 1024;
/// Pieces on their way: beyond it the sender has to wait, as for a full window.
const ON_THE_WAY: usize = 256;

pub(super) struct Pump {
    pub(super) way: Way,
    pub(super) number: u64,
    pub(super) shared: Arc<Shared>,
}

/// The connection is to be reset.
pub(super) struct Cut;

type Pieces = (Instant, Vec<u8>);

impl Pump {
    /// Carries until the sender has ended its direction.
    pub(super) async fn run(self, from: OwnedReadHalf, to: OwnedWriteHalf) -> Result<(), Cut> {
        let (sender, receiver) = mpsc::channel(ON_THE_WAY);
        tokio::try_join!(self.take(from, sender), self.give(to, receiver)).map(drop)
    }

    async fn take(&self, mut from: OwnedReadHalf, pieces: mpsc::Sender<Pieces>) -> Result<(), Cut> {
        let mut weather = self.shared.weather.subscribe();
        let mut piece = vec![0; PIECE];
        let mut last = Instant::now();
        loop {
            audible(&mut weather, self.way, self.number).await;
            tokio::select! {
                read = from.read(&mut piece) => {
                    let link = weather.borrow_and_update().link(self.way, self.number);
                    let mut delay = link.delay + link.jitter.mul_f64(chance());
                    if let Some((_, stall)) = link.stall.filter(|(one_in, _)| chance() < 1.0 / f64::from(*one_in)) {
                        delay += stall;
                    }
                    last = last.max(Instant::now() + delay);
                    match read {
                        Ok(0) => return Ok(()),
                        Ok(count) => {
                            if pieces.send((last, piece[..count].to_vec())).await.is_err() {
                                return Ok(());
                            }
                        }
                        Err(_) => {
                            let _ = from.as_ref().set_zero_linger();
                            return Err(Cut);
                        }
                    }
                }
                _ = weather.changed() => {}
            }
        }
    }

    async fn give(&self, mut to: OwnedWriteHalf, mut pieces: mpsc::Receiver<Pieces>) -> Result<(), Cut> {
        let mut weather = self.shared.weather.subscribe();
        let mut carried = 0;
        while let Some((due, mut piece)) = pieces.recv().await {
            sleep_until(due).await;
            audible(&mut weather, self.way, self.number).await;
            let link = weather.borrow_and_update().link(self.way, self.number);
            let left = link.cut_after.map_or(u64::MAX, |limit| limit.saturating_sub(carried));
            let cut = (piece.len() as u64) > left;
            if cut {
                piece.truncate(left as usize);
            }
            let written = to.write_all(&piece).await;
            carried += piece.len() as u64;
            self.shared.carried[self.way as usize].fetch_add(piece.len() as u64, Ordering::SeqCst);
            if cut || written.is_err() {
                let _ = to.as_ref().set_zero_linger();
                return Err(Cut);
            }
            if let Some(rate) = link.bytes_per_second {
                sleep(Duration::from_secs_f64(piece.len() as f64 / rate as f64)).await;
            }
        }
        // What comes last is the end.
        audible(&mut weather, self.way, self.number).await;
        let _ = to.shutdown().await;
        Ok(())
    }
}

/// Waits until this direction carries anything.
pub(super) async fn audible(weather: &mut watch::Receiver<Weather>, way: Way, number: u64) {
    // The sender is shared by all that could wait.
    let _ = weather.wait_for(|weather| !weather.link(way, number).silent).await;
}

/// From 0 to 1, in steps that nobody foresees.
fn chance() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    (RandomState::new().hash_one(0) >> 11) as f64 / (1u64 << 53) as f64
}
