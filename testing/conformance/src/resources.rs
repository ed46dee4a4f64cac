//! What containers and tasks may use.

use std::path::Path;

use serde_json::json;

use crate::world::{named, text};
use crate::{Bench, Case, Page};

const MIB: i64 = 1 << 20;
const LINUX: Page = Page::Api("LinuxParameters");

pub fn cases() -> Vec<Case> {
    let case = |name, feature, page, check| Case { name, feature, page, check };
    vec![
        case("memory_hard", "`memory` of a container", Page::Parameters("Memory"), memory_hard),
        case("memory_soft", "`memoryReservation`", Page::Parameters("Memory"), memory_soft),
        case(
            "memory_of_task",
            "`memory` of the task holds for its containers together",
            Page::Parameters("Task size"),
            memory_of_task,
        ),
        case(
            "cpu_shares",
            "`cpu` of a container: shares, and 2 when it says nothing",
            Page::Parameters("CPU"),
            cpu_shares,
        ),
        case("cpu_of_task", "`cpu` of the task: a quota", Page::Parameters("Task size"), cpu_of_task),
        case("ulimits", "`ulimits`", Page::Api("Ulimit"), ulimits),
        case(
            "ulimit_nproc",
            "a process that forks without end meets `ulimits` `nproc`",
            Page::Api("Ulimit"),
            ulimit_nproc,
        ),
        case("shared_memory_size", "`sharedMemorySize`, and 64 MiB when it says nothing", LINUX, shared_memory_size),
        case("tmpfs", "`tmpfs` with its size and options", Page::Api("Tmpfs"), tmpfs),
        case("max_swap", "`maxSwap` and `swappiness`", LINUX, max_swap),
        case("max_swap_zero", "`maxSwap` 0: no swap", LINUX, max_swap_zero),
        case("devices", "`devices`, under another name and with fewer permissions", Page::Api("Device"), devices),
        case(
            "device_missing",
            "a device that the machine does not have fails the start",
            Page::Api("Device"),
            device_missing,
        ),
        case("sysctl_network", "`systemControls` of the network namespace", Page::Api("SystemControl"), sysctl_network),
        case("sysctl_ipc", "`systemControls` of the IPC namespace", Page::Api("SystemControl"), sysctl_ipc),
        case(
            "sysctl_of_machine",
            "`systemControls` that would change the machine are refused",
            Page::Api("SystemControl"),
            sysctl_of_machine,
        ),
        case(
            "sysctl_of_host",
            "and those of a namespace that is the machine's own too",
            Page::Api("SystemControl"),
            sysctl_of_host,
        ),
        case(
            "swap_default",
            "without `maxSwap` as much swap as memory, which is Docker's default",
            LINUX,
            swap_default,
        ),
        case(
            "pids_of_task",
            "`ECS_TASK_PIDS_LIMIT` of the agent: a process that forks without end meets it",
            Page::Guide("Amazon ECS container agent configuration"),
            pids_of_task,
        ),
        case(
            "settings_invalid",
            "ulimits, tmpfs options, device permissions and swappiness out of range are refused",
            LINUX,
            settings_invalid,
        ),
        case(
            "too_large",
            "a task that does not fit is not placed: `RESOURCE:MEMORY`",
            Page::Guide("Amazon ECS API failure reasons"),
            too_large,
        ),
        case("minimum_memory", "less than 6 MiB of memory is refused", Page::Parameters("Memory"), minimum_memory),
        case(
            "sum_of_memory",
            "containers that ask for more than their task are refused",
            Page::Parameters("Task size"),
            sum_of_memory,
        ),
        case(
            "cgroup_view",
            "a container sees its own cgroup at /sys/fs/cgroup with its limits, and cannot change it",
            Page::Docker("docker run"),
            cgroup_view,
        ),
        case(
            "cgroups_below",
            "a privileged container makes cgroups below its own, as systemd does; health checks still run, and all goes with it",
            Page::Docker("docker run"),
            cgroups_below,
        ),
        case("disk_filler", "a full tmpfs is the container's own trouble", Page::Api("Tmpfs"), disk_filler),
    ]
}

