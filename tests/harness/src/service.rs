//! Signal's own binaries, as processes.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    Samples,
    eventually::until,
    free_port,
    http::{Response, get},
    process::{Process, Signal},
    scratch_dir,
};

/// How a binary is to be started: the environment holds what is said here and nothing else.
#[derive(Debug)]
pub struct Launch {
    binary: &'static str,
    http: SocketAddr,
    admin: SocketAddr,
    command: Command,
}

impl Launch {
    fn new(binary: &'static str) -> Launch {
        let addr = || SocketAddr::from(([127, 0, 0, 1], free_port()));
        let (http, admin) = (addr(), addr());
        let mut command = Command::new(find_binary(binary));
        command.env_clear().current_dir(scratch_dir(binary));
        command.env("RUST_BACKTRACE", "1");
        command.env("SIGNAL_HTTP_ADDR", http.to_string());
        command.env("SIGNAL_ADMIN_ADDR", admin.to_string());
        Launch { binary, http, admin, command }
    }

    pub fn env(mut self, name: &str, value: impl AsRef<str>) -> Launch {
        self.command.env(name, value.as_ref());
        self
    }

    pub fn arg(mut self, arg: &str) -> Launch {
        self.command.arg(arg);
        self
    }

    pub fn dir(mut self, dir: &Path) -> Launch {
        self.command.current_dir(dir);
        self
    }

    pub fn spawn(self) -> Service {
        let Launch { binary, http, admin, command } = self;
        Service { http, admin, process: Process::spawn(binary, command, Signal::Kill) }
    }

    /// Runs a subcommand to its end.
    pub async fn run(self, within: Duration) -> Finished {
        let process = Process::spawn(self.binary, self.command, Signal::Kill);
        let status = process.wait_exit(within).await;
        let output = process.output_to_its_end();
        Finished { status, output, stdout: process.stdout() }
    }
}

/// A subcommand that has ended.
#[derive(Debug)]
pub struct Finished {
    pub status: ExitStatus,
    /// All that it wrote, results and logs.
    pub output: String,
    /// Its results alone, to the byte.
    pub stdout: Vec<u8>,
}

impl Finished {
    #[track_caller]
    pub fn expect_success(self) -> String {
        assert!(self.status.success(), "{}\n{}", self.status, self.output);
        self.output
    }

    /// Its results, which must be text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }
}

/// A running binary. Its output is printed when the test that holds it fails.
#[derive(Debug)]
pub struct Service {
    http: SocketAddr,
    admin: SocketAddr,
    process: Process,
}

impl Service {
    pub fn edge() -> Launch {
        Launch::new("signal-edge")
    }

    pub fn worker() -> Launch {
        Launch::new("signal-worker")
    }

    /// The all-in-one, which listens for everything on its HTTP address.
    pub fn standalone() -> Launch {
        Launch::new("signal")
    }

    /// Where clients connect.
    pub fn http_addr(&self) -> SocketAddr {
        self.http
    }

    /// Where health and metrics are.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin
    }

    pub async fn get(&self, path: &str) -> std::io::Result<Response> {
        get(self.http, path).await
    }

    /// `/health/live` or `/health/ready`; `Err` while nobody listens.
    pub async fn health(&self, which: &str) -> std::io::Result<Response> {
        get(self.admin, &format!("/health/{which}")).await
    }

    /// Waits until `/health/ready` says 200.
    pub async fn wait_ready(&self, within: Duration) {
        self.wait_until(within, || async {
            match self.health("ready").await {
                Ok(Response { status: 200, .. }) => Ok(()),
                Ok(Response { status, body }) => Err(format!("not ready: {status} {body}")),
                Err(error) => Err(format!("no admin address: {error}")),
            }
        })
        .await;
    }

    /// Polls like `eventually`, and gives up at once when the process exits.
    pub async fn wait_until<F, Fut, T>(&self, within: Duration, mut look: F) -> T
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, String>>,
    {
        let mut look_or_exit = || {
            let exited = self.process.exited();
            let looked = look();
            async move {
                match exited {
                    Some(status) => Ok(Err(status)),
                    None => looked.await.map(Ok),
                }
            }
        };
        match until(Instant::now() + within, &mut look_or_exit).await {
            Ok(Ok(seen)) => seen,
            Ok(Err(status)) => panic!("the process has exited: {status}\n{}", self.output()),
            Err(last) => panic!("not within {within:?}; last state: {last}"),
        }
    }

    /// One scrape of `/metrics`.
    pub async fn metrics(&self) -> Samples {
        let answer = get(self.admin, "/metrics").await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        Samples::parse(&answer.body)
    }

    pub fn output(&self) -> String {
        self.process.output()
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub fn rss_kib(&self) -> u64 {
        self.process.rss_kib()
    }

    /// The most resident memory that it ever had, in KiB.
    pub fn peak_rss_kib(&self) -> u64 {
        self.process.peak_rss_kib()
    }

    pub fn open_files(&self) -> usize {
        self.process.open_files()
    }

    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    pub fn exited(&self) -> Option<ExitStatus> {
        self.process.exited()
    }

    pub async fn wait_exit(&self, within: Duration) -> ExitStatus {
        self.process.wait_exit(within).await
    }

    /// SIGKILL: no chance to say goodbye.
    pub fn kill(self) {
        drop(self);
    }
}

/// `target/<profile>/<binary>`, found from the test's own executable, which is in `deps/`.
pub(crate) fn find_binary(name: &str) -> PathBuf {
    let found = profile_dir().map(|dir| dir.join(name)).filter(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is not built: run `make test`, or `cargo build --workspace --bins` first"))
}

fn profile_dir() -> Option<PathBuf> {
    let executable = std::env::current_exe().ok()?;
    let dir = executable.parent()?;
    if dir.ends_with("deps") { dir.parent().map(Path::to_owned) } else { Some(dir.to_owned()) }
}

pub(crate) fn target_dir() -> Option<PathBuf> {
    profile_dir()?.parent().map(Path::to_owned)
}
