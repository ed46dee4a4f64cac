//! One payload, one image, and what comes out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agent::plan::Identity;
use expect_test::{Expect, expect};
use network::Protocol;
use runtime::{Limits, MountSource};
use serde_json::{Value, json};

use super::*;

fn plan(settings: Value, containers: Value) -> Arc<TaskPlan> {
    let mut payload = json!({ "arn": "arn:aws:ecs:eu-north-1:1:task/default/t1", "desiredStatus": "RUNNING", "family": "f",
        "version": "2", "containers": containers });
    payload.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let payload: agent_api::payload::Task = serde_json::from_value(payload).unwrap();
    let mut drawn = 0;
    let identity = Identity::new(&payload, || {
        drawn += 1;
        format!("{drawn:032x}")
    });
    TaskPlan::new(payload, identity, Duration::from_secs(30)).unwrap().0
}

fn image() -> ImageConfig {
    ImageConfig {
        entrypoint: Some(vec!["/app".to_owned()]),
        environment: vec!["PATH=/bin".to_owned(), "A=image".to_owned()],
        working_directory: "/work".to_owned(),
        user: "app".to_owned(),
        ..ImageConfig::default()
    }
}

fn places() -> Folders {
    Folders { task: "/n/volumes/tasks/t1".into(), shared: "/n/volumes/shared".into() }
}

/// The last container of a task.
fn spec_of(settings: Value, containers: Value) -> Result<ContainerSpec, Failure> {
    let plan = plan(settings, containers);
    let index = plan.containers.len() - 1;
    let image = image();
    let bridge = mode(&plan) == network::NetworkMode::Bridge;
    let host = HostFiles {
        hostname: "machine".to_owned(),
        hosts: "127.0.0.1 localhost\n".to_owned(),
        resolv_conf: "nameserver 192.0.2.53\n".to_owned(),
        has_apparmor: false,
        apparmor_default: None,
        selinux: None,
    };
    let around = Around {
        id: "c".parse().unwrap(),
        runtime_id: "0123456789abcdef",
        image: &image,
        lower_dirs: vec!["/layer".into()],
        netns: (mode(&plan) != network::NetworkMode::Host).then(|| "/run/netns/c".into()),
        ip: bridge.then_some([172, 29, 0, 7].into()),
        peers: vec![
            Some(Peer {
                ip: [172, 29, 0, 5].into(),
                exposed: vec!["5432/tcp".to_owned()],
                environment: vec!["PATH=/bin".to_owned(), "KIND=db".to_owned()],
            });
            plan.containers.len()
        ],
        mounts: folders(&plan, index, &places())?,
        more_environment: Vec::new(),
        credentials_id: Some("keys"),
        host: &host,
        shared: Shared::default(),
        file_variables: Vec::new(),
        init: Some(Path::new("/usr/lib/tini")),
        gpus: Edits::default(),
        cgroup_v2: false,
        task_pids_limit: None,
        continues: None,
        ring: runtime::Ring::default(),
    };
    container_spec(&plan, index, around)
}

fn with_host(host: Value) -> Result<ContainerSpec, Failure> {
    spec_of(json!({}), json!([{ "name": "web", "dockerConfig": { "hostConfig": host.to_string() } }]))
}

#[test]
fn a_bare_container_has_the_images_defaults() {
    let spec = spec_of(json!({}), json!([{ "name": "web" }])).unwrap();
    assert_eq!((spec.args.join(" ").as_str(), spec.user.as_str(), spec.cwd.as_str()), ("/app", "app", "/work"));
    assert_eq!(spec.hostname, "0123456789ab");
    assert_eq!(spec.network, Namespace::Path("/run/netns/c".into()));
    assert_eq!(
        (spec.pid, spec.ipc, spec.shm_bytes),
        (Namespace::Private, Namespace::Private, Some(runtime::SHM_BYTES))
    );
    assert_eq!(spec.limits, Limits { cpu_shares: Some(2), ..Limits::default() });
    assert_eq!(spec.etc.hosts.unwrap(), "127.0.0.1\tlocalhost\n172.29.0.7\t0123456789ab\n");
    assert_eq!(spec.etc.resolv_conf.unwrap(), "nameserver 192.0.2.53\n");
    assert!(spec.mounts.is_empty() && !spec.privileged && !spec.readonly_rootfs && !spec.no_new_privileges);
}

