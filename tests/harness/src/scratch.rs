//! Temporary folders that are gone when the test process is.

use std::{
    fs,
    path::{Path, PathBuf},
    process,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::process::kill_all;

const PREFIX: &str = "signal-harness-run-";

static ROOT: OnceLock<PathBuf> = OnceLock::new();
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A new empty folder, removed when this process ends. Its path is short: Unix sockets in it
/// have 107 bytes in all.
pub fn scratch_dir(name: &str) -> PathBuf {
    let root = ROOT.get_or_init(create_root);
    let dir = root.join(format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    fs::create_dir(&dir).unwrap();
    dir
}

fn create_root() -> PathBuf {
    let temp = std::env::temp_dir();
    sweep(&temp);
    let root = temp.join(format!("{PREFIX}{}", process::id()));
    fs::create_dir(&root).unwrap();
    // SAFETY: the handler is a plain function that only uses statics that are never torn down.
    #[allow(unsafe_code)]
    unsafe {
        libc::atexit(clean_up);
    }
    root
}

/// Statics are never dropped, and servers that a whole test binary shares live in statics.
extern "C" fn clean_up() {
    kill_all();
    if let Some(root) = ROOT.get() {
        let _ = fs::remove_dir_all(root);
    }
}

/// Removes what processes left that were killed before they could clean up.
fn sweep(temp: &Path) {
    for entry in fs::read_dir(temp).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if let Some(pid) = owner.and_then(|pid| pid.parse::<u32>().ok())
            && (pid == process::id() || !Path::new(&format!("/proc/{pid}")).exists())
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
