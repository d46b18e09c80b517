//! Child processes that never outlive the tests that started them.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, OnceLock, mpsc},
    thread,
    time::Duration,
};

use tokio::time::Instant;

use crate::eventually::until;

/// The part of a child's output that is kept, from its end.
const OUTPUT_LIMIT: usize = 1024 * 1024;
/// The part of its standard output that is kept as it is, from its beginning.
const STDOUT_LIMIT: usize = 16 * 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    Term,
    Int,
    Quit,
    Kill,
    Stop,
    Continue,
    User2,
}

impl Signal {
    fn number(self) -> libc::c_int {
        match self {
            Signal::Term => libc::SIGTERM,
            Signal::Int => libc::SIGINT,
            Signal::Quit => libc::SIGQUIT,
            Signal::Kill => libc::SIGKILL,
            Signal::Stop => libc::SIGSTOP,
            Signal::Continue => libc::SIGCONT,
            Signal::User2 => libc::SIGUSR2,
        }
    }
}

/// One child process, in a process group of its own.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: libc::pid_t,
    last_signal: Signal,
    child: Mutex<Child>,
    output: Arc<Mutex<String>>,
    stdout: Arc<Mutex<Vec<u8>>>,
    readers: Mutex<Vec<thread::JoinHandle<()>>>,
}

impl Process {
    /// Starts `command`. It gets `last_signal` when the value is dropped or the test process
    /// dies; anything but `Kill` must make it exit at once.
    pub fn spawn(name: &str, mut command: Command, last_signal: Signal) -> Process {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0);
        let death_signal = last_signal.number();
        // SAFETY: prctl is async-signal-safe and touches nothing of the parent. It runs after
        // the change of user, which would clear it.
        #[allow(unsafe_code)]
        unsafe {
            command.pre_exec(move || match libc::prctl(libc::PR_SET_PDEATHSIG, death_signal) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        let mut child =
            spawn_on_lasting_thread(command).unwrap_or_else(|error| panic!("{name} could not be started: {error}"));
        let pid = libc::pid_t::try_from(child.id()).unwrap();
        let output = Arc::new(Mutex::new(String::new()));
        let stdout = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&stdout);
        let readers = vec![
            collect(child.stdout.take().unwrap(), Arc::clone(&output), move |line| {
                let mut stdout = keep.lock().unwrap();
                let room = STDOUT_LIMIT.saturating_sub(stdout.len());
                stdout.extend_from_slice(&line[..line.len().min(room)]);
            }),
            collect(child.stderr.take().unwrap(), Arc::clone(&output), |_| ()),
        ];
        live().lock().unwrap().push(pid);
        Process {
            name: name.to_owned(),
            pid,
            last_signal,
            child: Mutex::new(child),
            output,
            stdout,
            readers: Mutex::new(readers),
        }
    }

    pub fn pid(&self) -> u32 {
        self.pid.unsigned_abs()
    }

    /// What the child wrote to stdout and stderr so far.
    pub fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// All that a child wrote which has exited and has left no children that hold its pipes.
    pub fn output_to_its_end(&self) -> String {
        for reader in self.readers.lock().unwrap().drain(..) {
            reader.join().expect("a reader ends with its pipe");
        }
        self.output()
    }

    /// What a child wrote to stdout alone, to the byte, up to 16 MiB. To be called after [`Process::output_to_its_end`].
    pub fn stdout(&self) -> Vec<u8> {
        self.stdout.lock().unwrap().clone()
    }

    pub fn signal(&self, signal: Signal) {
        if self.exited().is_none() {
            send(self.pid, signal);
        }
    }

    /// The exit status, if the child has exited.
    pub fn exited(&self) -> Option<ExitStatus> {
        let status = self.child.lock().unwrap().try_wait().unwrap();
        if status.is_some() {
            live().lock().unwrap().retain(|pid| *pid != self.pid);
        }
        status
    }

    /// Waits until the child has exited and panics with its output when it does not.
    pub async fn wait_exit(&self, within: Duration) -> ExitStatus {
        match until(Instant::now() + within, &mut || async { self.exited() }).await {
            Ok(status) => status,
            Err(_) => panic!("{} did not exit within {within:?}\n{}", self.name, self.output()),
        }
    }

    /// Resident memory now, in KiB.
    pub fn rss_kib(&self) -> u64 {
        self.memory_kib("VmRSS:")
    }

