//! Stopping: a signal cancels the token, tracked tasks finish, a deadline bounds the wait.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Shared by everything that must stop in an orderly way. Clones share it.
#[derive(Debug, Clone)]
pub struct Shutdown {
    token: CancellationToken,
    tasks: TaskTracker,
    deadline: Duration,
    begun: Arc<OnceLock<Instant>>,
    signal: Arc<OnceLock<i32>>,
}

/// Which of the two ended a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drain {
    Finished,
    /// The deadline did; so many tasks were abandoned.
    DeadlineReached {
        left: usize,
    },
}

impl Shutdown {
    pub fn new(deadline: Duration) -> Self {
        Self {
            token: CancellationToken::new(),
            tasks: TaskTracker::new(),
            deadline,
            begun: Arc::default(),
            signal: Arc::default(),
        }
    }

    /// Cancelled when the process is to stop.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// How long a drain may take.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Tasks that a drain waits for are spawned here.
    pub fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// The number of the signal that began the stop, if one did.
    pub fn signal(&self) -> Option<i32> {
        self.signal.get().copied()
    }

    /// Begins the stop, as a signal does.
    pub fn trigger(&self) {
        self.begun.get_or_init(Instant::now);
        self.token.cancel();
    }

    /// What is left until the deadline, for what comes after the drain: all of it before the stop begins.
    pub fn left(&self) -> Duration {
        self.deadline.saturating_sub(self.begun.get().map_or(Duration::ZERO, Instant::elapsed))
    }

    /// Begins the stop at the first SIGTERM or SIGINT; at the second, exits at once.
    ///
    /// # Errors
    /// If the handlers cannot be installed.
    pub fn on_signal(&self) -> std::io::Result<()> {
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let (seen, signals) = mpsc::channel(2);
        tokio::spawn(async move {
            loop {
                let got = tokio::select! {
                    _ = term.recv() => Received { name: "SIGTERM", number: 15 },
                    _ = int.recv() => Received { name: "SIGINT", number: 2 },
                };
                if seen.send(got).await.is_err() {
                    return;
                }
            }
        });
        tokio::spawn(obey(signals, self.clone(), |code| std::process::exit(code)));
        Ok(())
    }

    /// Waits until every tracked task has ended, or for the deadline. To be called once
    /// the token is cancelled.
    pub async fn drain(&self) -> Drain {
        let started = Instant::now();
        self.tasks.close();
        let outcome = tokio::select! {
            () = self.tasks.wait() => Drain::Finished,
            () = tokio::time::sleep(self.left()) => Drain::DeadlineReached { left: self.tasks.len() },
        };
        let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        match outcome {
            Drain::Finished => tracing::info!(elapsed_ms, "drained, stopping"),
            Drain::DeadlineReached { left } => {
                tracing::warn!(elapsed_ms, left, "shutdown deadline reached, stopping with tasks unfinished");
            }
        }
        outcome
    }
}

#[derive(Debug)]
struct Received {
    name: &'static str,
    number: i32,
}

async fn obey(mut signals: mpsc::Receiver<Received>, shutdown: Shutdown, exit: impl FnOnce(i32)) {
    let Some(first) = signals.recv().await else { return };
    tracing::info!(signal = first.name, deadline_ms = shutdown.deadline.as_millis(), "stopping");
    shutdown.signal.get_or_init(|| first.number);
    shutdown.trigger();
    let Some(second) = signals.recv().await else { return };
    tracing::warn!(signal = second.name, "second signal, exiting at once");
    // What a shell reports for a process that a signal ended.
    exit(128 + second.number);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_drain_ends_when_the_last_task_does() {
        let shutdown = Shutdown::new(Duration::from_secs(30));
        let token = shutdown.token();
        shutdown.tasks().spawn(async move { token.cancelled().await });
        shutdown.trigger();
        assert_eq!(shutdown.drain().await, Drain::Finished);
    }

    #[tokio::test]
    async fn what_is_left_runs_out_once_the_stop_has_begun() {
        let shutdown = Shutdown::new(Duration::from_millis(20));
        assert_eq!(shutdown.left(), Duration::from_millis(20));
        shutdown.tasks().spawn(std::future::pending::<()>());
        shutdown.trigger();
        shutdown.drain().await;
        assert_eq!(shutdown.left(), Duration::ZERO, "the drain took all of it");
    }

    #[tokio::test]
    async fn the_deadline_holds() {
        let shutdown = Shutdown::new(Duration::from_millis(20));
        shutdown.tasks().spawn(std::future::pending::<()>());
        let started = Instant::now();
        shutdown.trigger();
        assert_eq!(shutdown.drain().await, Drain::DeadlineReached { left: 1 });
        assert!(started.elapsed() >= Duration::from_millis(20));
    }

    #[tokio::test]
    async fn the_first_signal_cancels_and_the_second_exits() {
        let shutdown = Shutdown::new(Duration::from_secs(30));
        let (send, signals) = mpsc::channel(2);
        let code = Arc::new(AtomicI32::new(0));
        let exits = Arc::clone(&code);
        let task = tokio::spawn(obey(signals, shutdown.clone(), move |with| exits.store(with, Ordering::SeqCst)));

        send.send(Received { name: "SIGTERM", number: 15 }).await.unwrap();
        shutdown.token().cancelled().await;
        assert_eq!(shutdown.signal(), Some(15));
        assert_eq!(code.load(Ordering::SeqCst), 0);
        send.send(Received { name: "SIGINT", number: 2 }).await.unwrap();
        task.await.unwrap();
        assert_eq!(code.load(Ordering::SeqCst), 130);
    }
}
