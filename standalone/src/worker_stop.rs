//! The worker's part of a stop: an embedded broker ends with the process, so what it took has to be handled before.

use std::time::Duration;

use signal_service::shutdown::{Drain, Shutdown};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

use crate::embedded::backlog::Backlog;

/// Stops the worker behind everything that feeds it.
#[derive(Debug)]
pub struct WorkerStop {
    /// The worker's own: it goes on while the process has begun to stop.
    shutdown: Shutdown,
    deadline: Duration,
    payments: TaskTracker,
    /// `None` where the broker is real and keeps what is left for the next start.
    backlog: Option<Backlog>,
}

impl WorkerStop {
    /// `payments` are those whose answer is not known yet. Should the worker stop by itself, `process` does, too.
    pub fn new(process: &Shutdown, deadline: Duration, payments: TaskTracker, backlog: Option<Backlog>) -> Self {
        let shutdown = Shutdown::new(deadline);
        let (failed, process) = (shutdown.token(), process.clone());
        tokio::spawn(async move {
            failed.cancelled().await;
            process.trigger();
        });
        Self { shutdown, deadline, payments, backlog }
    }

    /// What the worker is to be started with.
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// To be called once the process has begun to stop, and takes no payment any more.
    pub async fn stop(&self) -> Drain {
        let deadline = Instant::now() + self.deadline;
        if let Some(backlog) = &self.backlog {
            self.payments.close();
            let all_handled = async {
                self.payments.wait().await;
                backlog.handled().await;
            };
            // A worker that has failed handles nothing any more.
            let bounded = timeout_at(deadline, self.shutdown.token().run_until_cancelled_owned(all_handled));
            match bounded.await {
                Ok(Some(())) => {}
                Ok(None) => tracing::warn!("the worker has ended: records in the embedded broker are lost"),
                Err(_) => tracing::warn!("shutdown deadline reached: records in the embedded broker are lost"),
            }
        }
        self.shutdown.trigger();
        match timeout_at(deadline, self.shutdown.drain()).await {
            Ok(drain) => drain,
            Err(_) => Drain::DeadlineReached { left: self.shutdown.tasks().len() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stop(deadline: Duration, payments: TaskTracker) -> (Shutdown, WorkerStop) {
        let process = Shutdown::new(deadline);
        // Nobody is there, so it never says that all is handled.
        let backlog = Backlog::new("127.0.0.1:1", "signal", "topic").unwrap();
        let stop = WorkerStop::new(&process, deadline, payments, Some(backlog));
        (process, stop)
    }

    #[tokio::test]
    async fn a_worker_that_ends_takes_the_process_along_and_is_not_waited_for() {
        let (process, stop) = stop(Duration::from_secs(60), TaskTracker::new());
        stop.shutdown().trigger();
        process.token().cancelled().await;
        let stopped = tokio::time::timeout(Duration::from_secs(10), stop.stop()).await;
        assert_eq!(stopped.expect("long before the deadline"), Drain::Finished);
    }

    #[tokio::test]
    async fn the_deadline_holds_although_a_payment_is_without_answer() {
        let payments = TaskTracker::new();
        let _unanswered = payments.token();
        let (_, stop) = stop(Duration::from_millis(50), payments);
        let worker = stop.shutdown();
        let _at_work = worker.tasks().token();
        let stopped = tokio::time::timeout(Duration::from_secs(10), stop.stop()).await;
        assert_eq!(stopped.expect("the deadline ends it"), Drain::DeadlineReached { left: 1 });
        assert!(worker.token().is_cancelled());
    }
}
