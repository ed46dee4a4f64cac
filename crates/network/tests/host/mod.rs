//! A host for one test: a network and a mount namespace of its own, which go when the test's threads go.

#![allow(dead_code, reason = "each test file uses its part")]

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use network::{Network, NetworkConfig, NetworkError, PortMapping, Protocol};

pub const UPLINK: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
pub const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
/// Long enough for a loaded machine, short enough to wait for what must not come.
const PATIENCE: Duration = Duration::from_secs(5);
const IMPATIENCE: Duration = Duration::from_millis(300);

/// Runs a test on a host of its own. `/run` is empty and private there, so nothing reaches the disk.
pub fn on_own_host<F: Future<Output = ()>>(test: F) {
    // SAFETY: both flags concern the calling thread, and what it starts from here on.
    let answer = unsafe { libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS) };
    assert_eq!(answer, 0, "these tests need root: {}", io::Error::last_os_error());
    sh("mount --make-rprivate / && mount -t tmpfs tmpfs /run && ip link set lo up");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test);
}

pub fn config() -> NetworkConfig {
    NetworkConfig::new("/run/state", "/run/netns-of-containers")
}

pub async fn open() -> Network {
    Network::open(config()).await.unwrap()
}

pub fn sh(script: &str) -> String {
    let output = Command::new("sh").args(["-e", "-c", script]).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{script}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// A neighbour machine at the other end of the host's uplink, which routes everything to the host.
pub fn with_neighbour() -> &'static Path {
    sh("ip netns add neighbour
        ip link add up0 type veth peer name up1 netns neighbour
        ip addr add 198.51.100.1/24 dev up0
        ip link set up0 up
        ip -n neighbour addr add 198.51.100.2/24 dev up1
        ip -n neighbour link set up1 up
        ip -n neighbour link set lo up
        ip -n neighbour route add default via 198.51.100.1
        ip route add default via 198.51.100.2");
    Path::new("/run/netns/neighbour")
}

/// Runs `work` in a network namespace. Sockets that it returns stay there.
pub fn inside<T: Send>(namespace: &Path, work: impl FnOnce() -> T + Send) -> T {
    let namespace = File::open(namespace).unwrap();
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            // SAFETY: setns concerns the calling thread only, and the descriptor is open.
            let answer = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
            assert_eq!(answer, 0, "{}", io::Error::last_os_error());
            work()
        });
        thread.join().unwrap()
    })
}

/// A server that tells each client who it is and from where the client came.
pub fn serve_tcp(namespace: &Path, port: u16, name: &'static str) {
    let listener = inside(namespace, || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let Ok(peer) = stream.peer_addr() else { continue };
            let _ = write!(stream, "{name} {}", peer.ip());
        }
    });
}

pub fn serve_udp(namespace: &Path, port: u16, name: &'static str) {
    let socket = inside(namespace, || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap());
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((_, peer)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(name.as_bytes(), peer);
        }
    });
}

pub fn ask_tcp(ip: impl Into<Ipv4Addr>, port: u16) -> io::Result<String> {
    ask_tcp_for(PATIENCE, ip.into(), port)
}

/// For what should not answer.
pub fn ask_tcp_in_vain(ip: impl Into<Ipv4Addr>, port: u16) -> io::Result<String> {
    ask_tcp_for(IMPATIENCE, ip.into(), port)
}

fn ask_tcp_for(patience: Duration, ip: Ipv4Addr, port: u16) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((ip, port)), patience)?;
    stream.set_read_timeout(Some(patience))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

pub fn ask_udp(ip: impl Into<Ipv4Addr>, port: u16) -> io::Result<String> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect((ip.into(), port))?;
    socket.send(b"?")?;
    let mut buffer = [0; 64];
    let length = socket.recv(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

pub fn tcp(container_port: u16, host_port: u16) -> PortMapping {
    PortMapping { container_port, host_port, protocol: Protocol::Tcp, in_range: false }
}

pub fn udp(container_port: u16, host_port: u16) -> PortMapping {
    PortMapping { container_port, host_port, protocol: Protocol::Udp, in_range: false }
}

/// What the whole chain of an error says.
pub fn words(error: NetworkError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Everything of ours on this host, in one text.
pub fn leftovers() -> String {
    sh("ip -o link show | grep -oE '\\b(bv[0-9a-f]{12}|berth0)\\b' || true
        nft list tables
        iptables -S 2>/dev/null | grep berth0 || true
        ls /run/netns-of-containers /run/state
        grep netns-of-containers /proc/thread-self/mounts || true")
}

/// For what the kernel or a watcher does in its own time.
pub async fn eventually(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "it did not come true in time; left: {}", leftovers());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
