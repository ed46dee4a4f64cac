//! A node's network over its lifetime, in real namespaces. Needs root.

mod host;

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use host::*;
use network::{Network, NetworkConfig, NetworkError, NetworkMode, Recovered};

const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;

#[test]
fn everything_may_be_said_twice() {
    on_own_host(async {
        let network = open().await;
        network.release("never-seen").await.unwrap();
        let first = network.attach("a", NetworkMode::Bridge).await.unwrap();
        assert_eq!(network.attach("a", NetworkMode::Bridge).await.unwrap(), first);
        let bindings = network.publish("a", vec![tcp(80, 0)]).await.unwrap();
        assert_eq!(network.publish("a", vec![tcp(80, 0)]).await.unwrap(), bindings);

        let check = |error: NetworkError, expected: String| assert_eq!(words(error), expected);
        check(
            network.attach("a", NetworkMode::Host).await.unwrap_err(),
            "container a is attached already, in bridge mode".to_owned(),
        );
        check(
            network.publish("a", vec![tcp(81, 0)]).await.unwrap_err(),
            format!("container a has published other ports already: {}", bindings[0]),
        );
        check(
            network.publish("b", vec![tcp(80, 0)]).await.unwrap_err(),
            "container b has no network attachment to publish ports for".to_owned(),
        );
        check(network.publish("a", vec![tcp(0, 0)]).await.unwrap_err(), "0 is not a container port".to_owned());
        assert!(matches!(
            network.attach("../x", NetworkMode::None).await,
            Err(NetworkError::InvalidContainerId { .. })
        ));

        for _ in 0..2 {
            network.release("a").await.unwrap();
        }
        // A namespace that vanished under us is made anew.
        let again = network.attach("a", NetworkMode::Bridge).await.unwrap().netns.unwrap();
        sh(&format!("umount -l {}", again.display()));
        network.attach("a", NetworkMode::Bridge).await.unwrap();
        serve_tcp(&again, 80, "a");
    });
}

#[test]
fn none_has_a_loopback_only_and_host_has_nothing() {
    on_own_host(async {
        let network = open().await;
        let none = network.attach("none", NetworkMode::None).await.unwrap();
        assert_eq!(none.link, None);
        let links = inside(&none.netns.unwrap(), || sh("ip -br link"));
        assert_eq!(links.lines().count(), 1, "{links}");
        assert!(links.contains("LOOPBACK,UP"), "{links}");
        assert_eq!(network.publish("none", vec![tcp(80, 0)]).await.unwrap(), []);

        let host = network.attach("host", NetworkMode::Host).await.unwrap();
        assert_eq!((host.netns, host.link), (None, None));
        let bindings = network.publish("host", vec![tcp(8080, 0)]).await.unwrap();
        assert_eq!(bindings[0].to_string(), "0.0.0.0:8080/tcp -> 8080");
        // The container's own process must be able to listen there; nobody else may be given it.
        let listener = TcpListener::bind("0.0.0.0:8080").unwrap();
        network.attach("a", NetworkMode::Bridge).await.unwrap();
        let error = network.publish("a", vec![tcp(80, 8080)]).await.unwrap_err();
        assert_eq!(words(error), "host port 8080/tcp is already in use by container host");
        network.release("host").await.unwrap();
        network.attach("host", NetworkMode::Host).await.unwrap();
        let error = network.publish("host", vec![tcp(8080, 8080)]).await.unwrap_err();
        assert_eq!(words(error), "host port 8080/tcp is already in use");
        drop(listener);
        network.publish("host", vec![tcp(8080, 8080)]).await.unwrap();
    });
}

