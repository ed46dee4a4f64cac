//! Before syslog servers.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncReadExt as _;
use tokio::net::{UdpSocket, UnixDatagram};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::shim::drained;

/// What stands behind the header.
fn said(message: &[u8]) -> &str {
    std::str::from_utf8(message).unwrap().rsplit(": ").next().unwrap()
}

#[tokio::test]
async fn over_tcp_also_when_the_peer_comes_and_goes() {
    let (listener, address) = listener().await;
    let given = [("syslog-address", &*format!("tcp://{address}")), ("tag", "{{.Name}}/{{.ID}}")];
    let mut shim = Shim::new();
    let following = follow(&shim, "syslog", &given).await;
    let (mut peer, _) = within("a connection", listener.accept()).await.unwrap();
    shim.say("one");
    shim.shout("two");
    shim.say("");
    let lines = read_until(&mut peer, b'\n', 2).await;
    let first = String::from_utf8(lines[0].clone()).unwrap();
    assert!(first.starts_with("<30>") && first.contains(" ecs-web-1-app-cafe/0123456789ab["), "{first}");
    assert!(lines[1].starts_with(b"<27>"), "stderr is an error");
    assert_eq!((said(&lines[0]), said(&lines[1])), ("one", "two"));

    // The peer goes away, and what is said meanwhile arrives with the next.
    drop((peer, listener));
    shim.say("three");
    a_moment().await;
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    shim.say("four");
    let (mut peer, _) = within("another connection", listener.accept()).await.unwrap();
    let lines = read_until(&mut peer, b'\n', 2).await;
    assert_eq!((said(&lines[0]), said(&lines[1])), ("three", "four"));
    shim.exit();
    drained(&following).await;
}

#[tokio::test]
async fn a_peer_that_is_not_there_fails_the_start_in_dockers_words() {
    let address = nobody().await;
    let reason = refusal("syslog", &[("syslog-address", &format!("tcp://{address}"))]).await;
    let expected = format!("failed to initialize logging driver: dial tcp {address}: connect: connection refused");
    assert_eq!(reason, expected);
}

#[tokio::test]
async fn a_peer_that_does_not_read_holds_up_only_its_own() {
    let (listener, address) = listener().await;
    let given = [("syslog-address", &*format!("tcp://{address}")), ("mode", "non-blocking")];
    let (mut loud, mut quiet) = (Shim::new(), Shim::new());
    let following = follow(&loud, "syslog", &given).await;
    let text = "x".repeat(10_000);
    for number in 0..1500 {
        loud.say(&format!("{number} {text}"));
    }
    let other = follow(&quiet, "syslog", &given).await;
    let (mut slow, _) = within("a connection", listener.accept()).await.unwrap();
    quiet.say("hello");
    quiet.exit();
    let (mut peer, _) = within("a connection", listener.accept()).await.unwrap();
    assert_eq!(said(&read_until(&mut peer, b'\n', 1).await[0]), "hello");
    drained(&other).await;
    loud.exit();
    let lines = read_until(&mut slow, b'\n', 1500).await;
    let numbers: Vec<usize> = lines.iter().map(|line| said(line).split(' ').next().unwrap().parse().unwrap()).collect();
    assert_eq!(numbers, (0..1500).collect::<Vec<_>>());
    drained(&following).await;
}

fn acceptor() -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = CertificateDer::pem_file_iter(tls_file("certificate.pem")).unwrap().collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(tls_file("key.pem")).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn over_tls_with_lengths_before_the_messages() {
    let (listener, address) = listener().await;
    let url = format!("tcp+tls://localhost:{}", address.port());
    let ca = tls_file("ca.pem");
    let given = [
        ("syslog-address", &*url),
        ("syslog-format", "rfc5424micro"),
        ("syslog-facility", "local0"),
        ("syslog-tls-ca-cert", ca.to_str().unwrap()),
        ("tag", "web"),
    ];
    let accept = async {
        let (stream, _) = listener.accept().await.unwrap();
        acceptor().accept(stream).await
    };
    let mut shim = Shim::new();
    let (following, peer) = tokio::join!(follow(&shim, "syslog", &given), within("a handshake", accept));
    let mut peer = peer.unwrap();
    shim.say("a: 1");
    shim.say("b: 22");
    for expected in [" - a: 1\n", " - b: 22\n"] {
        let length: usize = String::from_utf8(read_until(&mut peer, b' ', 1).await.remove(0)).unwrap().parse().unwrap();
        let mut message = vec![0; length];
        within("a message", peer.read_exact(&mut message)).await.unwrap();
        let message = String::from_utf8(message).unwrap();
        assert!(message.starts_with("<134>1 20") && message.ends_with(expected), "{message}");
        assert!(message.contains("Z node web "), "{message}");
    }
    shim.exit();
    drained(&following).await;

    // An authority of somebody else's.
    let accept = async { acceptor().accept(listener.accept().await.unwrap().0).await };
    let unknown = [given[0]];
    let (refused, accepted) = tokio::join!(refusal("syslog", &unknown), within("a handshake", accept));
    assert!(refused.contains("invalid peer certificate") && accepted.is_err(), "{refused}");
    let trusting = [given[0], ("syslog-tls-skip-verify", "")];
    let accept = async { acceptor().accept(listener.accept().await.unwrap().0).await };
    let (opened, accepted) = tokio::join!(follow(&shim, "syslog", &trusting), within("a handshake", accept));
    assert!(accepted.is_ok());
    drained(&opened).await;
}

#[tokio::test]
async fn over_udp_and_nobody_there() {
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let url = format!("udp://{}", peer.local_addr().unwrap());
    let mut shim = Shim::new();
    let following = follow(&shim, "syslog", &[("syslog-address", &url), ("syslog-format", "rfc3164")]).await;
    shim.say("hello");
    let mut buffer = [0; 2048];
    let length = within("a packet", peer.recv(&mut buffer)).await.unwrap();
    let text = std::str::from_utf8(&buffer[..length]).unwrap();
    assert!(text.contains(" node 0123456789ab[") && text.ends_with("]: hello\n"), "{text}");
    // UDP promises nothing, and nobody waits for it.
    drop(peer);
    for _ in 0..10 {
        shim.say("into the dark");
    }
    shim.exit();
    drained(&following).await;
}

#[tokio::test]
async fn over_unix_sockets() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let peer = UnixDatagram::bind(&path).unwrap();
    let mut shim = Shim::new();
    let url = format!("unixgram://{}", path.display());
    let following = follow(&shim, "syslog", &[("syslog-address", &url)]).await;
    shim.say("one");
    let mut buffer = [0; 2048];
    let length = within("a datagram", peer.recv(&mut buffer)).await.unwrap();
    assert_eq!(said(&buffer[..length]), "one\n");
    // The server is started anew.
    drop(peer);
    std::fs::remove_file(&path).unwrap();
    shim.say("two");
    a_moment().await;
    let peer = UnixDatagram::bind(&path).unwrap();
    let length = within("a datagram", peer.recv(&mut buffer)).await.unwrap();
    assert_eq!(said(&buffer[..length]), "two\n");
    shim.exit();
    drained(&following).await;

    let path = dir.path().join("stream");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let mut shim = Shim::new();
    let following = follow(&shim, "syslog", &[("syslog-address", &format!("unix://{}", path.display()))]).await;
    let (mut peer, _) = within("a connection", listener.accept()).await.unwrap();
    shim.say("three");
    shim.exit();
    assert_eq!(said(&read_until(&mut peer, b'\n', 1).await[0]), "three");
    drained(&following).await;
}
