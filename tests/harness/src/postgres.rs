//! One Postgres for a test binary, one database for each test.

use std::{
    collections::HashMap,
    fs,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{net::TcpStream, sync::OnceCell, time::Instant};

use crate::{
    Server,
    eventually::until,
    free_port,
    process::{Process, Signal},
    program::{find_program, run},
    scratch_dir,
};

const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(30);

/// The tests' own role is let in as it is; any other proves its password by SCRAM.
const WHO: &str = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n";

/// One cluster with durability off: a test's data need not survive the machine.
#[derive(Debug)]
pub struct Postgres {
    port: u16,
    programs: PathBuf,
    dir: PathBuf,
    account: Option<Account>,
    process: Mutex<Option<Process>>,
    templates: Mutex<HashMap<String, Arc<OnceCell<String>>>>,
    databases: AtomicU32,
}

/// A database of one test. It goes with its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    name: String,
    url: String,
}

impl Database {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn url(&self) -> &str {
        &self.url
    }
}

/// The user under which the server runs where the tests run as root, which it refuses to be.
#[derive(Debug, Clone, Copy)]
struct Account {
    uid: u32,
    gid: u32,
}

impl Server for Postgres {
    const NAME: &'static str = "Postgres";

    fn available() -> Result<(), String> {
        if find_programs().is_none() {
            return Err(
                "no initdb under /usr/lib/postgresql or on the PATH (Debian: apt-get install postgresql)".to_owned()
            );
        }
        if is_root() && find_account().is_none() {
            return Err("Postgres refuses to run as root and there is no user postgres".to_owned());
        }
        Ok(())
    }
}

