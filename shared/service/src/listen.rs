//! Binding a port. What goes wrong here goes wrong on somebody's first try, so the
//! message names the address, the setting and the way out.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
};

use tokio::net::{TcpListener, TcpSocket};

/// Connections that may wait for `accept`; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: u32 = 4096;

#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr} ({variable}): {advice}")]
pub struct ListenError {
    addr: SocketAddr,
    variable: &'static str,
    advice: String,
    #[source]
    source: io::Error,
}

/// Listens on `addr`, which `variable` configures; port 0 lets the system choose.
///
/// # Errors
/// With advice on a port that is taken, forbidden, or an address that is not this machine's.
pub fn bind(addr: SocketAddr, variable: &'static str) -> Result<TcpListener, ListenError> {
    open(addr).map_err(|source| {
        let advice = match source.kind() {
            ErrorKind::AddrInUse => format!(
                "another process has the port. Stop it (`ss -ltnp 'sport = :{}'` shows which) or set {variable} to another address",
                addr.port()
            ),
            ErrorKind::PermissionDenied => {
                format!("no permission. Ports below 1024 need privileges: set {variable} to a higher one")
            }
            ErrorKind::AddrNotAvailable => {
                format!("this machine does not have that address. Set {variable} to one that it has, or to 0.0.0.0")
            }
            _ => "the system refuses".to_owned(),
        };
        ListenError { addr, variable, advice, source }
    })
}

fn open(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Else a restart within a minute finds the port taken by its own closed connections.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_explained() {
        let first = bind("127.0.0.1:0".parse().unwrap(), "SIGNAL_HTTP_ADDR").unwrap();
        let addr = first.local_addr().unwrap();
        let message = bind(addr, "SIGNAL_HTTP_ADDR").unwrap_err().to_string();
        for part in [&addr.to_string(), "another process has the port", "set SIGNAL_HTTP_ADDR to another", "ss -ltnp"] {
            assert!(message.contains(part), "{part} in {message}");
        }
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_explained() {
        // TEST-NET-1 (RFC 5737) is nobody's.
        let message = bind("192.0.2.1:0".parse().unwrap(), "SIGNAL_ADMIN_ADDR").unwrap_err().to_string();
        assert!(message.contains("does not have that address") && message.contains("SIGNAL_ADMIN_ADDR"), "{message}");
    }
}
