//! Bridge mode in real namespaces. Needs root.

mod host;

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::Path;

use host::*;
use network::{Network, NetworkConfig, NetworkError, NetworkMode, Protocol, Redirect};

const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;

#[test]
fn a_dynamic_port_answers_from_everywhere() {
    on_own_host(async {
        let neighbour = with_neighbour();
        let network = open().await;
        let web = network.attach("web", NetworkMode::Bridge).await.unwrap();
        let other = network.attach("other", NetworkMode::Bridge).await.unwrap();
        let (web_ns, other_ns) = (web.netns.unwrap(), other.netns.unwrap());
        let link = web.link.unwrap();
        assert_eq!((link.interface.as_str(), link.gateway), ("eth0", network.gateway()));

        serve_tcp(&web_ns, 80, "web");
        let bindings = network.publish("web", vec![tcp(80, 0)]).await.unwrap();
        let [binding] = bindings.as_slice() else { panic!("{bindings:?}") };
        assert_eq!((binding.container_port, binding.protocol), (80, Protocol::Tcp));
        assert!((32768..=60999).contains(&binding.host_port), "{binding}");
        let port = binding.host_port;
        let gateway = network.gateway();

        // The host's loopback and its own addresses.
        assert_eq!(ask_tcp(LOOPBACK, port).unwrap(), format!("web {gateway}"));
        assert!(ask_tcp(UPLINK, port).unwrap().starts_with("web "));
        assert!(ask_tcp(gateway, port).unwrap().starts_with("web "));
        // Another machine; the container sees its true address.
        assert_eq!(inside(neighbour, || ask_tcp(UPLINK, port)).unwrap(), format!("web {NEIGHBOUR}"));
        // Another container, directly and by the host's port; and the container itself.
        let other_ip = other.link.unwrap().ip;
        assert_eq!(inside(&other_ns, || ask_tcp(link.ip, 80)).unwrap(), format!("web {other_ip}"));
        assert_eq!(inside(&other_ns, || ask_tcp(gateway, port)).unwrap(), format!("web {gateway}"));
        assert_eq!(inside(&other_ns, || ask_tcp(UPLINK, port)).unwrap(), format!("web {gateway}"));
        assert_eq!(inside(&web_ns, || ask_tcp(UPLINK, port)).unwrap(), format!("web {gateway}"));
        // The way out hides the container's address, and there is no way in but by published ports.
        serve_tcp(neighbour, 8080, "neighbour");
        assert_eq!(inside(&web_ns, || ask_tcp(NEIGHBOUR, 8080)).unwrap(), format!("neighbour {UPLINK}"));
        assert!(inside(neighbour, || ask_tcp_in_vain(link.ip, 80)).is_err());

        network.release("web").await.unwrap();
        assert!(ask_tcp_in_vain(LOOPBACK, port).is_err());
        network.release("other").await.unwrap();
        network.close().await.unwrap();
        eventually(|| leftovers() == "/run/netns-of-containers:\n\n/run/state:\n").await;
    });
}

#[test]
fn the_port_map_with_and_without_bridge_netfilter() {
    on_own_host(async {
        // A Docker engine turns this on for all bridges; it is the default of a new namespace, too. Where the
        // module is missing there is nothing to turn.
        for value in ["0", "1"] {
            let _ = std::fs::write("/proc/sys/net/bridge/bridge-nf-call-iptables", value);
            let network = open().await;
            let web = network.attach("web", NetworkMode::Bridge).await.unwrap().netns.unwrap();
            let other = network.attach("other", NetworkMode::Bridge).await.unwrap().netns.unwrap();
            serve_tcp(&web, 80, "web");
            network.publish("web", vec![tcp(80, 8080)]).await.unwrap();
            let gateway = network.gateway();
            for from in [&web, &other] {
                let answer = inside(from, || ask_tcp(gateway, 8080));
                assert_eq!(answer.ok(), Some(format!("web {gateway}")), "from {} with {value}", from.display());
            }
            for id in ["web", "other"] {
                network.release(id).await.unwrap();
            }
            network.close().await.unwrap();
        }
    });
}

