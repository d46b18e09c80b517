//! The floor under any encrypted fan-out on this machine: one thread seals one message per socket (AES-256-GCM, base64,
//! JSON envelope, WebSocket header) and writes it with one `write(2)` per socket. Another process reads and throws away.

pub(crate) mod reader;

use std::{
    io::Write,
    net::{TcpListener, TcpStream},
    process::{self, Command},
    time::Duration,
};

use aes_gcm::{Aes256Gcm, KeyInit, Nonce, aead::AeadInOut};
use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use signal_harness::{Process, Signal};

use signal_tests::cpu::Cpu;

use crate::report;

const PADDING: usize = 256;
const DEADLINE: Duration = Duration::from_secs(120);

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    #[arg(long, default_value_t = 1000)]
    clients: usize,
    #[arg(long, default_value_t = 200)]
    rounds: usize,
}

/// CPU microseconds per message of the sending process.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Floor {
    pub(crate) frame_bytes: usize,
    pub(crate) seal_us: f64,
    pub(crate) total_us: f64,
}

/// Runs the floor in a process of its own, as the edge is one.
pub(crate) async fn in_a_process(clients: usize, rounds: usize) -> anyhow::Result<Floor> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["floor", "--clients", &clients.to_string(), "--rounds", &rounds.to_string()]);
    let process = Process::spawn("floor", command, Signal::Kill);
    let status = process.wait_exit(DEADLINE).await;
    let output = process.output_to_its_end();
    anyhow::ensure!(status.success(), "the floor failed: {status}\n{output}");
    serde_json::from_str(&output).with_context(|| format!("the floor said: {output}"))
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["floor-reader", "--to", &listener.local_addr()?.to_string()]);
    command.args(["--clients", &options.clients.to_string()]);
    let reader = Process::spawn("floor-reader", command, Signal::Kill);
    let mut sockets = Vec::with_capacity(options.clients);
    for _ in 0..options.clients {
        let (socket, _) = listener.accept()?;
        socket.set_nodelay(true)?;
        // A reader that hangs must not hang the floor.
        socket.set_write_timeout(Some(Duration::from_secs(10)))?;
        sockets.push(socket);
    }
    let floor = measure(&mut sockets, options.rounds)?;
    drop(sockets);
    drop(reader);
    report::say(&serde_json::to_string(&floor)?);
    Ok(())
}

fn measure(sockets: &mut [TcpStream], rounds: usize) -> anyhow::Result<Floor> {
    let messages = (sockets.len() * rounds) as f64;
    let mut sealer = Sealer::new(sockets.len());
    let spent = |since: Cpu| Ok::<_, anyhow::Error>((Cpu::of(process::id())? - since).total_us() / messages);

    let before = Cpu::of(process::id())?;
    for round in 0..rounds {
        for client in 0..sockets.len() {
            std::hint::black_box(sealer.frame(client, round as u64));
        }
    }
    let seal_us = spent(before)?;

    let before = Cpu::of(process::id())?;
    for round in 0..rounds {
        for (client, socket) in sockets.iter_mut().enumerate() {
            socket.write_all(sealer.frame(client, round as u64))?;
        }
    }
    Ok(Floor { frame_bytes: sealer.out.len(), seal_us, total_us: spent(before)? })
}

struct Sealer {
    keys: Vec<Aes256Gcm>,
    plaintext: String,
    work: Vec<u8>,
    out: Vec<u8>,
}

impl Sealer {
    fn new(clients: usize) -> Self {
        let key = |client: usize| {
            let mut key = [7u8; 32];
            key[..8].copy_from_slice(&(client as u64).to_le_bytes());
            Aes256Gcm::new(&key.into())
        };
        let pad = "x".repeat(PADDING);
        Self {
            keys: (0..clients).map(key).collect(),
            plaintext: format!(r#"{{"event":"bench","data":{{"t":1700000000000000,"pad":"{pad}"}}}}"#),
            work: Vec::with_capacity(4096),
            out: Vec::with_capacity(4096),
        }
    }

    /// A whole WebSocket frame (RFC 6455, 5.2: text, final, 16-bit length) around a v1 envelope.
    fn frame(&mut self, client: usize, counter: u64) -> &[u8] {
        let Self { keys, plaintext, work, out } = self;
        work.clear();
        work.extend_from_slice(plaintext.as_bytes());
        let mut iv = [0u8; 12];
        iv[..8].copy_from_slice(&counter.to_le_bytes());
        let tag = keys[client]
            .encrypt_inout_detached(&Nonce::from(iv), b"", work.as_mut_slice().into())
            .expect("the message is far below the 64 GiB that GCM takes");
        work.extend_from_slice(&tag);

        out.clear();
        out.extend_from_slice(&[0x81, 126, 0, 0]);
        out.extend_from_slice(br#"{"event":"encrypted","data":{"iv":""#);
        append_base64(&iv, out);
        out.extend_from_slice(br#"","ct":""#);
        append_base64(work, out);
        out.extend_from_slice(br#""}}"#);
        let length = u16::try_from(out.len() - 4).expect("the frame is half a kilobyte");
        out[2..4].copy_from_slice(&length.to_be_bytes());
        out
    }
}

fn append_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let at = out.len();
    out.resize(at + bytes.len().div_ceil(3) * 4, 0);
    STANDARD.encode_slice(bytes, &mut out[at..]).expect("the space is what base64 of these bytes takes");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_is_the_one_that_an_edge_would_send() {
        let mut sealer = Sealer::new(2);
        let frame = sealer.frame(1, 7).to_vec();
        assert_eq!(frame.len(), 506);
        assert_eq!(usize::from(u16::from_be_bytes([frame[2], frame[3]])), frame.len() - 4);
        let envelope: serde_json::Value = serde_json::from_slice(&frame[4..]).unwrap();
        assert_eq!(envelope["event"], "encrypted");
        let iv: [u8; 12] = STANDARD.decode(envelope["data"]["iv"].as_str().unwrap()).unwrap().try_into().unwrap();
        let mut text = STANDARD.decode(envelope["data"]["ct"].as_str().unwrap()).unwrap();
        let tag: [u8; 16] = text.split_off(text.len() - 16).try_into().unwrap();
        sealer.keys[1].decrypt_inout_detached(&Nonce::from(iv), b"", text.as_mut_slice().into(), &tag.into()).unwrap();
        assert_eq!(text, sealer.plaintext.as_bytes());
        assert_ne!(sealer.frame(0, 7), frame);
    }
}
