//! Standard error, shared with what else is drawn on it.

use std::{
    io::{self, Write},
    sync::Arc,
};

use parking_lot::RwLock;

/// Calls what it is given, with nothing of its own on the terminal meanwhile.
pub type Aside = Arc<dyn Fn(&mut dyn FnMut()) + Send + Sync>;

static ASIDE: RwLock<Option<Aside>> = RwLock::new(None);

/// From here on every line is written by way of `aside`: for a progress bar, which a line would tear. `None` ends it.
pub fn step_aside(aside: Option<Aside>) {
    *ASIDE.write() = aside;
}

/// Writes to the terminal while whoever draws on it steps aside; also for lines that are no log.
pub fn beside(write: &mut dyn FnMut()) {
    let aside = ASIDE.read().clone();
    match aside {
        Some(aside) => aside(write),
        None => write(),
    }
}

/// Where lines of the log go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut written = Ok(());
        beside(&mut || written = io::stderr().write_all(line));
        written.map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    #[test]
    fn what_is_drawn_steps_aside_while_a_line_is_written() {
        let seen: Arc<Mutex<Vec<&str>>> = Arc::default();
        let note = |what| seen.lock().push(what);
        beside(&mut || note("line"));
        let (aside, here) = (Arc::clone(&seen), std::thread::current().id());
        step_aside(Some(Arc::new(move |write| {
            // Other tests of this process may write lines, too.
            let note = |what| {
                if std::thread::current().id() == here {
                    aside.lock().push(what);
                }
            };
            note("cleared");
            write();
            note("drawn");
        })));
        beside(&mut || note("line"));
        // Lines of the log take the same way.
        Lines.write_all(b"").unwrap();
        Lines.write_all(b"\n").unwrap();
        step_aside(None);
        beside(&mut || note("line"));
        assert_eq!(*seen.lock(), ["line", "cleared", "line", "drawn", "cleared", "drawn", "line"]);
    }
}
