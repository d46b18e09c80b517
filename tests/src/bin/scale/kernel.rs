//! What the kernel holds for one idle connection, which is in no process's own memory: the sizes of its objects as this
//! kernel has them, from `/proc/slabinfo` (slabinfo(5)). Only root may read it.

use std::fs;

/// One of each for a TCP socket in an epoll set.
const OBJECTS: [&str; 5] = ["TCP", "sock_inode_cache", "filp", "dentry", "eventpoll_epi"];
/// Linux 6.18 on x86-64, where the file cannot be read.
const OTHERWISE_KIB: f64 = 4.0;

/// KiB of one end of a connection with nothing in its buffers.
pub(crate) fn socket_kib() -> f64 {
    fs::read_to_string("/proc/slabinfo").ok().and_then(|slabs| parse(&slabs)).unwrap_or(OTHERWISE_KIB)
}

/// `None` if there is no `TCP`. Others may be merged with slabs of another name, and are then not counted.
fn parse(slabs: &str) -> Option<f64> {
    let size = |name: &str| {
        let line = slabs.lines().find(|line| line.split_ascii_whitespace().next() == Some(name))?;
        line.split_ascii_whitespace().nth(3)?.parse::<f64>().ok()
    };
    size("TCP")?;
    Some(OBJECTS.iter().filter_map(|name| size(name)).sum::<f64>() / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_in_the_fourth_column() {
        let slabs = "slabinfo - version: 2.1\n# name <active_objs> <num_objs> <objsize>\n\
                     TCP 19 26 2432 13 8 : tunables 0 0 0\nfilp 2400 2816 256 16 1 : tunables 0 0 0\n";
        assert_eq!(parse(slabs), Some(2.625));
        assert_eq!(parse("filp 2400 2816 256"), None);
    }
}