#[test]
fn udp_answers_come_from_where_the_question_went() {
    on_own_host(async {
        let neighbour = with_neighbour();
        let network = open().await;
        let dns = network.attach("dns", NetworkMode::Bridge).await.unwrap().netns.unwrap();
        serve_udp(&dns, 53, "dns");
        serve_tcp(&dns, 53, "dns by tcp");
        let bindings = network.publish("dns", vec![udp(53, 0), tcp(53, 5353), udp(53, 5353)]).await.unwrap();
        let ports: Vec<_> = bindings.iter().map(|b| (b.protocol, b.host_port)).collect();
        assert_eq!(ports[1..], [(Protocol::Tcp, 5353), (Protocol::Udp, 5353)]);
        for port in [ports[0].1, 5353] {
            assert_eq!(ask_udp(LOOPBACK, port).unwrap(), "dns");
            assert_eq!(inside(neighbour, || ask_udp(UPLINK, port)).unwrap(), "dns");
        }
        assert!(ask_tcp(LOOPBACK, 5353).unwrap().starts_with("dns by tcp"));
    });
}

#[test]
fn a_static_port_has_one_holder() {
    on_own_host(async {
        let network = open().await;
        for id in ["a", "b", "c"] {
            network.attach(id, NetworkMode::Bridge).await.unwrap();
        }
        network.publish("a", vec![tcp(80, 8080)]).await.unwrap();

        // Ours.
        let error = network.publish("b", vec![tcp(81, 0), tcp(80, 8080)]).await.unwrap_err();
        assert_eq!(words(error), "host port 8080/tcp is already in use by container a");
        let error = network.publish("b", vec![tcp(80, 9000), tcp(81, 9000)]).await.unwrap_err();
        assert_eq!(words(error), "host port 9000/tcp is already in use by container b");
        // Another process's, on one address of the host.
        let listener = TcpListener::bind("127.0.0.1:9090").unwrap();
        let error = network.publish("b", vec![tcp(80, 9090)]).await.unwrap_err();
        assert_eq!(words(error), "host port 9090/tcp is already in use");
        let socket = UdpSocket::bind("0.0.0.0:9090").unwrap();
        assert!(matches!(
            network.publish("b", vec![udp(80, 9090)]).await,
            Err(NetworkError::PortInUse { port: 9090, protocol: Protocol::Udp, holder: None })
        ));
        // Free again; and refusals left nothing behind.
        drop((listener, socket));
        network.publish("b", vec![tcp(80, 9000), tcp(81, 9090), udp(80, 9090), udp(80, 8080)]).await.unwrap();
        // While it is published no process of the host can take it.
        assert!(TcpListener::bind("0.0.0.0:8080").is_err());
        network.release("a").await.unwrap();
        drop(TcpListener::bind("0.0.0.0:8080").unwrap());
        network.publish("c", vec![tcp(80, 8080)]).await.unwrap();
    });
}

#[test]
fn dynamic_ports_step_around_listeners_until_none_is_left() {
    on_own_host(async {
        let range = network::DynamicPorts::Between(40000, 40003);
        let network = Network::open(network::NetworkConfig { dynamic_ports: range, ..config() }).await.unwrap();
        let _listener = TcpListener::bind("0.0.0.0:40001").unwrap();
        for id in ["a", "b"] {
            network.attach(id, NetworkMode::Bridge).await.unwrap();
        }
        // The static one is served first, wherever it stands.
        let bindings = network.publish("a", vec![tcp(1, 0), tcp(2, 0), tcp(3, 40000)]).await.unwrap();
        assert_eq!(bindings.iter().map(|b| b.host_port).collect::<Vec<_>>(), [40002, 40003, 40000]);
        let error = network.publish("b", vec![tcp(1, 0)]).await.unwrap_err();
        assert_eq!(words(error), "no free tcp host port is left between 40000 and 40003");
        network.release("a").await.unwrap();
        assert_eq!(network.publish("b", vec![tcp(1, 0)]).await.unwrap()[0].host_port, 40000);
    });
}

