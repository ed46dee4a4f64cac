//! Before Graylog servers.

use std::io::Read as _;

use flate2::read::{GzDecoder, ZlibDecoder};
use serde_json::Value;
use tokio::net::UdpSocket;

use super::*;
use crate::shim::drained;

/// One message, put together from its chunks.
async fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut chunks: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    let mut buffer = [0; 4096];
    loop {
        let length = within("a packet", socket.recv(&mut buffer)).await.unwrap();
        let packet = &buffer[..length];
        if !packet.starts_with(&[0x1e, 0x0f]) {
            return packet.to_vec();
        }
        assert!(packet.len() <= 1420);
        chunks.insert(packet[10], packet[12..].to_vec());
        if chunks.len() == usize::from(packet[11]) {
            return chunks.into_values().collect::<Vec<_>>().concat();
        }
    }
}

#[tokio::test]
async fn over_udp_in_each_packing() {
    // What does not shrink, so that it takes chunks.
    let mut seed = 1u64;
    let noise: String = (0..6000)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'!' + (seed >> 33) as u8 % 90)
        })
        .collect();
    for packing in ["gzip", "zlib", "none"] {
        let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let url = format!("udp://{}", peer.local_addr().unwrap());
        let given =
            [("gelf-address", &*url), ("gelf-compression-type", packing), ("env", "STAGE"), ("tag", "{{.Name}}")];
        let mut shim = Shim::new();
        let following = follow(&shim, "gelf", &given).await;
        for text in ["short", &noise] {
            shim.shout(text);
            let packed = receive(&peer).await;
            let mut message = String::new();
            match packing {
                "gzip" => drop(GzDecoder::new(&*packed).read_to_string(&mut message).unwrap()),
                "zlib" => drop(ZlibDecoder::new(&*packed).read_to_string(&mut message).unwrap()),
                _ => message.push_str(std::str::from_utf8(&packed).unwrap()),
            }
            let message: Value = serde_json::from_str(&message).unwrap();
            for (name, expected) in [
                ("version", "1.1"),
                ("host", "node"),
                ("short_message", text),
                ("_tag", "ecs-web-1-app-cafe"),
                ("_container_name", "ecs-web-1-app-cafe"),
                ("_image_name", "nginx:1"),
                ("_command", "/bin/server"),
                ("_created", "2026-11-24T18:05:59.12Z"),
                ("_STAGE", "prod"),
            ] {
                assert_eq!(message[name], expected, "{name} by {packing}");
            }
            assert_eq!(message["level"], 3);
            assert!(message["timestamp"].as_f64().unwrap() > 1.7e9);
        }
        shim.exit();
        drained(&following).await;
    }
}

#[tokio::test]
async fn over_tcp_also_when_the_peer_comes_and_goes() {
    let (listener, address) = listener().await;
    let given = [("gelf-address", &*format!("tcp://{address}"))];
    let mut shim = Shim::new();
    let following = follow(&shim, "gelf", &given).await;
    let (mut peer, _) = within("a connection", listener.accept()).await.unwrap();
    shim.say("one");
    let message: Value = serde_json::from_slice(&read_until(&mut peer, 0, 1).await[0]).unwrap();
    assert_eq!((&message["short_message"], &message["level"]), (&"one".into(), &6.into()));
    drop(peer);
    a_moment().await;
    shim.say("two");
    let (mut peer, _) = within("another connection", listener.accept()).await.unwrap();
    let message: Value = serde_json::from_slice(&read_until(&mut peer, 0, 1).await[0]).unwrap();
    assert_eq!(message["short_message"], "two");
    shim.exit();
    drained(&following).await;
    drop(listener);
    let expected = format!(
        "failed to initialize logging driver: gelf: cannot connect to GELF endpoint: {address} dial tcp {address}: connect: \
         connection refused"
    );
    assert_eq!(refusal("gelf", &given).await, expected);
}
