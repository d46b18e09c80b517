//! One crowd at a time: two of them would measure each other.

pub use signal_tests::crowd::{Crowd, Ended, MANY_SOON, tokens};
use signal_tests::open_files;
use tokio::sync::{Mutex, MutexGuard};

pub async fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    open_files::raise(15_000).unwrap();
    TURN.lock().await
}
