//! Names, addresses, ports and files that a container shares with its machine and its task.

use std::fs;
use std::io::Read as _;
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use serde_json::json;

use crate::world::{host_port, named, text};
use crate::{Bench, Case, Page};

const NETWORK: Page = Page::Parameters("Network settings");
const PORTS: Page = Page::Api("PortMapping");
const VOLUMES: Page = Page::Guide("Storage options for Amazon ECS tasks");

pub fn cases() -> Vec<Case> {
    let case = |name, feature, page, check| Case { name, feature, page, check };
    vec![
        case("hostname", "`hostname`", NETWORK, hostname),
        case(
            "hostname_default",
            "without one a container is called by the beginning of its id",
            Page::Docker("run --hostname"),
            hostname_default,
        ),
        case("extra_hosts", "`extraHosts` in /etc/hosts", NETWORK, extra_hosts),
        case("dns", "`dnsServers` and `dnsSearchDomains` in /etc/resolv.conf", NETWORK, dns),
        case("links", "`links`: the other's name and alias lead to it", NETWORK, links),
        case(
            "links_environment",
            "and its ports, name and environment are variables",
            Page::Docker("legacy container links"),
            links_environment,
        ),
        case("port_static", "a port mapping with a host port", PORTS, port_static),
        case("port_dynamic", "a port mapping without one: a free port, told by DescribeTasks", PORTS, port_dynamic),
        case("port_udp", "a port mapping of `udp`", PORTS, port_udp),
        case("port_range", "`containerPortRange`: neighbouring free ports, told as a range", PORTS, port_range),
        case("port_taken", "two tasks with the same host port do not fit on one instance", PORTS, port_taken),
        case(
            "network_bridge",
            "network mode `bridge`: an address of its own",
            Page::Guide("Amazon ECS task networking options for EC2"),
            network_bridge,
        ),
        case(
            "network_host",
            "network mode `host`",
            Page::Guide("Amazon ECS task networking options for EC2"),
            network_host,
        ),
        case(
            "network_none",
            "network mode `none`",
            Page::Guide("Amazon ECS task networking options for EC2"),
            network_none,
        ),
        case("volume_host", "a folder or file of the machine, read-write and read-only", VOLUMES, volume_host),
        case(
            "volume_scratch",
            "a volume without a source is shared by the task's containers, and goes with it",
            VOLUMES,
            volume_scratch,
        ),
        case(
            "volume_docker_task",
            "a Docker volume of scope `task`",
            Page::Guide("Use Docker volumes with Amazon ECS"),
            volume_docker_task,
        ),
        case(
            "volume_docker_shared",
            "a Docker volume of scope `shared` with `autoprovision` outlives its task",
            Page::Guide("Use Docker volumes with Amazon ECS"),
            volume_docker_shared,
        ),
        case(
            "volume_filled",
            "an empty volume begins with what the image has in its place",
            Page::Docker("volumes"),
            volume_filled,
        ),
        case("volumes_from", "`volumesFrom`, also read-only", Page::Api("VolumeFrom"), volumes_from),
    ]
}

fn hostname(bench: &Bench<'_>) {
    let seen = bench.inspect(json!({}), json!({ "hostname": "called-so" }));
    assert_eq!((seen.text("hostname"), seen.text("etc_hostname").trim()), ("called-so", "called-so"));
    assert!(seen.text("hosts").contains("called-so"), "{}", seen.text("hosts"));
}

fn hostname_default(bench: &Bench<'_>) {
    let task = bench.does(json!({}), json!({}), &["inspect"]);
    let id = text(&named(&task.stopped(), "web")["runtimeId"]);
    let seen = crate::seen::Seen::read(&task.output("web"));
    assert_eq!(seen.text("hostname"), &id[..12]);
}

