//! Who waits for which confirmation.
//!
//! A server answers a connection's commands in their order, so "everything sent so far is confirmed" is one number.

use std::{collections::VecDeque, mem};

use tokio::sync::oneshot;

/// Parked waiters below which nobody looks for those that have stopped waiting.
const FEW: usize = 64;

/// Numbers commands as they are sent and releases waiters as they are confirmed. Begins away, without a connection.
#[derive(Debug, Default)]
pub(crate) struct Confirmations {
    sent: u64,
    confirmed: u64,
    connected: bool,
    waiting: VecDeque<(u64, oneshot::Sender<()>)>,
    /// Who waits for a connection.
    parked: Vec<oneshot::Sender<()>>,
    prune_at: usize,
}

impl Confirmations {
    /// Counts a command that is being sent; its number is to be handed back to [`Self::confirm`].
    pub(crate) fn sent(&mut self) -> u64 {
        self.sent += 1;
        self.sent
    }

    /// `waiter` is told once everything that was sent until now is confirmed; while there is no connection, once all is
    /// confirmed that [`Self::connected`] finds sent.
    pub(crate) fn wait(&mut self, waiter: oneshot::Sender<()>) {
        if !self.connected {
            self.park(waiter);
        } else if self.confirmed >= self.sent {
            // Whoever no longer waits needs no word.
            let _ = waiter.send(());
        } else {
            self.waiting.push_back((self.sent, waiter));
        }
    }

    /// Long outages meet callers who give up: they are dropped each time their number could have doubled.
    fn park(&mut self, waiter: oneshot::Sender<()>) {
        if self.parked.len() >= self.prune_at.max(FEW) {
            self.parked.retain(|waiter| !waiter.is_closed());
            self.prune_at = 2 * self.parked.len();
        }
        self.parked.push(waiter);
    }

    pub(crate) fn confirm(&mut self, number: u64) {
        self.confirmed = self.confirmed.max(number);
        while self.waiting.front().is_some_and(|(wanted, _)| *wanted <= self.confirmed) {
            if let Some((_, waiter)) = self.waiting.pop_front() {
                let _ = waiter.send(());
            }
        }
    }

    /// Nothing that was sent on the connection that is gone will be confirmed: who waits, waits for the next one.
    pub(crate) fn lost(&mut self) {
        self.connected = false;
        self.confirmed = self.sent;
        for (_, waiter) in mem::take(&mut self.waiting) {
            self.park(waiter);
        }
    }

    /// There is a connection again, and everything that is held has been sent on it.
    pub(crate) fn connected(&mut self) {
        self.connected = true;
        self.prune_at = 0;
        for waiter in mem::take(&mut self.parked) {
            self.wait(waiter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiter(confirmations: &mut Confirmations) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        confirmations.wait(sender);
        receiver
    }

    #[test]
    fn waits_for_what_was_sent_before_and_for_no_more() {
        let mut confirmations = Confirmations::default();
        confirmations.connected();
        assert!(waiter(&mut confirmations).try_recv().is_ok(), "nothing is outstanding");
        let first = confirmations.sent();
        let mut waits_for_first = waiter(&mut confirmations);
        let second = confirmations.sent();
        let mut waits_for_both = waiter(&mut confirmations);
        assert!(waits_for_first.try_recv().is_err());
        confirmations.confirm(first);
        assert!(waits_for_first.try_recv().is_ok());
        assert!(waits_for_both.try_recv().is_err());
        confirmations.confirm(second);
        assert!(waits_for_both.try_recv().is_ok());
    }

    #[test]
    fn without_a_connection_nothing_is_confirmed() {
        let mut confirmations = Confirmations::default();
        let mut early = waiter(&mut confirmations);
        assert!(early.try_recv().is_err());
        confirmations.connected();
        assert!(early.try_recv().is_ok(), "nothing had to be sent");

        confirmations.sent();
        let mut waits = waiter(&mut confirmations);
        confirmations.lost();
        let mut meanwhile = waiter(&mut confirmations);
        let again = confirmations.sent();
        confirmations.connected();
        assert!(waits.try_recv().is_err());
        assert!(meanwhile.try_recv().is_err());
        confirmations.confirm(again);
        assert!(waits.try_recv().is_ok());
        assert!(meanwhile.try_recv().is_ok());
    }

    #[test]
    fn an_outage_keeps_no_waiters_that_gave_up() {
        let mut confirmations = Confirmations::default();
        let mut patient: Vec<_> = (0..100).map(|_| waiter(&mut confirmations)).collect();
        for _ in 0..100_000 {
            drop(waiter(&mut confirmations));
        }
        assert!(confirmations.parked.len() <= 2 * patient.len() + FEW, "{}", confirmations.parked.len());
        confirmations.connected();
        assert!(patient.iter_mut().all(|waiter| waiter.try_recv().is_ok()));
    }
}