fn memory_hard(bench: &Bench<'_>) {
    let task = bench.does(json!({}), json!({ "memory": 40 }), &["wait"]);
    task.running();
    let limit = task.cgroup("web", "memory", ["memory.limit_in_bytes", "memory.max"]).unwrap();
    assert_eq!(limit, (40 * MIB).to_string());
}

fn memory_soft(bench: &Bench<'_>) {
    let task = bench.does(json!({}), json!({ "memory": null, "memoryReservation": 24 }), &["wait"]);
    task.running();
    let memory = |names| task.cgroup("web", "memory", names).unwrap();
    assert_eq!(memory(["memory.soft_limit_in_bytes", "memory.low"]), (24 * MIB).to_string());
    let hard = memory(["memory.limit_in_bytes", "memory.max"]);
    assert!(hard == "max" || hard.parse::<u64>().unwrap() > 1 << 40, "{hard}");
}

fn memory_of_task(bench: &Bench<'_>) {
    // Together they want more than the task has, each alone does not.
    let eats = |name: &str| json!({ "name": name, "memory": 64, "essential": false, "command": ["eat", "40", "wait"] });
    let calm = json!({ "name": "calm", "memory": 8, "command": ["wait"] });
    let refused = bench.refused(json!({ "memory": "64" }), json!([calm.clone(), eats("one"), eats("two")]));
    assert!(refused.is_of_the_client());
    let soft =
        |name: &str| json!({ "name": name, "memory": null, "essential": false, "command": ["eat", "40", "wait"] });
    let task = bench.run(
        json!({ "memory": "64" }),
        json!([json!({ "name": "calm", "memory": 8, "command": ["wait"] }), soft("one"), soft("two")]),
    );
    let shown = task.when("has lost one", |task| {
        ["one", "two", "calm"].iter().any(|name| named(task, name)["lastStatus"] == "STOPPED")
    });
    let victims: Vec<_> =
        ["one", "two", "calm"].into_iter().filter(|name| named(&shown, name)["exitCode"] == 137).collect();
    assert!(!victims.is_empty(), "{shown}");
    assert_eq!(named(&shown, victims[0])["reason"], "OutOfMemoryError: Container killed due to memory usage");
}

fn cpu_shares(bench: &Bench<'_>) {
    let task = bench.run(
        json!({}),
        json!([{ "name": "web", "cpu": 256, "command": ["wait"] }, { "name": "none", "command": ["wait"] }]),
    );
    task.running();
    let shares = |name: &str| task.cgroup(name, "cpu", ["cpu.shares", "cpu.weight"]).unwrap();
    // On v2 as the OCI runtimes have it since 1024 shares became the usual weight of 100.
    assert!(["256", "35"].contains(&shares("web").as_str()), "{}", shares("web"));
    assert!(["2", "1"].contains(&shares("none").as_str()), "{}", shares("none"));
    let all = task.task_cgroup("web", "cpu", ["cpu.shares", "cpu.weight"]).unwrap();
    assert!(["258", "35"].contains(&all.as_str()), "the task has the sum: {all}");
}

fn cpu_of_task(bench: &Bench<'_>) {
    let task = bench.does(json!({ "cpu": "0.25 vCPU" }), json!({}), &["wait"]);
    assert_eq!(task.running()["cpu"], "256");
    let quota = task.task_cgroup("web", "cpu", ["cpu.cfs_quota_us", "cpu.max"]).unwrap();
    assert_eq!(quota.split(' ').next(), Some("25000"));
}