fn extra_hosts(bench: &Bench<'_>) {
    let hosts = json!([{ "hostname": "db", "ipAddress": "10.1.2.3" }, { "hostname": "six", "ipAddress": "fe80::1" }]);
    let seen = bench.inspect(json!({}), json!({ "extraHosts": hosts }));
    for line in ["10.1.2.3\tdb\n", "fe80::1\tsix\n", "127.0.0.1\tlocalhost\n"] {
        assert!(seen.text("hosts").contains(line), "{}", seen.text("hosts"));
    }
}

fn dns(bench: &Bench<'_>) {
    let more = json!({ "dnsServers": ["192.0.2.1", "192.0.2.2"], "dnsSearchDomains": ["one.test", "two.test"] });
    let seen = bench.inspect(json!({}), more);
    let lines: Vec<&str> = seen.text("resolv_conf").lines().collect();
    for line in ["nameserver 192.0.2.1", "nameserver 192.0.2.2", "search one.test two.test"] {
        assert!(lines.contains(&line), "{lines:?}");
    }
}

fn links(bench: &Bench<'_>) {
    let db = json!({ "name": "db", "command": ["serve", "5432", "rows"] });
    let web = json!({ "name": "web", "links": ["db:database"], "command": ["fetch", "database", "5432", "/"] });
    let task = bench.run(json!({}), json!([db, web]));
    task.stopped();
    assert_eq!(task.output("web"), "rows\n");
}

fn links_environment(bench: &Bench<'_>) {
    let db = json!({ "name": "db", "command": ["wait"], "environment": [{ "name": "USER", "value": "me" }], "portMappings": [{ "containerPort": 5432 }] });
    let web = json!({ "name": "web", "links": ["db:my-db"], "command": ["inspect"] });
    let task = bench.run(json!({}), json!([db, web]));
    task.stopped();
    let seen = crate::seen::Seen::read(&task.output("web"));
    let env = seen.env();
    let ip = &env["MY_DB_PORT_5432_TCP_ADDR"];
    assert!(seen.text("hosts").contains(&format!("{ip}\tmy-db")), "{}", seen.text("hosts"));
    assert_eq!(env["MY_DB_PORT"], format!("tcp://{ip}:5432"), "the lowest port");
    assert_eq!((env["MY_DB_PORT_5432_TCP_PROTO"].as_str(), env["MY_DB_PORT_9000_TCP_PORT"].as_str()), ("tcp", "9000"));
    assert_eq!((env["MY_DB_ENV_USER"].as_str(), env["MY_DB_ENV_FROM"].as_str()), ("me", "image"));
    assert!(env["MY_DB_NAME"].ends_with("/my-db"), "{env:?}");
}

fn ask(port: u16) -> String {
    let mut answer = String::new();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time");
    stream.shutdown(std::net::Shutdown::Write).expect("it is open");
    stream.read_to_string(&mut answer).expect("it answers");
    answer.trim().to_owned()
}

fn serving<'b>(
    bench: &'b Bench<'b>,
    mapping: serde_json::Value,
    settings: serde_json::Value,
) -> crate::world::Task<'b> {
    let task = bench.does(settings, json!({ "portMappings": [mapping] }), &["serve", "8080", "answered"]);
    task.running();
    task.output_when("web", |said| said.contains("serving"));
    task
}

fn port_static(bench: &Bench<'_>) {
    let task = serving(bench, json!({ "containerPort": 8080, "hostPort": 18080 }), json!({}));
    assert_eq!(host_port(&task.describe(), "web", 8080), 18080);
    assert_eq!(ask(18080), "answered");
}

fn port_dynamic(bench: &Bench<'_>) {
    let task = serving(bench, json!({ "containerPort": 8080 }), json!({}));
    let binding = named(&task.describe(), "web")["networkBindings"][0].clone();
    assert_eq!((&binding["bindIP"], &binding["protocol"]), (&json!("0.0.0.0"), &json!("tcp")));
    assert_eq!(ask(host_port(&task.describe(), "web", 8080)), "answered");
}