impl Postgres {
    /// The cluster of this test binary, started by the first test that asks.
    pub async fn shared() -> &'static Postgres {
        static SHARED: OnceCell<Postgres> = OnceCell::const_new();
        SHARED.get_or_init(Postgres::launch).await
    }

    /// A cluster of one's own, for tests that stop it.
    pub async fn launch() -> Postgres {
        let postgres = Postgres::reserved();
        postgres.start().await;
        postgres
    }

    /// A port and a URL, with nobody there until `start`.
    pub fn reserved() -> Postgres {
        Postgres {
            port: free_port(),
            programs: find_programs().expect("a test asks for it with require!"),
            dir: scratch_dir("postgres"),
            account: is_root().then(|| find_account().expect("a test asks with require!")),
            process: Mutex::new(None),
            templates: Mutex::new(HashMap::new()),
            databases: AtomicU32::new(0),
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a database by name; `postgres` is always there.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The URL of a database for a role with a password, which have been made.
    pub fn url_as(&self, role: &str, password: &str, database: &str) -> String {
        format!("postgres://{role}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// Starts the server, on the data it had.
    pub async fn start(&self) {
        if !self.data().exists() {
            self.initialise().await;
        }
        let mut command = self.command("postgres");
        command
            .args(["-D", self.data().to_str().unwrap(), "-p", &self.port.to_string()])
            .args(["-h", "127.0.0.1", "-k", self.dir.to_str().unwrap()])
            .args(["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"])
            .args(["-c", "max_connections=300", "-c", "shared_buffers=64MB"])
            .args(["-c", "max_wal_size=256MB", "-c", "timezone=UTC", "-c", "jit=off"]);
        // SIGQUIT is "immediate shutdown": the postmaster ends its children and exits.
        let process = Process::spawn("postgres", command, Signal::Quit);
        *self.process.lock().unwrap() = Some(process);
        let answered = until(Instant::now() + START, &mut || async {
            TcpStream::connect(("127.0.0.1", self.port)).await.map_err(|error| error.to_string())?;
            self.try_sql("postgres", "select 1").await.map(drop)
        })
        .await;
        if let Err(last) = answered {
            panic!("postgres does not answer: {last}\n{}", self.log());
        }
    }

    /// Ends the server as an operator would ("fast": sessions are cut, data is written).
    pub async fn stop(&self) {
        let process = self.process.lock().unwrap().take();
        if let Some(process) = process {
            process.signal(Signal::Int);
            process.wait_exit(STOP).await;
        }
    }

    pub async fn restart(&self) {
        self.stop().await;
        self.start().await;
    }

    /// A new database in which `schema` (SQL) was run. The first call with a schema migrates a
    /// template, later ones clone it, which takes some 30 ms.
    pub async fn database(&self, schema: &str) -> Database {
        self.database_with(schema, async |url| {
            let name = url.rsplit('/').next().expect("a URL ends with the database's name");
            self.try_sql(name, schema).await.unwrap_or_else(|error| panic!("schema: {error}"));
        })
        .await
    }

    /// The same where a program migrates: `migrate` gets the template's URL, once per `key`,
    /// and must have closed its connections when it returns.
    pub async fn database_with<M>(&self, key: &str, migrate: M) -> Database
    where
        M: AsyncFnOnce(String),
    {
        let template = Arc::clone(self.templates.lock().unwrap().entry(key.to_owned()).or_default());
        let template = template.get_or_init(|| self.template(migrate)).await;
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("create database {name} template {template}")).await;
        Database { url: self.url(&name), name }
    }

    /// Runs SQL by psql and returns its rows, unaligned, columns separated by `|`.
    pub async fn sql(&self, database: &str, sql: &str) -> String {
        self.try_sql(database, sql).await.unwrap_or_else(|error| panic!("{error}\nin: {sql}"))
    }

    async fn template<M>(&self, migrate: M) -> String
    where
        M: AsyncFnOnce(String),
    {
        let name = format!("template_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("create database {name}")).await;
        migrate(self.url(&name)).await;
        // Cloning fails while anybody is connected to the template.
        self.sql("postgres", &format!("alter database {name} allow_connections false")).await;
        let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname =";
        self.sql("postgres", &format!("{end} '{name}'")).await;
        name
    }

    async fn try_sql(&self, database: &str, sql: &str) -> Result<String, String> {
        let mut command = Command::new(self.programs.join("psql"));
        command.args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "postgres"]).args([
            "-p",
            &self.port.to_string(),
            "-d",
            database,
            "-c",
            sql,
        ]);
        let output = run(command).await.map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    async fn initialise(&self) {
        if let Some(Account { uid, gid }) = self.account {
            chown(&self.dir, Some(uid), Some(gid)).unwrap();
        }
        let mut command = self.command("initdb");
        command.args(["-D", self.data().to_str().unwrap(), "-U", "postgres", "-A", "trust"]).args([
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
            "--no-instructions",
        ]);
        let output = run(command).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "initdb: {said}");
        fs::write(self.data().join("pg_hba.conf"), WHO).unwrap();
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(&self.dir);
        if let Some(Account { uid, gid }) = self.account {
            command.uid(uid).gid(gid);
        }
        command
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn log(&self) -> String {
        self.process.lock().unwrap().as_ref().map(Process::output).unwrap_or_default()
    }
}

fn find_programs() -> Option<PathBuf> {
    let mut installed: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .filter(|bin| bin.join("initdb").is_file())
        .collect();
    installed.sort();
    installed.pop().or_else(|| find_program("initdb")?.parent().map(Path::to_owned))
}

fn is_root() -> bool {
    // SAFETY: geteuid only reads and cannot fail.
    #[allow(unsafe_code)]
    unsafe {
        libc::geteuid() == 0
    }
}

fn find_account() -> Option<Account> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.starts_with("postgres:"))?;
    let mut fields = line.split(':').skip(2).map(|field| field.parse().ok());
    Some(Account { uid: fields.next()??, gid: fields.next()?? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::require;

    const SCHEMA: &str = "create table t (id int primary key); insert into t values (1)";

    #[tokio::test]
    async fn each_test_has_a_database_of_its_own() {
        require!(Postgres);
        let postgres = Postgres::shared().await;
        let (one, other) = tokio::join!(postgres.database(SCHEMA), postgres.database(SCHEMA));
        postgres.sql(one.name(), "insert into t values (2)").await;
        assert_eq!(postgres.sql(one.name(), "select count(*) from t").await, "2");
        assert_eq!(postgres.sql(other.name(), "select count(*) from t").await, "1");
    }

    #[tokio::test]
    async fn keeps_its_data_over_a_restart() {
        require!(Postgres);
        let postgres = Postgres::launch().await;
        let database = postgres.database(SCHEMA).await;
        postgres.stop().await;
        assert!(postgres.try_sql(database.name(), "select 1").await.is_err());
        postgres.start().await;
        assert_eq!(postgres.sql(database.name(), "select id from t").await, "1");
    }
}
