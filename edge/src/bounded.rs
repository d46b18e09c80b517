//! A queue that is bounded in items and in bytes. Offering never waits.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// There is no room; nobody who listens any more counts as none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue is full")]
pub(crate) struct Full;

#[derive(Debug)]
pub(crate) struct Sender<T> {
    items: mpsc::Sender<Held<T>>,
    room: Arc<Semaphore>,
    bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Receiver<T>(mpsc::Receiver<Held<T>>);

#[derive(Debug)]
struct Held<T> {
    item: T,
    /// Given back once the item is taken out.
    _room: OwnedSemaphorePermit,
}

/// A queue of at most so many items that together are at most so many bytes.
pub(crate) fn queue<T>(items: usize, bytes: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = mpsc::channel(items);
    (Sender { items: sender, room: Arc::new(Semaphore::new(bytes)), bytes }, Receiver(receiver))
}

impl<T> Sender<T> {
    /// An item larger than the whole queue fits into it alone.
    pub(crate) fn offer(&self, item: T, bytes: usize) -> Result<(), Full> {
        let weight = u32::try_from(bytes.min(self.bytes)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(weight).map_err(|_| Full)?;
        self.items.try_send(Held { item, _room: room }).map_err(|_| Full)
    }
}

impl<T> Receiver<T> {
    /// Waits for at least one item, then adds all that are at hand, up to `max`. 0 once nobody can offer any more.
    /// Dropped while it waits, it has taken nothing.
    pub(crate) async fn recv_many(&mut self, items: &mut Vec<T>, max: usize) -> usize {
        let Some(first) = self.0.recv().await else { return 0 };
        items.push(first.item);
        let mut taken = 1;
        while taken < max
            && let Ok(held) = self.0.try_recv()
        {
            items.push(held.item);
            taken += 1;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn holds_so_many_items_and_so_many_bytes() {
        let (sender, mut receiver) = queue(3, 10);
        assert_eq!(sender.offer('a', 6), Ok(()));
        assert_eq!(sender.offer('b', 5), Err(Full));
        assert_eq!(sender.offer('c', 4), Ok(()));
        let mut items = Vec::new();
        assert_eq!(receiver.recv_many(&mut items, 1).await, 1);
        assert_eq!(sender.offer('d', 6), Ok(()), "what was taken out leaves its room behind");
        assert_eq!(receiver.recv_many(&mut items, 9).await, 2);
        assert_eq!(items, ['a', 'c', 'd']);
        for item in ['e', 'f', 'g'] {
            assert_eq!(sender.offer(item, 0), Ok(()));
        }
        assert_eq!(sender.offer('h', 0), Err(Full));
    }

    #[tokio::test]
    async fn what_is_larger_than_all_of_it_fits_alone() {
        let (sender, mut receiver) = queue(3, 10);
        assert_eq!(sender.offer('a', 99), Ok(()));
        assert_eq!(sender.offer('b', 1), Err(Full));
        receiver.recv_many(&mut Vec::new(), 1).await;
        assert_eq!(sender.offer('b', 1), Ok(()));
        drop(receiver);
        assert_eq!(sender.offer('c', 1), Err(Full), "nobody listens");
    }
}