fn port_udp(bench: &Bench<'_>) {
    let mapping = json!({ "containerPort": 5353, "protocol": "udp" });
    let task = bench.does(json!({}), json!({ "portMappings": [mapping] }), &["serve-udp", "5353", "heard"]);
    let port = host_port(&task.running(), "web", 5353);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut answer = [0; 16];
    let length = kit::until("it answers", || {
        socket.send_to(b"hello", ("127.0.0.1", port)).ok()?;
        socket.recv(&mut answer).ok()
    });
    assert_eq!(&answer[..length], b"heard");
}

fn port_range(bench: &Bench<'_>) {
    let mapping = json!({ "containerPortRange": "8078-8081" });
    let task = serving(bench, mapping, json!({}));
    let binding = named(&task.describe(), "web")["networkBindings"][0].clone();
    assert_eq!(
        (&binding["containerPortRange"], &binding["containerPort"]),
        (&json!("8078-8081"), &json!(null)),
        "{binding}"
    );
    let range = text(&binding["hostPortRange"]);
    let (first, last) = range.split_once('-').expect("a range");
    let (first, last): (u16, u16) = (first.parse().unwrap(), last.parse().unwrap());
    assert_eq!(last - first, 3, "{range}");
    assert_eq!(ask(first + 2), "answered", "8080 is the third of them");
    for bad in [json!({ "containerPortRange": "9-8" }), json!({ "containerPortRange": "1-2", "hostPort": 5 })] {
        assert!(bench.refused(json!({}), json!([{ "name": "web", "portMappings": [bad] }])).is_of_the_client());
    }
    let refused = bench.refused(
        json!({ "networkMode": "host" }),
        json!([{ "name": "web", "portMappings": [{ "containerPortRange": "1-2" }] }]),
    );
    assert!(refused.is_of_the_client());
}

fn port_taken(bench: &Bench<'_>) {
    let mapping = json!({ "containerPort": 8080, "hostPort": 18081 });
    let task = serving(bench, mapping.clone(), json!({}));
    let definition = text(&task.describe()["taskDefinitionArn"]);
    let answer = bench.call::<api_ecs::operations::RunTask>(json!({ "taskDefinition": definition })).unwrap();
    assert_eq!(answer["failures"][0]["reason"], "RESOURCE:PORTS", "{answer}");
}

fn network_bridge(bench: &Bench<'_>) {
    let seen = bench.inspect(json!({ "networkMode": "bridge" }), json!({}));
    assert!(seen.text("net_dev").contains("eth0"), "{}", seen.text("net_dev"));
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    assert_ne!(seen.namespace("net"), own.to_str().unwrap());
}

fn network_host(bench: &Bench<'_>) {
    let seen = bench.inspect(json!({ "networkMode": "host" }), json!({}));
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    assert_eq!(seen.namespace("net"), own.to_str().unwrap(), "this test runs on the machine's network");
    assert_eq!(seen.text("hostname"), fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim());
    let task = serving(bench, json!({ "containerPort": 8080 }), json!({ "networkMode": "host" }));
    assert_eq!(host_port(&task.describe(), "web", 8080), 8080);
    assert_eq!(ask(8080), "answered");
}

fn network_none(bench: &Bench<'_>) {
    let seen = bench.inspect(json!({ "networkMode": "none" }), json!({}));
    let devices = seen.text("net_dev");
    assert!(devices.contains("lo:") && !devices.contains("eth0"), "{devices}");
    let refused = bench.refused(
        json!({ "networkMode": "none" }),
        json!([{ "name": "web", "portMappings": [{ "containerPort": 80 }] }]),
    );
    assert!(refused.is_of_the_client());
}