#[test]
fn a_restarted_agent_finds_everything() {
    on_own_host(async {
        let mut ports = Vec::new();
        {
            let network = open().await;
            for id in ["keep", "reboot", "stop"] {
                let namespace = network.attach(id, NetworkMode::Bridge).await.unwrap().netns.unwrap();
                serve_tcp(&namespace, 80, "alive");
                ports.push(network.publish(id, vec![tcp(80, 0)]).await.unwrap()[0].host_port);
            }
            network.attach("on-host", NetworkMode::Host).await.unwrap();
            // Dropped without a word, as by a kill: containers go on answering.
        }
        assert!(ask_tcp(LOOPBACK, ports[0]).unwrap().starts_with("alive"));
        sh("umount -l /run/netns-of-containers/reboot");
        // A namespace without a record, a torn record, and a table that somebody flushed.
        sh("nft flush ruleset
            touch /run/netns-of-containers/stray
            echo '{' >/run/state/torn.json");

        let network = open_when_free().await;
        // Before it knows who lives, all that stand are reachable.
        assert!(ask_tcp(LOOPBACK, ports[0]).unwrap().starts_with("alive"));
        assert!(ask_tcp(LOOPBACK, ports[2]).unwrap().starts_with("alive"));
        let kept = network.attach("keep", NetworkMode::Bridge).await.unwrap();
        assert_eq!(kept.link.unwrap().ip, Ipv4Addr::new(172, 29, 0, 2));

        let recovered = network.recover(["keep", "reboot", "on-host", "unknown"]).await.unwrap();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            recovered,
            Recovered { kept: names(&["keep", "on-host"]), lost: names(&["reboot"]), released: names(&["stop"]) }
        );
        assert!(ask_tcp(LOOPBACK, ports[0]).unwrap().starts_with("alive"));
        assert!(ask_tcp_in_vain(LOOPBACK, ports[2]).is_err());
        assert_eq!(
            sh("ls /run/netns-of-containers /run/state"),
            "/run/netns-of-containers:\nkeep\n\n/run/state:\nkeep.json\non-host.json\n"
        );
        // What is kept is still taken, what was released is free.
        network.attach("new", NetworkMode::Bridge).await.unwrap();
        assert!(network.publish("new", vec![tcp(80, ports[0])]).await.is_err());
        network.publish("new", vec![tcp(80, ports[2])]).await.unwrap();

        // With containers attached, closing leaves them in peace.
        network.close().await.unwrap();
        assert!(ask_tcp(LOOPBACK, ports[0]).unwrap().starts_with("alive"));
    });
}

/// The agent died between the namespace and what belongs into it.
#[test]
fn what_is_half_made_is_made_anew() {
    on_own_host(async {
        {
            let network = open().await;
            let namespace = network.attach("half", NetworkMode::Bridge).await.unwrap().netns.unwrap();
            inside(&namespace, || sh("ip link delete eth0"));
            let text = std::fs::read_to_string("/run/state/half.json").unwrap();
            assert!(!text.contains("half_made"), "{text}");
            std::fs::write("/run/state/half.json", text.replace("\"published\"", "\"half_made\":true,\"published\""))
                .unwrap();
        }
        let network = open_when_free().await;
        let namespace = network.attach("half", NetworkMode::Bridge).await.unwrap().netns.unwrap();
        serve_tcp(&namespace, 80, "whole");
        let port = network.publish("half", vec![tcp(80, 0)]).await.unwrap()[0].host_port;
        assert!(ask_tcp(LOOPBACK, port).unwrap().starts_with("whole"));
        network.release("half").await.unwrap();
    });
}

#[test]
fn a_flushed_ruleset_comes_back() {
    on_own_host(async {
        let network = open().await;
        let web = network.attach("web", NetworkMode::Bridge).await.unwrap().netns.unwrap();
        serve_tcp(&web, 80, "web");
        network.publish("web", vec![tcp(80, 8080)]).await.unwrap();
        // With the next change ...
        sh("nft flush ruleset");
        network.attach("other", NetworkMode::Bridge).await.unwrap();
        network.publish("other", vec![tcp(80, 8081)]).await.unwrap();
        assert!(ask_tcp(LOOPBACK, 8080).unwrap().starts_with("web"));
        // ... or by itself.
        sh("nft flush ruleset");
        eventually(|| ask_tcp_in_vain(LOOPBACK, 8080).is_ok()).await;
    });
}

