//! Programs of the machine.

use std::{
    io,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// Looks a program up on the PATH.
#[allow(clippy::disallowed_methods, reason = "the PATH is where programs are looked up")]
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").ok()?;
    path.split(':').map(|dir| Path::new(dir).join(name)).find(|candidate| candidate.is_file())
}

/// Runs a short-lived command to its end without holding up the test's only thread.
pub(crate) async fn run(mut command: Command) -> io::Result<Output> {
    command.stdin(Stdio::null());
    let done = tokio::task::spawn_blocking(move || command.output());
    done.await.expect("waiting for a command does not panic")
}