fn volume_host(bench: &Bench<'_>) {
    let folder = bench.folder();
    fs::write(folder.join("given"), "by the machine\n").unwrap();
    let settings = json!({ "volumes": [{ "name": "v", "host": { "sourcePath": folder } }, { "name": "f", "host": { "sourcePath": folder.join("given") } }] });
    let point =
        |volume: &str, path: &str, ro: bool| json!({ "sourceVolume": volume, "containerPath": path, "readOnly": ro });
    let more = json!({ "mountPoints": [point("v", "/rw", false), point("v", "/ro", true), point("f", "/file", true)] });
    let said = bench.says(settings, more, &["cat", "/file", "put", "/rw/made", "inside", "put", "/ro/made", "inside"]);
    assert_eq!(said, "by the machine\n/rw/made: done\n/ro/made: Read-only file system\n");
    assert_eq!(fs::read_to_string(folder.join("made")).unwrap(), "inside\n");
}

fn volume_scratch(bench: &Bench<'_>) {
    let shares = json!([{ "sourceVolume": "v", "containerPath": "/v" }]);
    let writes =
        json!({ "name": "writes", "essential": false, "command": ["put", "/v/file", "shared"], "mountPoints": shares });
    let reads = json!({ "name": "reads", "command": ["await", "/v/file", "sleep", "100", "cat", "/v/file"], "mountPoints": shares });
    let settings = || json!({ "volumes": [{ "name": "v" }] });
    let task = bench.run(settings(), json!([writes, reads]));
    task.stopped();
    assert_eq!(task.output("reads"), "shared\n");
    let again = bench.says(settings(), json!({ "mountPoints": shares }), &["ls", "/v"]);
    assert_eq!(again.trim(), r#"{"/v":[]}"#, "another task has another");
}

fn docker_volume(scope: serde_json::Value) -> serde_json::Value {
    json!({ "volumes": [{ "name": "conformance-volume", "dockerVolumeConfiguration": scope }] })
}

fn volume_docker_task(bench: &Bench<'_>) {
    let mounts = json!({ "mountPoints": [{ "sourceVolume": "conformance-volume", "containerPath": "/v" }] });
    let settings = || docker_volume(json!({ "scope": "task", "driver": "local" }));
    assert_eq!(bench.says(settings(), mounts.clone(), &["put", "/v/file", "x"]), "/v/file: done\n");
    assert_eq!(bench.says(settings(), mounts, &["ls", "/v"]).trim(), r#"{"/v":[]}"#);
}

fn volume_docker_shared(bench: &Bench<'_>) {
    let mounts = json!({ "mountPoints": [{ "sourceVolume": "conformance-volume", "containerPath": "/v" }] });
    let settings = || docker_volume(json!({ "scope": "shared", "autoprovision": true, "driver": "local" }));
    bench.says(settings(), mounts.clone(), &["put", "/v/file", "kept"]);
    assert_eq!(bench.says(settings(), mounts, &["cat", "/v/file"]), "kept\n");
}

fn volume_filled(bench: &Bench<'_>) {
    let mounts = json!({ "mountPoints": [{ "sourceVolume": "v", "containerPath": "/srv/data" }] });
    let said = bench.says(json!({ "volumes": [{ "name": "v" }] }), mounts, &["cat", "/srv/data/given"]);
    assert_eq!(said, "by the image\n");
}

fn volumes_from(bench: &Bench<'_>) {
    let owner = json!({ "name": "owner", "essential": false, "command": ["put", "/v/file", "from the owner", "wait"],
        "mountPoints": [{ "sourceVolume": "v", "containerPath": "/v" }] });
    let from = json!([{ "sourceContainer": "owner", "readOnly": true }]);
    let web = json!({ "name": "web", "volumesFrom": from, "command": ["await", "/v/file", "sleep", "100", "cat", "/v/file", "put", "/v/more", "x"] });
    let task = bench.run(json!({ "volumes": [{ "name": "v" }] }), json!([owner, web]));
    task.stopped();
    assert_eq!(task.output("web"), "from the owner\n/v/more: Read-only file system\n");
}
