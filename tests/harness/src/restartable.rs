//! A server that a test stops, freezes and starts again under the address that it had.

use std::sync::{Mutex, MutexGuard};

use crate::process::{Process, Signal};

/// Its process, while there is one.
#[derive(Debug, Default)]
pub struct Restartable(Mutex<Option<Process>>);

impl Restartable {
    pub(crate) fn runs(&self, process: Process) {
        *self.lock() = Some(process);
    }

    /// Cuts every connection and leaves the port closed.
    pub async fn stop(&self) {
        drop(self.lock().take());
    }

    /// Freezes the server: connections stay open and nothing is answered.
    pub fn pause(&self) {
        self.signal(Signal::Stop);
    }

    pub fn resume(&self) {
        self.signal(Signal::Continue);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.lock().as_ref().expect("the server runs").signal(signal);
    }

    /// Resident memory now, in KiB.
    pub fn rss_kib(&self) -> u64 {
        self.lock().as_ref().expect("the server runs").rss_kib()
    }

    pub fn pid(&self) -> u32 {
        self.lock().as_ref().expect("the server runs").pid()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Process>> {
        self.0.lock().unwrap()
    }
}
