//! The process's own figures, read from `/proc` when somebody looks.

use std::{sync::OnceLock, time::Instant};

static START: OnceLock<Instant> = OnceLock::new();

pub(super) fn mark_start() {
    START.get_or_init(Instant::now);
}

/// Where there is no `/proc`, only the uptime is known.
pub(super) fn record() {
    let uptime = START.get_or_init(Instant::now).elapsed();
    metrics::gauge!("process_uptime_seconds").set(uptime.as_secs_f64());
    if let Some(kibibytes) = resident_kibibytes() {
        metrics::gauge!("process_resident_memory_bytes").set(kibibytes * 1024.0);
    }
    if let Some(open) = open_files() {
        metrics::gauge!("process_open_fds").set(f64::from(open));
    }
}

fn resident_kibibytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn open_files() -> Option<u32> {
    let listed = std::fs::read_dir("/proc/self/fd").ok()?.count();
    // Listing the folder opens it, too.
    u32::try_from(listed.saturating_sub(1)).ok()
}
