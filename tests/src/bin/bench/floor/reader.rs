//! The floor's other end: one thread that waits for any socket and reads it, as cheaply as that can be done.
#![allow(unsafe_code, reason = "epoll itself; a runtime on top would read less cheaply")]

use std::{
    io::{self, Read},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use anyhow::{Context, ensure};
use socket2::{Domain, Socket, Type};

const SOCKETS_PER_ADDRESS: usize = 5000;
const EVENTS: usize = 512;
/// The floor seals for a while before it writes; longer silence means that it is gone.
const SILENCE_MS: i32 = 30_000;

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    to: SocketAddr,
    #[arg(long)]
    clients: usize,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let mut sockets = (0..options.clients).map(|number| connect(number, options.to)).collect::<Result<Vec<_>, _>>()?;
    // SAFETY: the descriptor is checked, new, and owned by nobody else.
    let epoll = unsafe {
        let descriptor = libc::epoll_create1(libc::EPOLL_CLOEXEC);
        ensure!(descriptor >= 0, "no epoll: {}", io::Error::last_os_error());
        OwnedFd::from_raw_fd(descriptor)
    };
    for (number, socket) in sockets.iter().enumerate() {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: number as u64 };
        // SAFETY: both descriptors are open and the event is valid for the time of the call.
        let added =
            unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, socket.as_raw_fd(), &raw mut event) };
        ensure!(added == 0, "a socket cannot be watched: {}", io::Error::last_os_error());
    }
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
    let mut buffer = vec![0u8; 64 * 1024];
    loop {
        // SAFETY: the array has room for as many events as it says.
        let ready = unsafe { libc::epoll_wait(epoll.as_raw_fd(), events.as_mut_ptr(), EVENTS as i32, SILENCE_MS) };
        let Ok(ready @ 1..) = usize::try_from(ready) else { return Ok(()) };
        for event in &events[..ready] {
            let number = usize::try_from(event.u64).context("a socket's number")?;
            if matches!(sockets[number].read(&mut buffer), Ok(0) | Err(_)) {
                return Ok(());
            }
        }
    }
}

/// From 127.0.3.x, so that ports that an earlier run left over are not in the way.
fn connect(number: usize, to: SocketAddr) -> anyhow::Result<TcpStream> {
    let address = u8::try_from(number / SOCKETS_PER_ADDRESS + 1).context("too many clients")?;
    let from = SocketAddr::from((Ipv4Addr::new(127, 0, 3, address), 0));
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&from.into()).with_context(|| format!("cannot connect from {from}"))?;
    socket.connect(&to.into()).context("the floor does not accept")?;
    Ok(socket.into())
}