fn ulimits(bench: &Bench<'_>) {
    let limit = |name: &str, soft: i64, hard: i64| json!({ "name": name, "softLimit": soft, "hardLimit": hard });
    let more = json!({ "ulimits": [limit("nofile", 100, 200), limit("core", 0, 0), limit("stack", 4194304, 8388608), limit("sigpending", 50, 60)] });
    let seen = bench.inspect(json!({}), more);
    for (name, soft, hard) in
        [("nofile", 100, 200), ("core", 0, 0), ("stack", 4194304, 8388608), ("sigpending", 50, 60)]
    {
        assert_eq!(seen.limit(name), (soft, hard), "{name}");
    }
}

fn ulimit_nproc(bench: &Bench<'_>) {
    // For a user that nobody else has: the kernel counts by user.
    let more = json!({ "user": "54321", "ulimits": [{ "name": "nproc", "softLimit": 20, "hardLimit": 20 }] });
    let said = bench.says(json!({}), more, &["fork-until-refused"]);
    assert!(said.starts_with("refused after 19: Resource temporarily unavailable"), "{said}");
}

fn shared_memory_size(bench: &Bench<'_>) {
    let seen = bench.inspect(json!({}), json!({ "linuxParameters": { "sharedMemorySize": 8 } }));
    assert_eq!(seen.number("shm_bytes"), 8 * MIB);
    assert_eq!(bench.inspect(json!({}), json!({})).number("shm_bytes"), 64 * MIB);
}

fn tmpfs(bench: &Bench<'_>) {
    let tmpfs = json!({ "containerPath": "/fast", "size": 4, "mountOptions": ["noexec", "mode=1770"] });
    let seen = bench.inspect(json!({}), json!({ "linuxParameters": { "tmpfs": [tmpfs] } }));
    let (own, kind, options) = seen.mount("/fast").expect("it is mounted");
    assert_eq!(kind, "tmpfs");
    assert!(own.contains("noexec") && own.contains("nosuid") && own.contains("nodev"), "{own}");
    assert!(options.contains("size=4096k") && options.contains("mode=1770"), "{options}");
}

fn is_v2() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// The memory controller's cgroup, as a container sees it.
fn own_cgroup() -> &'static str {
    if is_v2() { "/sys/fs/cgroup" } else { "/sys/fs/cgroup/memory" }
}

fn cgroup_view(bench: &Bench<'_>) {
    let file = if is_v2() { "memory.max" } else { "memory.limit_in_bytes" };
    let limit = format!("{}/{file}", own_cgroup());
    let procs = format!("{}/cgroup.procs", own_cgroup());
    let below = format!("{}/below", own_cgroup());
    let words = ["cat", &limit, "cat", &procs, "overwrite", &limit, "99999999", "mkdir", &below, "inspect"];
    let said = bench.says(json!({}), json!({ "memory": 40 }), &words);
    let expected = format!("{}\n1\n{limit}: Read-only file system\n{below}: Read-only file system\n", 40 * MIB);
    assert!(said.starts_with(&expected), "{said}");
    if is_v2() {
        let seen = crate::seen::Seen::read(&said);
        assert_eq!(seen.text("cgroup"), "0::/\n", "a namespace of its own");
    }
}

fn cgroups_below(bench: &Bench<'_>) {
    let below = format!("{}/below", own_cgroup());
    let (procs, control) = (format!("{below}/cgroup.procs"), format!("{}/cgroup.subtree_control", own_cgroup()));
    let words = ["mkdir", &below, "overwrite", &procs, "1", "overwrite", &control, "+memory +pids", "wait"];
    let check =
        json!({ "command": ["CMD", "/bin/probe", "has", below], "interval": 5, "retries": 1, "startPeriod": 0 });
    let task = bench.does(json!({}), json!({ "privileged": true, "healthCheck": check }), &words);
    let said = task.output_when("web", |said| said.lines().count() == 3);
    // On v1 there is nothing to pass on.
    let passed = if is_v2() { "done" } else { "No such file or directory" };
    assert_eq!(said, format!("{below}: done\n{procs}: done\n{control}: {passed}\n"));
    let shown = task.when("has been checked", |task| task["healthStatus"] != "UNKNOWN");
    assert_eq!(shown["healthStatus"], "HEALTHY", "{shown}");
}