    /// The most resident memory that it ever had, in KiB.
    pub fn peak_rss_kib(&self) -> u64 {
        self.memory_kib("VmHWM:")
    }

    /// A line of `/proc/PID/status` (proc(5)).
    fn memory_kib(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let line = status.lines().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("{} has no memory: it has exited", self.name));
        line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Open files now, sockets among them.
    pub fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid)).unwrap().count()
    }

    fn end(&mut self) {
        if self.exited().is_some() {
            return;
        }
        // A stopped process takes no signal but SIGKILL.
        send(self.pid, Signal::Continue);
        send(self.pid, self.last_signal);
        let _ = self.child.lock().unwrap().wait();
        live().lock().unwrap().retain(|pid| *pid != self.pid);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
        if thread::panicking() {
            #[allow(clippy::print_stderr, reason = "libtest shows it with the failed test")]
            {
                eprintln!("---- {} ----\n{}---- end of {} ----", self.name, self.output(), self.name);
            }
        }
    }
}

fn send(pid: libc::pid_t, signal: Signal) {
    // SAFETY: kill has no memory effects. The pid is a child that was not waited for yet, so it
    // cannot have been given to another process; its group has the same number.
    #[allow(unsafe_code)]
    unsafe {
        libc::kill(-pid, signal.number());
    }
}

fn live() -> &'static Mutex<Vec<libc::pid_t>> {
    static LIVE: Mutex<Vec<libc::pid_t>> = Mutex::new(Vec::new());
    &LIVE
}

/// Ends every child at the end of the process. Postgres' own children have groups of their own
/// and follow their postmaster.
pub(crate) fn kill_all() {
    for pid in live().lock().map(|live| live.clone()).unwrap_or_default() {
        send(pid, Signal::Kill);
    }
}

type Order = (Command, mpsc::Sender<std::io::Result<Child>>);

/// `PR_SET_PDEATHSIG` fires when the *thread* that forked ends. Tests run on threads of their
/// own, and a server that they share must outlive the one that happened to start it.
fn spawn_on_lasting_thread(command: Command) -> std::io::Result<Child> {
    static ORDERS: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let orders = ORDERS.get_or_init(|| {
        let (sender, receiver) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, reply) in receiver {
                let _ = reply.send(command.spawn());
            }
        });
        sender
    });
    let (reply, answer) = mpsc::channel();
    orders.send((command, reply)).expect("the thread holds the receiver as long as it lives");
    answer.recv().expect("the thread answers every order")
}

fn collect(
    stream: impl Read + Send + 'static,
    output: Arc<Mutex<String>>,
    keep: impl Fn(&[u8]) + Send + 'static,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            keep(&line);
            let mut output = output.lock().unwrap();
            output.push_str(&String::from_utf8_lossy(&line));
            if output.len() > OUTPUT_LIMIT {
                let cut = output.floor_char_boundary(output.len() - OUTPUT_LIMIT / 2);
                output.replace_range(..cut, "[…]\n");
            }
            line.clear();
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eventually;

    fn shell(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::spawn("shell", command, Signal::Kill)
    }

    #[tokio::test]
    async fn collects_both_streams_and_the_exit_status() {
        let process = shell("echo out; echo err >&2; exit 3");
        assert_eq!(process.wait_exit(Duration::from_secs(5)).await.code(), Some(3));
        let output = process.output_to_its_end();
        assert_eq!(process.stdout(), b"out\n");
        assert!(output.contains("out\n") && output.contains("err\n"), "{output}");
    }

    #[tokio::test]
    async fn a_dropped_process_is_gone_with_its_children() {
        let process = shell("sleep 600 & echo $!; wait");
        let grandchild = eventually(Duration::from_secs(5), || async { process.output().trim().parse::<u32>() }).await;
        drop(process);
        eventually(Duration::from_secs(5), || async {
            // A zombie that init has not collected yet is gone for our purposes.
            match fs::read_to_string(format!("/proc/{grandchild}/stat")) {
                Ok(stat) if !stat.contains(") Z ") => Err(stat),
                _ => Ok(()),
            }
        })
        .await;
    }

    #[test]
    fn a_process_outlives_the_thread_that_asked_for_it() {
        let process = thread::spawn(|| shell("sleep 600")).join().unwrap();
        assert!(process.exited().is_none());
        assert!(process.rss_kib() > 0 && process.peak_rss_kib() >= process.rss_kib());
    }
}
