//! `bench inside agent`: a container instance that is only pretended. It connects, and reads what it is sent.

use std::io::{Read, Write};
use std::net::TcpStream;

use api_ecs::operations::*;
use api_ecs::*;

use crate::rates::{CLUSTER, DEFINITION, client};

/// Joins, says so, and stays until it is killed.
pub async fn run() {
    let client = client("http://127.0.0.1:4566");
    let number = |name: &str, value| Resource {
        name: Some(name.into()),
        r#type: Some("INTEGER".into()),
        integer_value: Some(value),
        ..Default::default()
    };
    let set = |name: &str| Resource {
        name: Some(name.into()),
        r#type: Some("STRINGSET".into()),
        string_set_value: Some(Vec::new()),
        ..Default::default()
    };
    let room = vec![number("CPU", 1 << 30), number("MEMORY", 1 << 30), set("PORTS"), set("PORTS_UDP")];
    let capability =
        Attribute { name: Some("com.amazonaws.ecs.capability.docker-remote-api.1.18".into()), ..Default::default() };
    let request = RegisterContainerInstanceRequest {
        cluster: Some(CLUSTER.into()),
        attributes: Some(vec![capability]),
        total_resources: Some(room),
        ..Default::default()
    };
    let registered = client.call::<RegisterContainerInstance>(request).await.expect("the instance registers");
    let instance = registered.container_instance.and_then(|instance| instance.container_instance_arn);
    let container = ContainerDefinition {
        name: Some("web".into()),
        image: Some("hello-world:1".into()),
        cpu: Some(1),
        memory: Some(6),
        ..Default::default()
    };
    let definition = RegisterTaskDefinitionRequest {
        family: Some(DEFINITION.into()),
        container_definitions: Some(vec![container]),
        ..Default::default()
    };
    client.call::<RegisterTaskDefinition>(definition).await.expect("the definition registers");

    let mut stream = TcpStream::connect("127.0.0.1:4566").expect("the control plane answers");
    let (cluster, instance) = (CLUSTER, instance.expect("an instance has an ARN"));
    let request = format!(
        "GET /acs/ws?agentVersion=1.100.0&clusterArn={cluster}&containerInstanceArn={instance}&seqNum=1 HTTP/1.1\r\n\
         Host: 127.0.0.1:4566\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("the control plane reads");
    let mut buffer = [0; 1 << 16];
    let first = stream.read(&mut buffer).expect("the control plane answers");
    let first = String::from_utf8_lossy(&buffer[..first]);
    assert!(first.starts_with("HTTP/1.1 101"), "{first}");
    println!("joined");
    while stream.read(&mut buffer).is_ok_and(|bytes| bytes > 0) {}
}
