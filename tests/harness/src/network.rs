//! A network of one's own: this machine, a router and a far side, as network namespaces (network_namespaces(7)). Packets
//! that the router drops are gone without a word, as no proxy can have it.
//!
//! ```text
//!   this machine ── 10.a.b.1/30 ─ .2 ── router ── .5 ─ 10.a.b.4/30 ─ .6 ── far side
//! ```

use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::fd::AsRawFd,
    process::{self, Command},
    thread,
};

use crate::{Server, program::find_program};

/// Removed, with all that is in it, when it is dropped.
#[derive(Debug)]
pub struct Network {
    router: String,
    far: String,
    far_addr: Ipv4Addr,
}

impl Server for Network {
    const NAME: &'static str = "network namespaces";

    fn available() -> Result<(), String> {
        for (program, package) in [("ip", "iproute2"), ("nft", "nftables")] {
            find_program(program)
                .ok_or_else(|| format!("no {program} on the PATH (Debian: apt-get install {package})"))?;
        }
        let name = format!("signal-probe-{}", process::id());
        run(&["ip", "netns", "add", &name]).map_err(|error| format!("no right to make any: {error}"))?;
        let filter = run(&["ip", "netns", "exec", &name, "nft", "add", "table", "inet", "probe"]);
        let _ = run(&["ip", "netns", "del", &name]);
        filter.map_err(|error| format!("no packet filter in this kernel: {error}"))
    }
}

impl Network {
    /// One for each process at a time.
    pub fn build() -> Result<Network, String> {
        let id = process::id();
        // A network that nobody else in this process family has: 10.64.0.0/10 holds a /29 for each of half a million.
        let base = u32::from(Ipv4Addr::new(10, 64, 0, 0)) + (id % (1 << 19)) * 8;
        let at = |offset: u32| Ipv4Addr::from(base + offset);
        let network = Network { router: format!("signal-r{id}"), far: format!("signal-f{id}"), far_addr: at(6) };
        let Network { router, far, .. } = &network;
        let (near_end, router_end, far_end) = (format!("sn{id}"), format!("sr{id}"), format!("sf{id}"));
        let (one, two, five, six) =
            (format!("{}/30", at(1)), format!("{}/30", at(2)), format!("{}/30", at(5)), format!("{}/30", at(6)));
        let far_net = format!("{}/30", at(4));
        let (to_router, to_near) = (at(2).to_string(), at(5).to_string());
        let inner_end = format!("si{id}");
        let steps: &[&[&str]] = &[
            &["ip", "netns", "add", router],
            &["ip", "netns", "add", far],
            &["ip", "link", "add", &near_end, "type", "veth", "peer", "name", &router_end, "netns", router],
            &["ip", "-n", router, "link", "add", &inner_end, "type", "veth", "peer", "name", &far_end, "netns", far],
            &["ip", "addr", "add", &one, "dev", &near_end],
            &["ip", "-n", router, "addr", "add", &two, "dev", &router_end],
            &["ip", "-n", router, "addr", "add", &five, "dev", &inner_end],
            &["ip", "-n", far, "addr", "add", &six, "dev", &far_end],
            &["ip", "link", "set", &near_end, "up"],
            &["ip", "-n", router, "link", "set", &router_end, "up"],
            &["ip", "-n", router, "link", "set", &inner_end, "up"],
            &["ip", "-n", far, "link", "set", &far_end, "up"],
            &["ip", "route", "add", &far_net, "via", &to_router],
            &["ip", "-n", far, "route", "add", "default", "via", &to_near],
            &["ip", "netns", "exec", router, "sysctl", "-qw", "net.ipv4.ip_forward=1"],
            &["ip", "netns", "exec", router, "nft", "add", "table", "inet", "weather"],
            &[
                "ip",
                "netns",
                "exec",
                router,
                "nft",
                "add",
                "chain",
                "inet",
                "weather",
                "forward",
                "{ type filter hook forward priority 0; }",
            ],
        ];
        steps.iter().try_for_each(|step| run(step))?;
        Ok(network)
    }

    /// Listens on the far side. Whoever accepts from it may live here: a socket belongs where it was made.
    pub fn listen(&self) -> TcpListener {
        let (name, addr) = (self.far.clone(), SocketAddr::from((self.far_addr, 0)));
        let listening = thread::spawn(move || {
            enter(&name);
            TcpListener::bind(addr).unwrap()
        });
        listening.join().expect("the far side has its address")
    }

    /// Every packet is dropped, both ways, and nobody is told.
    pub fn silence(&self) {
        self.rule(&["drop"]);
    }

    /// So many packets of a hundred are dropped, at random.
    pub fn lose(&self, percent: u32) {
        self.rule(&["numgen", "random", "mod", "100", "<", &percent.to_string(), "drop"]);
    }

    pub fn clear(&self) {
        let chain = ["inet", "weather", "forward"];
        self.filter(&[&["flush", "chain"][..], &chain].concat());
    }

    fn rule(&self, rule: &[&str]) {
        self.clear();
        self.filter(&[&["add", "rule", "inet", "weather", "forward"][..], rule].concat());
    }

    fn filter(&self, words: &[&str]) {
        let inside = ["ip", "netns", "exec", &self.router, "nft"];
        run(&[&inside[..], words].concat()).unwrap_or_else(|error| panic!("{error}"));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // With a namespace go the links of which one end is in it.
        for name in [&self.router, &self.far] {
            let _ = run(&["ip", "netns", "del", name]);
        }
    }
}

/// Moves this thread, and none but it, into a namespace.
fn enter(name: &str) {
    let namespace = File::open(format!("/run/netns/{name}")).unwrap();
    // SAFETY: the descriptor is open for the time of the call, which changes nothing but this thread's namespace.
    #[allow(unsafe_code)]
    let entered = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
    assert_eq!(entered, 0, "{}", std::io::Error::last_os_error());
}

fn run(words: &[&str]) -> Result<(), String> {
    let output = Command::new(words[0]).args(&words[1..]).output().map_err(|error| format!("{}: {error}", words[0]))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{ErrorKind, Read, Write},
        net::TcpStream,
        time::Duration,
    };

    use super::*;
    use crate::require;

    #[test]
    fn what_the_router_drops_is_gone_without_a_word() {
        require!(Network);
        let network = Network::build().unwrap();
        let listener = network.listen();
        let addr = listener.local_addr().unwrap();
        let mut near = TcpStream::connect_timeout(&addr, Duration::from_secs(5)).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        near.write_all(b"a").unwrap();
        far.read_exact(&mut [0; 1]).unwrap();

        network.silence();
        far.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        near.write_all(b"b").unwrap();
        assert_eq!(far.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let nobody = TcpStream::connect_timeout(&addr, Duration::from_millis(300)).unwrap_err();
        assert_eq!(nobody.kind(), ErrorKind::TimedOut, "not even refused");

        network.lose(20);
        far.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        far.read_exact(&mut [0; 1]).unwrap();
        network.clear();
    }
}