fn max_swap(bench: &Bench<'_>) {
    let task = bench.does(
        json!({}),
        json!({ "memory": 32, "linuxParameters": { "maxSwap": 16, "swappiness": 30 } }),
        &["wait"],
    );
    task.running();
    let swap = task.cgroup("web", "memory", ["memory.memsw.limit_in_bytes", "memory.swap.max"]);
    assert_eq!(swap.unwrap(), if is_v2() { 16 * MIB } else { 48 * MIB }.to_string());
    if !is_v2() {
        assert_eq!(task.cgroup("web", "memory", ["memory.swappiness", ""]).unwrap(), "30");
    }
}

fn max_swap_zero(bench: &Bench<'_>) {
    let task = bench.does(json!({}), json!({ "memory": 32, "linuxParameters": { "maxSwap": 0 } }), &["wait"]);
    task.running();
    let swap = task.cgroup("web", "memory", ["memory.memsw.limit_in_bytes", "memory.swap.max"]).unwrap();
    assert_eq!(swap, if is_v2() { 0 } else { 32 * MIB }.to_string());
}

fn devices(bench: &Bench<'_>) {
    let device = json!({ "hostPath": "/dev/zero", "containerPath": "/dev/nothing-but", "permissions": ["read"] });
    let more = json!({ "linuxParameters": { "devices": [{ "hostPath": "/dev/loop-control" }, device] } });
    let said = bench.says(
        json!({}),
        more,
        &["mode", "/dev/nothing-but", "mode", "/dev/loop-control", "open", "/dev/loop-control"],
    );
    let kinds: Vec<&str> = said.lines().map(|line| &line[..line.find(": ").unwrap() + 4]).collect();
    assert_eq!(kinds[..2], ["/dev/nothing-but: 20", "/dev/loop-control: 20"], "character devices: {said}");
    assert!(said.contains("/dev/loop-control: done"), "{said}");
}

fn device_missing(bench: &Bench<'_>) {
    let more = json!({ "linuxParameters": { "devices": [{ "hostPath": "/dev/no-such-thing" }] } });
    let stopped = bench.does(json!({}), more, &["say", "never"]).stopped();
    let reason = text(&named(&stopped, "web")["reason"]);
    assert!(
        reason.contains("error gathering device information while adding custom device \"/dev/no-such-thing\""),
        "{reason}"
    );
}

fn control(name: &str, value: &str) -> serde_json::Value {
    json!({ "systemControls": [{ "namespace": name, "value": value }] })
}

fn sysctl_network(bench: &Bench<'_>) {
    let said = bench.says(json!({}), control("net.core.somaxconn", "321"), &["cat", "/proc/sys/net/core/somaxconn"]);
    assert_eq!(said, "321\n");
}

fn sysctl_ipc(bench: &Bench<'_>) {
    let said = bench.says(json!({}), control("kernel.msgmax", "4321"), &["cat", "/proc/sys/kernel/msgmax"]);
    assert_eq!(said, "4321\n");
}

fn sysctl_of_machine(bench: &Bench<'_>) {
    let before = std::fs::read_to_string("/proc/sys/kernel/panic").unwrap();
    match bench.register(
        json!({}),
        json!([{ "name": "web", "systemControls": control("kernel.panic", "77")["systemControls"] }]),
    ) {
        Err(refused) => assert_eq!(refused.code, "ClientException"),
        Ok(definition) => {
            let stopped = bench.start(&definition, json!({})).stopped();
            let reason = text(&named(&stopped, "web")["reason"]);
            assert!(reason.contains("is not in a separate kernel namespace"), "{reason}");
        }
    }
    assert_eq!(std::fs::read_to_string("/proc/sys/kernel/panic").unwrap(), before);
}

