//! The process's own figures, and the memory of the container that it is in, read from `/proc` and the cgroup when
//! somebody looks. An alert that something is nearly used up needs to know how much there is.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Instant,
};

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
    if let Some(seconds) = std::fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(cpu_seconds) {
        // Counters of this crate are whole numbers, which is too coarse here.
        metrics::gauge!("process_cpu_seconds_total").set(seconds);
    }
    if let Some(open) = open_files() {
        metrics::gauge!("process_open_fds").set(f64::from(open));
    }
    if let Some(most) = std::fs::read_to_string("/proc/self/limits").ok().as_deref().and_then(most_files) {
        metrics::gauge!("process_max_fds").set(most);
    }
    // A process does not change its cgroup by itself.
    static GROUP: OnceLock<Option<PathBuf>> = OnceLock::new();
    if let Some(group) = GROUP.get_or_init(memory_group) {
        record_container(group);
    }
}

/// Where there is no limit, there is only what is used.
fn record_container(group: &Path) {
    let read = |file: &str| std::fs::read_to_string(group.join(file)).ok();
    if let (Some(current), Some(statistics)) = (read("memory.current"), read("memory.stat"))
        && let Some(bytes) = working_set(&current, &statistics)
    {
        metrics::gauge!("signal_container_memory_bytes").set(bytes);
    }
    if let Some(bytes) = read("memory.max").and_then(|text| text.trim().parse::<f64>().ok()) {
        metrics::gauge!("signal_container_memory_limit_bytes").set(bytes);
    }
}

/// The folder of this process's cgroup, version 2.
fn memory_group() -> Option<PathBuf> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let group = Path::new("/sys/fs/cgroup").join(path);
    group.join("memory.current").is_file().then_some(group)
}

/// What can't be had back without swapping or ending somebody: all but file pages that nobody has used lately. By this
/// the kubelet evicts; sockets' buffers in the kernel are part of it.
fn working_set(current: &str, statistics: &str) -> Option<f64> {
    let current: f64 = current.trim().parse().ok()?;
    let inactive = statistics.lines().find_map(|line| line.strip_prefix("inactive_file "))?;
    Some((current - inactive.trim().parse::<f64>().ok()?).max(0.0))
}

/// User and system time: the fields 14 and 15 of proc(5), counted behind the program's name, which may have spaces and
/// parentheses in it, and in hundredths of a second on every Linux that there is.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(11).map(str::parse::<f64>);
    Some((times.next()?.ok()? + times.next()?.ok()?) / 100.0)
}

/// The soft limit, which is the one that holds; `unlimited` is none.
fn most_files(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_the_soft_ones() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             1                    2                    processes \n\
                      Max open files            20000                524288               files     \n";
        assert_eq!(most_files(limits), Some(20_000.0));
        assert_eq!(most_files("Max open files            unlimited            unlimited            files"), None);
    }

    #[test]
    fn cpu_time_is_that_of_user_and_system() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 900 0 3 0 1234 66 0 0 20 0 5 0 100 9 8";
        assert_eq!(cpu_seconds(stat), Some(13.0));
        assert_eq!(cpu_seconds("7 (a) S 1"), None);
    }

    #[test]
    fn file_pages_that_nobody_uses_do_not_count() {
        let statistics = "anon 300\nfile 200\ninactive_file 150\nactive_file 50\n";
        assert_eq!(working_set("1000\n", statistics), Some(850.0));
        assert_eq!(working_set("100\n", statistics), Some(0.0), "the two are not read at one moment");
        assert_eq!(working_set("1000\n", "anon 300\n"), None);
    }

    #[test]
    fn a_group_without_a_limit_says_what_is_used() {
        let group = std::env::temp_dir().join(format!("signal-cgroup-{}", std::process::id()));
        std::fs::create_dir_all(&group).unwrap();
        for (file, text) in
            [("memory.current", "4096\n"), ("memory.stat", "inactive_file 96\n"), ("memory.max", "max\n")]
        {
            std::fs::write(group.join(file), text).unwrap();
        }
        // Kept out of the global recorder, which other tests read.
        let recorder = super::super::builder().unwrap().build_recorder();
        let seen = recorder.handle();
        metrics::with_local_recorder(&recorder, || record_container(&group));
        assert!(seen.render().contains("signal_container_memory_bytes 4000"), "{}", seen.render());
        assert!(!seen.render().contains("signal_container_memory_limit_bytes"), "{}", seen.render());

        std::fs::write(group.join("memory.max"), "8192\n").unwrap();
        metrics::with_local_recorder(&recorder, || record_container(&group));
        assert!(seen.render().contains("signal_container_memory_limit_bytes 8192"), "{}", seen.render());
        std::fs::remove_dir_all(&group).unwrap();
    }
}
