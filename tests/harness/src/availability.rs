//! What a test needs, and what happens where it cannot be had.

use std::{io::Write, thread};

/// Something that a test depends on and that a machine may not have.
pub trait Server {
    const NAME: &'static str;

    /// `Err` says what is missing and how to get it.
    fn available() -> Result<(), String>;
}

/// Leaves the test early when one of the servers cannot be had on this machine: with `CI=true`
/// it fails, else it prints a line `skipped: …` for the summary of `make test`.
#[macro_export]
macro_rules! require {
    ($($server:ty),+ $(,)?) => {
        $(
            if !$crate::available_or_skip(
                <$server as $crate::Server>::NAME,
                <$server as $crate::Server>::available(),
            ) {
                return;
            }
        )+
    };
}

pub fn available_or_skip(name: &str, available: Result<(), String>) -> bool {
    let Err(missing) = available else {
        return true;
    };
    assert!(!is_ci(), "{name} is needed with CI=true: {missing}");
    let test = thread::current().name().unwrap_or("a test").to_owned();
    // Not println!, which libtest swallows when a test passes; and in one write, as tests run beside each other.
    let line = format!("\nskipped: {test} needs {name}: {missing}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    false
}

#[allow(clippy::disallowed_methods, reason = "the one place where the suite asks where it runs")]
fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}