#[test]
fn the_agents_variables_come_last_and_defaults_give_way() {
    let container =
        json!([{ "name": "web", "environment": { "A": "own", "AWS_REGION": "mars", "ECS_AGENT_URI": "x" } }]);
    let env = spec_of(json!({ "launchType": "FARGATE" }), container).unwrap().env;
    let id = "00000000000000000000000000000002";
    expect![[r#"
        PATH=/bin
        A=image
        A=own
        AWS_REGION=mars
        ECS_AGENT_URI=x
        ECS_CONTAINER_METADATA_URI=http://169.254.170.2/v3/ID
        ECS_CONTAINER_METADATA_URI_V4=http://169.254.170.2/v4/ID
        ECS_AGENT_URI=http://169.254.170.2/api/ID
        AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/keys
        AWS_DEFAULT_REGION=eu-north-1
        AWS_EXECUTION_ENV=AWS_ECS_FARGATE"#]]
    .assert_eq(&env.join("\n").replace(id, "ID"));
}

#[test]
fn settings_reach_the_runtime() {
    let host = json!({
        "Privileged": true, "ReadonlyRootfs": true, "CapAdd": ["NET_ADMIN"], "CapDrop": ["ALL"], "ShmSize": 1048576,
        "SecurityOpt": ["no-new-privileges"], "Ulimits": [{ "Name": "nofile", "Soft": 1024, "Hard": -1 }],
        "Sysctls": { "net.core.somaxconn": "4096" }, "Tmpfs": { "/tmp/": "size=1m,noexec" }, "Init": true,
        "Devices": [{ "PathOnHost": "/dev/fuse" }], "Dns": ["192.0.2.1"], "DnsSearch": ["a.b"], "ExtraHosts": ["v6:fe80::1"],
        "MemoryReservation": 33554432, "MemorySwap": 134217728, "MemorySwappiness": 10,
    });
    let config = json!({ "User": "1:2", "WorkingDir": "/w", "Hostname": "called" });
    let container = json!([{ "name": "web", "cpu": 256, "memory": 64, "command": ["run"],
        "dockerConfig": { "config": config.to_string(), "hostConfig": host.to_string() } }]);
    let spec = spec_of(json!({}), container).unwrap();
    assert_eq!(spec.args, ["/sbin/docker-init", "--", "/app", "run"]);
    assert_eq!((spec.user.as_str(), spec.cwd.as_str(), spec.hostname.as_str()), ("1:2", "/w", "called"));
    assert!(spec.privileged && spec.readonly_rootfs && spec.no_new_privileges);
    assert_eq!((spec.capabilities_added, spec.capabilities_dropped), (vec!["NET_ADMIN".into()], vec!["ALL".into()]));
    assert_eq!((spec.ulimits[0].soft, spec.ulimits[0].hard, spec.shm_bytes), (1024, u64::MAX, Some(1_048_576)));
    assert_eq!(spec.sysctls, BTreeMap::from([("net.core.somaxconn".to_owned(), "4096".to_owned())]));
    assert_eq!(spec.devices[0].container_path, Path::new("/dev/fuse"));
    assert_eq!(spec.devices[0].access, "rwm");
    let mount = |target: &str| spec.mounts.iter().find(|mount| mount.target == Path::new(target)).unwrap();
    let options = vec!["size=1m".to_owned(), "noexec".to_owned()];
    assert_eq!(mount("/tmp").source, MountSource::Tmpfs { size_bytes: None, options });
    assert_eq!(mount("/sbin/docker-init").source, MountSource::Bind("/usr/lib/tini".into()));
    let limits = Limits {
        memory_bytes: Some(64 << 20),
        memory_reservation_bytes: Some(32 << 20),
        memory_swap_bytes: Some(128 << 20),
        swappiness: Some(10),
        cpu_shares: Some(256),
        ..Limits::default()
    };
    assert_eq!(spec.limits, limits);
    assert_eq!(spec.etc.resolv_conf.unwrap(), "nameserver 192.0.2.1\nsearch a.b\n");
    assert_eq!(spec.etc.hosts.unwrap(), "127.0.0.1\tlocalhost\nfe80::1\tv6\n172.29.0.7\tcalled\n");
}

#[test]
fn the_machines_network_comes_with_its_names() {
    let host = json!({ "ExtraHosts": ["db:10.0.0.9"] });
    let container = json!([{ "name": "web", "dockerConfig": { "hostConfig": host.to_string() } }]);
    let spec = spec_of(json!({ "networkMode": "host", "ipcMode": "host" }), container).unwrap();
    assert_eq!((spec.network, spec.ipc, spec.hostname.as_str()), (Namespace::Host, Namespace::Host, "machine"));
    assert_eq!(spec.etc.hosts.unwrap(), "127.0.0.1 localhost\n10.0.0.9\tdb\n");
    let mounted: Vec<_> = spec.mounts.iter().map(|mount| mount.target.to_str().unwrap()).collect();
    assert_eq!(mounted, ["/dev/shm"]);
}

#[test]
fn links_are_names_of_other_containers() {
    let spec = spec_of(json!({}), json!([{ "name": "db" }, { "name": "web", "links": ["db:database"] }])).unwrap();
    let hosts = spec.etc.hosts.unwrap();
    assert!(hosts.contains("172.29.0.5\tdatabase\n") && hosts.contains("172.29.0.5\tecs-f-2-db-"), "{hosts}");
}

#[test]
fn links_are_variables_too() {
    let db = json!({ "name": "db", "environment": { "USER": "me" }, "portMappings": [
        { "containerPort": 9000 }, { "containerPort": 9001 }, { "containerPort": 53, "protocol": "udp" },
    ] });
    let spec = spec_of(json!({}), json!([db, { "name": "web", "links": ["db:my-db"] }])).unwrap();
    let told: Vec<&String> = spec.env.iter().filter(|pair| pair.starts_with("MY_DB_")).collect();
    expect![[r#"
        MY_DB_PORT=tcp://172.29.0.5:5432
        MY_DB_PORT_5432_TCP=tcp://172.29.0.5:5432
        MY_DB_PORT_5432_TCP_ADDR=172.29.0.5
        MY_DB_PORT_5432_TCP_PORT=5432
        MY_DB_PORT_5432_TCP_PROTO=tcp
        MY_DB_PORT_9000_TCP_START=tcp://172.29.0.5:9000
        MY_DB_PORT_9000_TCP_ADDR=172.29.0.5
        MY_DB_PORT_9000_TCP_PROTO=tcp
        MY_DB_PORT_9000_TCP_PORT_START=9000
        MY_DB_PORT_9000_TCP_END=tcp://172.29.0.5:9001
        MY_DB_PORT_9000_TCP_PORT_END=9001
        MY_DB_PORT_53_UDP=udp://172.29.0.5:53
        MY_DB_PORT_53_UDP_ADDR=172.29.0.5
        MY_DB_PORT_53_UDP_PORT=53
        MY_DB_PORT_53_UDP_PROTO=udp
        MY_DB_NAME=/ecs-f-2-web-00000000000000000000/my-db
        MY_DB_ENV_KIND=db
        MY_DB_ENV_USER=me"#]]
    .assert_eq(&told.into_iter().map(String::as_str).collect::<Vec<_>>().join("\n"));
}

#[test]
fn tasks_have_limits_of_their_own() {
    let check = |settings: Value, expected: Limits| {
        let plan = plan(settings, json!([{ "name": "a", "cpu": 100 }, { "name": "b" }]));
        assert_eq!(task_limits(&plan, None), expected);
    };
    check(json!({}), Limits { cpu_shares: Some(102), ..Limits::default() });
    check(
        json!({ "cpu": 0.25, "memory": 512 }),
        Limits {
            memory_bytes: Some(512 << 20),
            cpu_quota_us: Some(25_000),
            cpu_period_us: Some(100_000),
            ..Limits::default()
        },
    );
    let tiny = Limits { cpu_quota_us: Some(1_000), cpu_period_us: Some(100_000), ..Limits::default() };
    check(json!({ "cpu": 0.000001 }), tiny);
}

#[test]
fn a_container_that_is_alone_has_its_tasks_limits() {
    let limits = |settings: Value, containers: Value| {
        let plan = plan(settings, containers);
        let container = super::limits::container_limits(&plan, &plan.containers[0], Some(99), false).unwrap();
        (task_limits(&plan, Some(99)).pids, container.pids, container.cpu_shares)
    };
    let web = || json!({ "name": "web", "cpu": 100 });
    assert_eq!(limits(json!({}), json!([web()])), (None, Some(99), Some(100)));
    assert_eq!(limits(json!({}), json!([web(), { "name": "db" }])), (Some(99), None, Some(100)));
    for settings in
        [json!({ "cpu": 0.25 }), json!({ "memory": 512 }), json!({ "pidMode": "task" }), json!({ "ipcMode": "task" })]
    {
        assert_eq!(limits(settings, json!([web()])), (Some(99), None, Some(100)));
    }
}

#[test]
fn ports_are_read() {
    let mapped = |mappings: Value| {
        port_mappings(&plan(json!({}), json!([{ "name": "w", "portMappings": mappings }])).containers[0])
    };
    let found = mapped(json!([
        { "containerPort": 80 },
        { "containerPort": 53, "hostPort": 5353, "protocol": "udp" },
        { "containerPortRange": "9000-9001" },
    ]))
    .unwrap();
    let found: Vec<_> = found.iter().map(|found| (found.container_port, found.host_port, found.protocol)).collect();
    assert_eq!(
        found,
        [(80, 0, Protocol::Tcp), (53, 5353, Protocol::Udp), (9000, 0, Protocol::Tcp), (9001, 0, Protocol::Tcp)]
    );
    for bad in [
        json!([{ "containerPort": 70000 }]),
        json!([{ "containerPort": 80, "hostPort": -1 }]),
        json!([{ "containerPort": 80, "protocol": "sctp" }]),
        json!([{ "containerPortRange": "9001-9000" }]),
        json!([{ "containerPortRange": "80" }]),
    ] {
        assert!(mapped(bad.clone()).is_err(), "{bad}");
    }
}

fn check_volumes(settings: Value, containers: Value, expected: Expect) {
    let plan = plan(settings, containers);
    let text = match folders(&plan, plan.containers.len() - 1, &places()) {
        Ok(found) => {
            let line =
                |mount: &VolumeMount| format!("{} {:?} ro={}\n", mount.target.display(), mount.folder, mount.readonly);
            found.iter().map(line).collect::<String>()
        }
        Err(failure) => failure.reason(),
    };
    expected.assert_eq(&text);
}

#[test]
fn volumes_become_folders() {
    let volumes = json!({ "volumes": [
        { "name": "host", "host": { "sourcePath": "/data" } },
        { "name": "scratch", "host": {} },
        { "name": "bare" },
        { "name": "mine", "type": "docker", "dockerVolumeConfiguration": { "scope": "task", "driver": "local" } },
        { "name": "ours", "type": "docker", "dockerVolumeConfiguration": { "scope": "shared", "autoprovision": true } },
        { "name": "theirs", "type": "docker", "dockerVolumeConfiguration": { "scope": "shared" } },
    ]});
    let point = |volume: &str, read_only: bool| json!({ "sourceVolume": volume, "containerPath": format!("/{volume}/."), "readOnly": read_only });
    let points: Vec<_> =
        ["host", "scratch", "bare", "mine", "ours", "theirs"].map(|name| point(name, name == "host")).into();
    check_volumes(
        volumes.clone(),
        json!([{ "name": "web", "mountPoints": points }]),
        expect![[r#"
            /bare Volume("/n/volumes/tasks/t1/bare") ro=false
            /host Host("/data") ro=true
            /mine Volume("/n/volumes/tasks/t1/mine") ro=false
            /ours Volume("/n/volumes/shared/ours") ro=false
            /scratch Volume("/n/volumes/tasks/t1/scratch") ro=false
            /theirs Provisioned("/n/volumes/shared/theirs", "theirs") ro=false
        "#]],
    );
    // What is taken from others may be taken by others in turn, and a container's own mount wins.
    let own = json!({ "sourceVolume": "scratch", "containerPath": "/bare" });
    check_volumes(
        volumes,
        json!([
            { "name": "a", "mountPoints": [point("bare", false), point("mine", false)] },
            { "name": "b", "volumesFrom": [{ "sourceContainer": "a", "readOnly": true }] },
            { "name": "c", "volumesFrom": [{ "sourceContainer": "b" }], "mountPoints": [own] },
        ]),
        expect![[r#"
            /bare Volume("/n/volumes/tasks/t1/scratch") ro=false
            /mine Volume("/n/volumes/tasks/t1/mine") ro=true
        "#]],
    );
}

#[test]
fn volumes_that_lead_elsewhere_are_refused() {
    let one = |volume: Value, path: &str, expected: Expect| {
        let point = json!({ "sourceVolume": volume["name"], "containerPath": path });
        check_volumes(json!({ "volumes": [volume] }), json!([{ "name": "w", "mountPoints": [point] }]), expected);
    };
    one(
        json!({ "name": "../../etc" }),
        "/x",
        expect![[
            r#"CannotCreateVolumeError: Error response from daemon: create ../../etc: "../../etc" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed"#
        ]],
    );
    one(
        json!({ "name": "v", "host": { "sourcePath": "data" } }),
        "/x",
        expect![
            "CannotCreateContainerError: Error response from daemon: invalid volume specification: 'data': invalid mount path: 'data' mount path must be absolute"
        ],
    );
    one(
        json!({ "name": "v" }),
        "x",
        expect![[
            r#"CannotCreateContainerError: Error response from daemon: invalid mount config for type "volume": invalid mount path: 'x' mount path must be absolute"#
        ]],
    );
    one(
        json!({ "name": "v" }),
        "//",
        expect![
            "CannotCreateContainerError: Error response from daemon: invalid specification: destination can't be '/'"
        ],
    );
    one(
        json!({ "name": "v", "type": "docker", "dockerVolumeConfiguration": { "driver": "rexray" } }),
        "/x",
        expect![[
            r#"CannotCreateVolumeError: Error response from daemon: create v: error looking up volume plugin rexray: plugin "rexray" not found"#
        ]],
    );
    check_volumes(
        json!({}),
        json!([{ "name": "w", "mountPoints": [{ "sourceVolume": "none", "containerPath": "/x" }] }]),
        expect!["HostConfigError: unknown volume 'none' in mount point /x"],
    );
    check_volumes(
        json!({ "volumes": [{ "name": "v" }] }),
        json!([{ "name": "w", "mountPoints": [{ "sourceVolume": "v", "containerPath": "/x" }, { "sourceVolume": "v", "containerPath": "/x/" }] }]),
        expect!["CannotCreateContainerError: Error response from daemon: Duplicate mount point: /x/"],
    );
}

#[test]
fn contradictions_are_told_as_docker_tells_them() {
    let reason = |spec: Result<ContainerSpec, Failure>| spec.unwrap_err().message;
    let host = |host: Value| reason(with_host(host)).replace("Error response from daemon: ", "");
    assert_eq!(
        host(json!({ "Ulimits": [{ "Name": "nofile", "Soft": 2, "Hard": 1 }] })),
        "ulimit soft limit must be less than or equal to hard limit: 2 > 1"
    );
    assert_eq!(host(json!({ "ExtraHosts": ["db"] })), "bad format for add-host: \"db\"");
    assert_eq!(
        host(json!({ "Sysctls": { "kernel.panic": "1" } })),
        "sysctl \"kernel.panic\" is not in a separate kernel namespace"
    );
    let memory = |memory: i64, host: Value| {
        let container =
            json!([{ "name": "web", "memory": memory, "dockerConfig": { "hostConfig": host.to_string() } }]);
        reason(spec_of(json!({}), container)).replace("Error response from daemon: ", "")
    };
    assert_eq!(memory(4, json!({})), "Minimum memory limit allowed is 6MB");
    assert!(memory(8, json!({ "MemoryReservation": 9 << 20 })).contains("memory reservation"));
    assert!(memory(8, json!({ "MemorySwap": 7 << 20 })).contains("memoryswap"));
    // -1 is no limit at all.
    assert_eq!(with_host(json!({ "MemorySwap": -1 })).unwrap().limits.memory_swap_bytes, None);
}
