//! nginx, with a configuration of the caller's.

use std::{fs, net::TcpStream, process::Command, sync::Mutex, time::Duration};

use tokio::time::Instant;

use crate::{
    Server,
    eventually::until,
    process::{Process, Signal},
    program::{find_program, run},
    scratch_dir,
};

const START: Duration = Duration::from_secs(20);
/// Where Debian has it, which is on the PATH of root alone.
const SBIN: &str = "/usr/sbin";

#[derive(Debug)]
pub struct Nginx {
    port: u16,
    process: Mutex<Process>,
}

impl Server for Nginx {
    const NAME: &'static str = "nginx";

    fn available() -> Result<(), String> {
        find_nginx().map(drop).ok_or_else(|| "no nginx (Debian: apt-get install nginx-light)".to_owned())
    }
}

impl Nginx {
    /// Runs nginx until the value is dropped. `configuration` listens on `port` of 127.0.0.1; what is below `/tmp/` in it
    /// is in a folder of the harness instead.
    pub async fn launch(configuration: &str, port: u16) -> Nginx {
        let program = find_nginx().expect("a test asks for it with require!");
        let dir = scratch_dir("nginx");
        let dir_text = dir.to_str().expect("scratch folders have plain names");
        fs::write(dir.join("nginx.conf"), configuration.replace("/tmp/", &format!("{dir_text}/"))).unwrap();
        let command = |last: &[&str]| {
            let mut command = Command::new(&program);
            command.args(["-p", dir_text, "-c", "nginx.conf", "-e", "stderr"]).args(last);
            command
        };
        let checked = run(command(&["-t"])).await.unwrap();
        assert!(checked.status.success(), "nginx -t: {}", String::from_utf8_lossy(&checked.stderr));

        let process = Process::spawn("nginx", command(&["-g", "daemon off;"]), Signal::Kill);
        let mut look = || async { TcpStream::connect(("127.0.0.1", port)).map_err(|error| error.to_string()) };
        if let Err(last) = until(Instant::now() + START, &mut look).await {
            panic!("nginx does not listen on {port}: {last}\n{}", process.output());
        }
        Nginx { port, process: Mutex::new(process) }
    }

    pub fn addr(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// What it wrote to its error log.
    pub fn output(&self) -> String {
        self.process.lock().unwrap().output()
    }
}

fn find_nginx() -> Option<std::path::PathBuf> {
    find_program("nginx").or_else(|| {
        let debian = std::path::Path::new(SBIN).join("nginx");
        debian.is_file().then_some(debian)
    })
}