#[test]
fn fifty_at_once_and_nothing_left() {
    on_own_host(async {
        let network = open().await;
        let mut work = tokio::task::JoinSet::new();
        for n in 0..50 {
            let network = network.clone();
            work.spawn(async move {
                let id = format!("c{n}");
                let attachment = network.attach(&id, NetworkMode::Bridge).await.unwrap();
                let binding = network.publish(&id, vec![tcp(80, 0)]).await.unwrap().remove(0);
                (attachment.netns.unwrap(), attachment.link.unwrap().ip, binding.host_port)
            });
        }
        let all = work.join_all().await;
        let distinct = |count: usize| assert_eq!(count, 50);
        distinct(all.iter().map(|(_, ip, _)| ip).collect::<std::collections::BTreeSet<_>>().len());
        distinct(all.iter().map(|(_, _, port)| port).collect::<std::collections::BTreeSet<_>>().len());
        for (namespace, ip, port) in &all {
            let listener = inside(namespace, || TcpListener::bind((Ipv4Addr::UNSPECIFIED, 80)).unwrap());
            let client = std::net::TcpStream::connect((LOOPBACK, *port)).unwrap();
            let (server, _) = listener.accept().unwrap();
            assert_eq!(server.local_addr().unwrap().ip(), *ip);
            assert_eq!(client.peer_addr().unwrap().port(), *port);
        }

        let mut work = tokio::task::JoinSet::new();
        for n in 0..50 {
            let network = network.clone();
            work.spawn(async move { network.release(&format!("c{n}")).await.unwrap() });
        }
        work.join_all().await;
        let map = sh("nft list map ip berth ports");
        assert!(!map.contains("elements"), "{map}");
        network.close().await.unwrap();
        eventually(|| leftovers() == "/run/netns-of-containers:\n\n/run/state:\n").await;
    });
}

#[test]
fn an_address_of_nobody_leads_to_the_host() {
    on_own_host(async {
        with_neighbour();
        let config = NetworkConfig {
            redirects: vec![Redirect { from: "169.254.170.2:80".parse().unwrap(), to_port: 51679 }],
            ..config()
        };
        let network = Network::open(config).await.unwrap();
        let web = network.attach("web", NetworkMode::Bridge).await.unwrap().netns.unwrap();
        serve_tcp(Path::new("/proc/thread-self/ns/net"), 51679, "ours");
        serve_tcp(Path::new("/proc/thread-self/ns/net"), 9999, "theirs");
        let address = Ipv4Addr::new(169, 254, 170, 2);
        assert!(inside(&web, || ask_tcp(address, 80)).unwrap().starts_with("ours"));
        assert!(ask_tcp(address, 80).unwrap().starts_with("ours"));
        // The listener itself is out of reach.
        assert!(inside(&web, || ask_tcp_in_vain([127, 0, 0, 1], 51679)).is_err());

        // The official agent's rules. It answers the host's own processes then, and our containers are still ours.
        for rule in [
            "PREROUTING -p tcp -d 169.254.170.2 --dport 80 -j DNAT --to-destination 127.0.0.1:9999",
            "OUTPUT -p tcp -d 169.254.170.2 --dport 80 -j REDIRECT --to-ports 9999",
        ] {
            sh(&format!("iptables -t nat -A {rule}"));
        }
        assert!(inside(&web, || ask_tcp(address, 80)).unwrap().starts_with("ours"));
        assert!(ask_tcp(address, 80).unwrap().starts_with("theirs"));
        network.release("web").await.unwrap();
        network.close().await.unwrap();
        assert!(!sh("nft list tables").contains("berth"));
    });
}
