//! A certificate authority for one server on 127.0.0.1.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::path;
use crate::{Redis, Server, pem, program::find_program, scratch_dir};

/// Stands for a `redis-server` that was built with TLS, which not all are.
#[derive(Debug)]
pub struct RedisTls;

impl Server for RedisTls {
    const NAME: &'static str = "Redis with TLS";

    fn available() -> Result<(), String> {
        Redis::available()?;
        let program = find_program("redis-server").expect("found just now");
        // It listens nowhere and so exits at once; without TLS it exits for not knowing the option.
        let asked = Command::new(program).args(["--port", "0", "--tls-port", "0"]).output();
        let output = asked.map_err(|error| format!("redis-server does not start: {error}"))?;
        match String::from_utf8_lossy(&output.stdout).contains("not listen anywhere") {
            true => Ok(()),
            false => Err("redis-server was built without TLS".to_owned()),
        }
    }
}

/// An authority and a server's certificate, as files.
#[derive(Debug, Clone)]
pub struct Certificates {
    dir: PathBuf,
}

impl Certificates {
    pub fn make() -> Certificates {
        let dir = scratch_dir("certificates");
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        authority.distinguished_name.push(DnType::CommonName, "Signal's tests");
        let authority_key = KeyPair::generate().unwrap();
        let ca = authority.self_signed(&authority_key).unwrap();

        let key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        let server = server.signed_by(&key, &Issuer::new(authority, authority_key)).unwrap();
        write_pem(&dir.join("ca.pem"), "CERTIFICATE", ca.der());
        write_pem(&dir.join("server.pem"), "CERTIFICATE", server.der());
        write_pem(&dir.join("key.pem"), "PRIVATE KEY", key.serialized_der());
        Certificates { dir }
    }

    /// Those that another process made in `dir`.
    pub fn at(dir: &Path) -> Certificates {
        Certificates { dir: dir.to_owned() }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// For `SSL_CERT_FILE` of a process that is to trust the server.
    pub fn ca_file(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// The server's certificate and its key.
    pub(crate) fn server_files(&self) -> [String; 2] {
        ["server.pem", "key.pem"].map(|name| path(&self.dir.join(name)))
    }

    pub(super) fn server_arguments(&self, port: u16) -> Vec<String> {
        self.options(port).into_iter().flat_map(|(name, value)| [format!("--{name}"), value]).collect()
    }

    /// For a configuration file, and for arguments.
    pub(super) fn options(&self, port: u16) -> [(&'static str, String); 6] {
        let file = |name| path(&self.dir.join(name));
        [
            ("tls-port", port.to_string()),
            ("tls-cert-file", file("server.pem")),
            ("tls-key-file", file("key.pem")),
            ("tls-ca-cert-file", file("ca.pem")),
            ("tls-auth-clients", "no".to_owned()),
            // Between nodes and from sentinels, too.
            ("tls-replication", "yes".to_owned()),
        ]
    }
}

fn write_pem(file: &Path, label: &str, der: &[u8]) {
    fs::write(file, pem::encode(label, der)).unwrap();
}