#[test]
fn a_docker_engine_that_drops_what_is_forwarded() {
    const DOCKER: &str = "iptables -N DOCKER-USER
        iptables -A DOCKER-USER -j RETURN
        iptables -I FORWARD -j DOCKER-USER
        iptables -P FORWARD DROP";
    on_own_host(async {
        let neighbour = with_neighbour();
        sh(DOCKER);
        let network = open().await;
        let web = network.attach("web", NetworkMode::Bridge).await.unwrap().netns.unwrap();
        let other = network.attach("other", NetworkMode::Bridge).await.unwrap();
        serve_tcp(&web, 80, "web");
        serve_tcp(neighbour, 8080, "neighbour");
        network.publish("web", vec![tcp(80, 8080)]).await.unwrap();
        let other_ip = other.link.unwrap().ip;
        serve_tcp(&other.netns.unwrap(), 80, "other");

        assert!(inside(neighbour, || ask_tcp(UPLINK, 8080)).unwrap().starts_with("web"));
        assert!(inside(&web, || ask_tcp(NEIGHBOUR, 8080)).unwrap().starts_with("neighbour"));
        assert!(inside(&web, || ask_tcp(other_ip, 80)).unwrap().starts_with("other"));

        // The engine is restarted and makes its chain anew, or is started only now.
        sh("iptables -F DOCKER-USER");
        eventually(|| inside(neighbour, || ask_tcp_in_vain(UPLINK, 8080)).is_ok()).await;
        sh("iptables -F && iptables -X");
        eventually(|| inside(neighbour, || ask_tcp_in_vain(UPLINK, 8080)).is_ok()).await;

        for id in ["web", "other"] {
            network.release(id).await.unwrap();
        }
        network.close().await.unwrap();
        assert_eq!(sh("iptables -S FORWARD"), "-P FORWARD DROP\n");
        eventually(|| !leftovers().contains("berth")).await;
    });
}

#[test]
fn an_interface_goes_also_when_its_namespace_is_in_use() {
    on_own_host(async {
        let network = open().await;
        let namespace = network.attach("a", NetworkMode::Bridge).await.unwrap().netns.unwrap();
        // A socket keeps a namespace alive, as a process would.
        let _socket = inside(&namespace, || TcpListener::bind("0.0.0.0:80").unwrap());
        network.release("a").await.unwrap();
        eventually(|| !leftovers().contains("bv")).await;
        drop(network);
    });
}

#[test]
fn one_node_at_a_time() {
    on_own_host(async {
        let first = open().await;
        let error = Network::open(config()).await.map(|_| ()).unwrap_err();
        assert!(matches!(error, NetworkError::InUse { .. }), "{error}");
        // Other names and folders, and both live side by side.
        let second = NetworkConfig {
            bridge: "berth1".into(),
            table: "berth_1".into(),
            ..NetworkConfig::new("/run/s2", "/run/n2")
        };
        let second = Network::open(second).await.unwrap();
        assert_ne!(first.subnet(), second.subnet());
        for (network, port) in [(&first, 8080), (&second, 8081)] {
            let namespace = network.attach("web", NetworkMode::Bridge).await.unwrap().netns.unwrap();
            serve_tcp(&namespace, 80, "web");
            network.publish("web", vec![tcp(80, port)]).await.unwrap();
            assert!(ask_tcp(LOOPBACK, port).is_ok());
        }
    });
}

#[test]
fn the_subnet_steps_aside_for_the_hosts_routes() {
    on_own_host(async {
        with_neighbour();
        sh("ip route add 172.29.7.0/24 via 198.51.100.2");
        assert_eq!(open().await.subnet().to_string(), "172.30.0.0/16");
    });
}

#[test]
fn without_rights_it_says_so() {
    on_own_host(async {
        // Everything happens in a thread that gave its capabilities away.
        let error = std::thread::spawn(|| {
            drop_capabilities();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(Network::open(config())).map(|_| ()).unwrap_err()
        });
        let error = error.join().unwrap();
        assert_eq!(
            error.to_string(),
            "create a network namespace is not permitted: the node needs root, or CAP_NET_ADMIN and CAP_SYS_ADMIN"
        );
    });
}

fn drop_capabilities() {
    #[repr(C)]
    struct Header(u32, i32);
    let header = Header(0x2008_0522, 0);
    let none = [0u32; 6];
    // SAFETY: header and data have the shape of version 3, and live across the call; it concerns this thread.
    let answer = unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) };
    assert_eq!(answer, 0, "{}", std::io::Error::last_os_error());
}

/// The lock goes with the last thread of the former node, which may take a moment.
async fn open_when_free() -> Network {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match Network::open(config()).await {
            Err(NetworkError::InUse { .. }) if Instant::now() < deadline => tokio::task::yield_now().await,
            answer => return answer.unwrap(),
        }
    }
}