fn too_large(bench: &Bench<'_>) {
    let definition = bench.register(json!({}), json!([{ "name": "web", "memory": 100_000_000 }])).unwrap();
    let answer = bench.call::<api_ecs::operations::RunTask>(json!({ "taskDefinition": definition })).unwrap();
    assert_eq!(answer["failures"][0]["reason"], "RESOURCE:MEMORY", "{answer}");
}

fn minimum_memory(bench: &Bench<'_>) {
    let refused = bench.refused(json!({}), json!([{ "name": "web", "memory": 5 }]));
    assert!(refused.is_of_the_client(), "{refused:?}");
}

fn sum_of_memory(bench: &Bench<'_>) {
    let refused = bench
        .refused(json!({ "memory": "128" }), json!([{ "name": "a", "memory": 100 }, { "name": "b", "memory": 100 }]));
    assert!(refused.is_of_the_client(), "{refused:?}");
}

fn disk_filler(bench: &Bench<'_>) {
    let more = json!({ "linuxParameters": { "tmpfs": [{ "containerPath": "/fast", "size": 2 }] } });
    let said = bench.says(json!({}), more, &["fill", "/fast/all", "say", "alive"]);
    assert_eq!(said, format!("/fast/all after {}: No space left on device\nalive\n", 2 * MIB));
}

fn sysctl_of_host(bench: &Bench<'_>) {
    let web = |name: &str| json!([{ "name": "web", "systemControls": control(name, "1")["systemControls"] }]);
    let refused = bench.refused(json!({ "networkMode": "host" }), web("net.core.somaxconn"));
    assert!(refused.is_of_the_client(), "{refused:?}");
    assert!(bench.refused(json!({ "ipcMode": "host" }), web("kernel.msgmax")).is_of_the_client());
}

fn swap_default(bench: &Bench<'_>) {
    let task = bench.does(json!({}), json!({ "memory": 32 }), &["wait"]);
    task.running();
    let swap = task.cgroup("web", "memory", ["memory.memsw.limit_in_bytes", "memory.swap.max"]).unwrap();
    assert_eq!(swap, if is_v2() { 32 * MIB } else { 64 * MIB }.to_string());
}

fn pids_of_task(bench: &Bench<'_>) {
    let web = json!({ "name": "web", "command": ["fork-until-refused"] });
    let task = bench.run(json!({}), json!([web]));
    task.stopped();
    let said = task.output("web");
    let made: u32 = said.split_whitespace().nth(2).and_then(|word| word.trim_end_matches(':').parse().ok()).unwrap();
    assert!(said.contains("Resource temporarily unavailable") && (100..crate::PIDS_LIMIT).contains(&made), "{said}");
}

fn settings_invalid(bench: &Bench<'_>) {
    let ulimit = |name: &str, soft: i64, hard: i64| json!({ "ulimits": [{ "name": name, "softLimit": soft, "hardLimit": hard }] });
    let linux = |parameters: serde_json::Value| json!({ "linuxParameters": parameters });
    for bad in [
        ulimit("wishes", 1, 2),
        ulimit("nofile", 3, 2),
        linux(json!({ "swappiness": 101 })),
        linux(json!({ "tmpfs": [{ "containerPath": "/x", "size": 1, "mountOptions": ["fly"] }] })),
        linux(json!({ "tmpfs": [{ "containerPath": "x", "size": 1 }] })),
        linux(json!({ "devices": [{ "hostPath": "/dev/zero", "permissions": ["fly"] }] })),
    ] {
        let mut web = json!({ "name": "web" });
        web.as_object_mut().unwrap().extend(bad.as_object().unwrap().clone());
        assert!(bench.refused(json!({}), json!([web])).is_of_the_client(), "{bad}");
    }
}
