//! Who waits for which confirmation.
//!
//! Redis answers a connection's commands in their order, so "everything sent so far is confirmed" is one number.

use std::collections::VecDeque;

use tokio::sync::oneshot;

/// Numbers commands as they are sent and releases waiters as they are confirmed.
#[derive(Debug, Default)]
pub(super) struct Confirmations {
    sent: u64,
    confirmed: u64,
    waiting: VecDeque<(u64, oneshot::Sender<()>)>,
}

impl Confirmations {
    /// Counts a command that is being sent; its number is to be handed back to [`Self::confirm`].
    pub(super) fn sent(&mut self) -> u64 {
        self.sent += 1;
        self.sent
    }

    /// `waiter` is told once everything that was sent until now is confirmed.
    pub(super) fn wait(&mut self, waiter: oneshot::Sender<()>) {
        if self.confirmed >= self.sent {
            // Whoever no longer waits needs no word.
            let _ = waiter.send(());
        } else {
            self.waiting.push_back((self.sent, waiter));
        }
    }

    pub(super) fn confirm(&mut self, number: u64) {
        self.confirmed = self.confirmed.max(number);
        while self.waiting.front().is_some_and(|(wanted, _)| *wanted <= self.confirmed) {
            if let Some((_, waiter)) = self.waiting.pop_front() {
                let _ = waiter.send(());
            }
        }
    }

    /// A new connection: nothing that was sent on the old one will be confirmed. Who waits goes on waiting, for all
    /// that is sent from here, once they are handed back to [`Self::wait`].
    pub(super) fn reset(&mut self) -> Vec<oneshot::Sender<()>> {
        self.confirmed = self.sent;
        self.waiting.drain(..).map(|(_, waiter)| waiter).collect()
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
    fn a_new_connection_keeps_the_waiters() {
        let mut confirmations = Confirmations::default();
        confirmations.sent();
        let mut waits = waiter(&mut confirmations);
        let waiters = confirmations.reset();
        assert_eq!(waiters.len(), 1);
        assert!(waits.try_recv().is_err());
        let again = confirmations.sent();
        for waiter in waiters {
            confirmations.wait(waiter);
        }
        confirmations.confirm(again);
        assert!(waits.try_recv().is_ok());
    }
}
