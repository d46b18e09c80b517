//! Holds that reading takes memory in proportion to what is read.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// What any input may take, however short: buffers that begin at a fixed size.
const SLACK: usize = 16 * 1024;

#[global_allocator]
static COUNTED: Counted = Counted;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// Runs `read`, which may never have more than `factor` bytes allocated at once for each byte of its input.
///
/// # Panics
/// If it had: the fuzzer's finding.
pub fn within<T>(factor: usize, input: &[u8], read: impl FnOnce() -> T) -> T {
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = read();
    let took = PEAK.load(Relaxed).saturating_sub(before);
    let bound = factor * input.len() + SLACK;
    assert!(took <= bound, "{} bytes took {took} bytes of memory; {bound} are the bound", input.len());
    result
}

/// The system's allocator, with a count of what is out.
struct Counted;

// SAFETY: every call is the system allocator's, with the arguments unchanged; counting allocates nothing.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(live, Relaxed);
        // SAFETY: the caller keeps to the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the block is one that `alloc` gave for this layout.
        unsafe { System.dealloc(block, layout) }
    }
}
