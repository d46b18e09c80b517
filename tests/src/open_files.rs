//! What the operating system allows a process; children inherit it.

use anyhow::ensure;

/// Raises the soft limit of open files as far as it goes.
///
/// # Errors
/// If it does not go as far as `needed`.
#[allow(unsafe_code, reason = "the standard library has no resource limits")]
pub fn raise(needed: usize) -> anyhow::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a valid struct for the time of the call.
    let read = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    ensure!(read == 0, "no limit of open files: {}", std::io::Error::last_os_error());
    let hard = limit.rlim_max;
    ensure!(hard >= needed as u64, "{needed} open files are needed and {hard} allowed: raise it with `ulimit -Hn`");
    limit.rlim_cur = hard.min(1 << 20);
    // SAFETY: as above.
    let raised = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    ensure!(raised == 0, "the limit of open files cannot be raised: {}", std::io::Error::last_os_error());
    Ok(())
}
