//! What a container cannot do: to its machine, to other tasks, to itself.

use std::fs;

use serde_json::json;

use crate::world::{named, text};
use crate::{Bench, Case, Page};

const CAPABILITIES: Page = Page::Api("KernelCapabilities");
const SECURITY: Page = Page::Parameters("Security");
const ESCAPES: Page = Page::Docker("Docker security");

/// What Docker gives every container: chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service,
/// net_raw, sys_chroot, mknod, audit_write, setfcap.
const DEFAULT: u64 = 0xa804_25fb;

pub fn cases() -> Vec<Case> {
    let case = |name, feature, page, check| Case { name, feature, page, check };
    vec![
        case(
            "capabilities_default",
            "fourteen capabilities, Docker's, in all sets but the ambient and inheritable",
            CAPABILITIES,
            capabilities_default,
        ),
        case("capabilities_add", "`capabilities` `add`", CAPABILITIES, capabilities_add),
        case("capabilities_drop", "`capabilities` `drop` `ALL`, and one added again", CAPABILITIES, capabilities_drop),
        case("privileged", "`privileged`: all capabilities and devices, no filter", SECURITY, privileged),
        case(
            "no_new_privileges",
            "`dockerSecurityOptions` `no-new-privileges`: set-user-id programs gain nothing",
            SECURITY,
            no_new_privileges,
        ),
        case("set_user_id", "without it they do", SECURITY, set_user_id),
        case(
            "security_option_unknown",
            "a security option that this machine cannot keep is refused",
            SECURITY,
            security_option_unknown,
        ),
        case(
            "system_call_filter",
            "a filter is on: mount, unshare, ptrace of others, keyrings",
            ESCAPES,
            system_call_filter,
        ),
        case(
            "namespaces_forbidden",
            "no namespace can be made: neither by unshare, nor by clone or clone3",
            ESCAPES,
            namespaces_forbidden,
        ),
        case(
            "hidden_paths",
            "what tells about the machine in /proc and /sys is hidden or read-only",
            ESCAPES,
            hidden_paths,
        ),
        case(
            "device_access",
            "a device that was not given cannot be opened, even by a node of one's own",
            ESCAPES,
            device_access,
        ),
        case("processes", "a container sees its own processes, and is the first of them", ESCAPES, processes),
        case(
            "pid_mode_task",
            "`pidMode` `task`: the task's containers see each other's processes",
            Page::Parameters("pidMode"),
            pid_mode_task,
        ),
        case("pid_mode_host", "`pidMode` `host`", Page::Parameters("pidMode"), pid_mode_host),
        case(
            "ipc_mode_task",
            "`ipcMode` `task`: shared memory and /dev/shm are the task's",
            Page::Parameters("ipcMode"),
            ipc_mode_task,
        ),
        case("ipc_mode_host", "`ipcMode` `host`", Page::Parameters("ipcMode"), ipc_mode_host),
        case("ipc_mode_none", "`ipcMode` `none`: no /dev/shm of its own", Page::Parameters("ipcMode"), ipc_mode_none),
        case("mode_unknown", "other values of the two are refused", Page::Parameters("ipcMode"), mode_unknown),
        case("namespaces", "pid, ipc, network, uts and mount namespaces of its own", ESCAPES, namespaces),
        case("open_files", "no descriptor but the three standard ones is open", ESCAPES, open_files),
        case(
            "other_task",
            "another task's environment, files, sockets and processes are out of reach",
            ESCAPES,
            other_task,
        ),
        case("agents_sockets", "the agent's, the shim's and Docker's sockets are not there", ESCAPES, agents_sockets),
        case(
            "escape_self_exe",
            "`/proc/self/exe` of the OCI runtime cannot be overwritten (CVE-2019-5736)",
            ESCAPES,
            escape_self_exe,
        ),
        case(
            "escape_descriptor",
            "a working directory that leads to the machine by a leaked descriptor (CVE-2024-21626)",
            ESCAPES,
            escape_descriptor,
        ),
        case(
            "escape_symlink_mount",
            "a mount whose target is a symbolic link of the image stays inside (CVE-2021-30465)",
            ESCAPES,
            escape_symlink_mount,
        ),
        case(
            "escape_release_agent",
            "no cgroup of v1 can be mounted, and no release agent written (CVE-2022-0492)",
            ESCAPES,
            escape_release_agent,
        ),
        case(
            "escape_core_pattern",
            "/proc/sys is read-only: core_pattern, modprobe, panic",
            ESCAPES,
            escape_core_pattern,
        ),
        case("escape_chroot", "neither chroot nor open_by_handle_at leads out", ESCAPES, escape_chroot),
    ]
}

fn capabilities_default(bench: &Bench<'_>) {
    let seen = bench.inspect(json!({}), json!({}));
    let sets = ["CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb"].map(|set| seen.capabilities(set));
    assert_eq!(sets, [DEFAULT, DEFAULT, DEFAULT, 0, 0], "{sets:x?}");
    assert_eq!((seen.status("NoNewPrivs"), seen.status("Seccomp")), ("0", "2"));
}

const NET_ADMIN: u64 = 1 << 12;
const SYS_TIME: u64 = 1 << 25;

fn capabilities_add(bench: &Bench<'_>) {
    let capabilities = json!({ "linuxParameters": { "capabilities": { "add": ["NET_ADMIN", "SYS_TIME"] } } });
    assert_eq!(bench.inspect(json!({}), capabilities).capabilities("CapEff"), DEFAULT | NET_ADMIN | SYS_TIME);
}

fn capabilities_drop(bench: &Bench<'_>) {
    let drop = |add: serde_json::Value, drop: serde_json::Value| {
        let capabilities = json!({ "linuxParameters": { "capabilities": { "add": add, "drop": drop } } });
        bench.inspect(json!({}), capabilities).capabilities("CapBnd")
    };
    assert_eq!(drop(json!([]), json!(["ALL"])), 0);
    assert_eq!(drop(json!(["NET_ADMIN"]), json!(["ALL"])), NET_ADMIN);
    assert_eq!(drop(json!([]), json!(["MKNOD"])), DEFAULT & !(1 << 27));
}

fn privileged(bench: &Bench<'_>) {
    let seen = bench.inspect(json!({}), json!({ "privileged": true }));
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap().trim();
    assert_eq!(seen.status("CapEff"), own, "all that the machine has");
    assert_eq!(seen.status("Seccomp"), "0");
    assert!(seen.words("dev").contains(&"loop-control".to_owned()), "{:?}", seen.words("dev"));
    assert!(!seen.mount("/sys").unwrap().0.split(',').any(|option| option == "ro"));
}

const AS_WEB: [&str; 4] = ["run", "/bin/probe-suid", "setuid", "0"];

fn no_new_privileges(bench: &Bench<'_>) {
    let more = json!({ "user": "web", "dockerSecurityOptions": ["no-new-privileges"] });
    let said = bench.says(json!({}), more.clone(), &AS_WEB);
    assert_eq!(said, "setuid: Operation not permitted\n");
    assert_eq!(bench.inspect(json!({}), more).status("NoNewPrivs"), "1");
}

fn set_user_id(bench: &Bench<'_>) {
    assert_eq!(bench.says(json!({}), json!({ "user": "web" }), &AS_WEB), "setuid: done\n");
}

fn security_option_unknown(bench: &Bench<'_>) {
    match bench.register(json!({}), json!([{ "name": "web", "dockerSecurityOptions": ["seccomp:unconfined"] }])) {
        Err(refused) => assert_eq!(refused.code, "ClientException"),
        Ok(definition) => {
            let stopped = bench.start(&definition, json!({})).stopped();
            let reason = text(&named(&stopped, "web")["reason"]);
            assert!(reason.contains("security option"), "{reason}");
        }
    }
}

fn system_call_filter(bench: &Bench<'_>) {
    let words = ["mount", "tmpfs", "/tmp", "", "unshare", "by-handle", "kill", "1", "0"];
    let said = bench.says(
        json!({}),
        json!({ "linuxParameters": { "capabilities": { "add": ["DAC_READ_SEARCH"] } } }),
        &words[..6],
    );
    // By capability the handle could be opened, and then the kernel finds no such file on an overlay.
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..2], ["mount: Operation not permitted", "unshare: Operation not permitted"], "{said}");
    let plain = bench.says(json!({}), json!({}), &["by-handle"]);
    assert_eq!(plain, "open_by_handle_at: Operation not permitted\n");
}

fn namespaces_forbidden(bench: &Bench<'_>) {
    let said = bench.says(json!({}), json!({}), &["clone-user", "unshare"]);
    assert_eq!(
        said,
        "clone: Operation not permitted\nclone3: Function not implemented\nunshare: Operation not permitted\n"
    );
    let as_user = bench.says(json!({}), json!({ "user": "web" }), &["clone-user"]);
    assert_eq!(as_user, "clone: Operation not permitted\nclone3: Function not implemented\n");
}

fn hidden_paths(bench: &Bench<'_>) {
    let seen = bench.inspect(json!({}), json!({}));
    for hidden in ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"] {
        if std::path::Path::new(hidden).exists() {
            assert!(seen.mount(hidden).is_some(), "{hidden} is not covered");
        }
    }
    for readonly in ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs", "/sys"] {
        if std::path::Path::new(readonly).exists() {
            let (options, ..) = seen.mount(readonly).unwrap_or_else(|| panic!("{readonly} is not mounted over"));
            assert!(options.split(',').any(|option| option == "ro"), "{readonly}: {options}");
        }
    }
    let places = seen.text("mounts").lines().filter_map(|line| line.split(' ').nth(4));
    for tree in places.filter(|place| place.starts_with("/sys/fs/cgroup/")) {
        // The last of several mounts at one place is the one that is seen.
        let (options, ..) = seen.mount(tree).expect("it is in the list");
        assert!(options.split(',').any(|option| option == "ro"), "{tree}: {options}");
    }
    let said = bench.says(json!({}), json!({}), &["cat", "/proc/kcore", "cat", "/proc/keys"]);
    assert!(said.lines().all(|line| line == "(No such file or directory)"), "{said}");
}

fn device_access(bench: &Bench<'_>) {
    // 1:1 is the machine's memory, 10:237 its loop devices.
    let said = bench.says(
        json!({}),
        json!({}),
        &["mknod", "/tmp/mem", "1", "1", "mknod", "/tmp/loop", "10", "237", "mkblock", "/tmp/disk", "254", "0"],
    );
    let refused = "mknod: done\nopen: Operation not permitted\n";
    assert_eq!(said, refused.repeat(3));
}

fn processes(bench: &Bench<'_>) {
    let seen = bench.inspect(json!({}), json!({}));
    let processes: Vec<String> =
        seen.words("processes").into_iter().filter(|name| name.parse::<u32>().is_ok()).collect();
    assert_eq!((seen.number("pid"), processes), (1, vec!["1".to_owned()]));
}

fn namespaces(bench: &Bench<'_>) {
    let seen = bench.inspect(json!({}), json!({}));
    for kind in ["pid", "ipc", "net", "uts", "mnt"] {
        let own = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        assert_ne!(seen.namespace(kind), own.to_str().unwrap(), "{kind}");
    }
}

fn pid_mode_task(bench: &Bench<'_>) {
    let stays = json!({ "name": "stays", "command": ["trap", "0", "wait"] });
    let looks = json!({ "name": "looks", "essential": false, "command": ["ps", "inspect"], "dependsOn": [{ "containerName": "stays", "condition": "START" }] });
    let task = bench.run(json!({ "pidMode": "task" }), json!([stays, looks]));
    let shown = task.when("has looked", |task| named(task, "looks")["lastStatus"] == "STOPPED");
    assert_eq!(named(&shown, "looks")["exitCode"], 0, "{shown}");
    let said = task.output_when("looks", |said| said.contains("processes"));
    assert!(said.starts_with("1 pause\n"), "{said}");
    assert_eq!(said.lines().filter(|line| line.ends_with(" probe")).count(), 2, "{said}");
    let seen = crate::seen::Seen::read(&said);
    assert!(seen.number("pid") > 1);
    assert_eq!(task.running()["lastStatus"], "RUNNING", "the end of one is not the end of the namespace");
    assert_eq!(
        fs::read_link(format!("/proc/{}/ns/pid", task.pid("stays"))).unwrap().to_str(),
        Some(seen.namespace("pid"))
    );
    task.stop("");
    let stopped = task.stopped();
    assert_eq!(named(&stopped, "stays")["exitCode"], 0, "{stopped}");
}

fn pid_mode_host(bench: &Bench<'_>) {
    let seen = bench.inspect(json!({ "pidMode": "host" }), json!({}));
    assert_eq!(seen.namespace("pid"), fs::read_link("/proc/self/ns/pid").unwrap().to_str().unwrap());
    assert!(seen.words("processes").contains(&std::process::id().to_string()));
}

fn ipc_mode_task(bench: &Bench<'_>) {
    let writes = json!({ "name": "writes", "command": ["shm-put", "4711", "through-memory", "put", "/dev/shm/file", "through-a-file", "trap", "0", "wait"] });
    let reads = json!({ "name": "reads", "essential": false, "command": ["await", "/dev/shm/file", "sleep", "100", "shm-get", "4711", "cat", "/dev/shm/file", "inspect"],
        "dependsOn": [{ "containerName": "writes", "condition": "START" }] });
    let task = bench.run(json!({ "ipcMode": "task" }), json!([writes, reads]));
    let said = task.output_when("reads", |said| said.contains("shm_bytes"));
    assert!(said.starts_with("shm: through-memory\nthrough-a-file\n"), "{said}");
    let seen = crate::seen::Seen::read(&said);
    assert_eq!((seen.number("shm_bytes"), seen.number("pid")), (64 << 20, 1));
    let (options, kind, _) = seen.mount("/dev/shm").unwrap();
    assert!(kind == "tmpfs" && options.contains("noexec") && options.contains("nosuid"), "{kind} {options}");
    task.stop("");
    task.stopped();
    let other = bench.says(json!({ "ipcMode": "task" }), json!({}), &["shm-get", "4711", "ls", "/dev/shm"]);
    assert_eq!(other, "shm: No such file or directory\n{\"/dev/shm\":[]}\n", "another task has its own");
}

fn ipc_mode_host(bench: &Bench<'_>) {
    let seen = bench.inspect(json!({ "ipcMode": "host" }), json!({}));
    assert_eq!(seen.namespace("ipc"), fs::read_link("/proc/self/ns/ipc").unwrap().to_str().unwrap());
}

fn ipc_mode_none(bench: &Bench<'_>) {
    let seen = bench.inspect(json!({ "ipcMode": "none" }), json!({}));
    assert_ne!(seen.namespace("ipc"), fs::read_link("/proc/self/ns/ipc").unwrap().to_str().unwrap());
    assert_eq!(seen.number("shm_is_a_mount"), 0);
}

fn mode_unknown(bench: &Bench<'_>) {
    for settings in [json!({ "pidMode": "none" }), json!({ "pidMode": "x" }), json!({ "ipcMode": "private" })] {
        assert!(bench.refused(settings, json!([{ "name": "web" }])).is_of_the_client());
    }
}

fn open_files(bench: &Bench<'_>) {
    let seen = bench.inspect(json!({}), json!({}));
    let open: Vec<&String> = seen.value("fds").as_object().unwrap().keys().collect();
    assert_eq!(open, ["0", "1", "2"], "{}", seen.value("fds"));
}

fn other_task(bench: &Bench<'_>) {
    let secret = json!([{ "name": "SECRET", "value": "of-the-first" }]);
    let first = bench.does(
        json!({}),
        json!({ "environment": secret }),
        &["put", "/tmp/secret", "x", "listen", "hidden", "listen", "/tmp/socket", "wait"],
    );
    first.running();
    first.output_when("web", |said| said.contains("/tmp/socket"));
    let pid = first.pid("web").to_string();
    let environ = format!("/proc/{pid}/environ");
    let said = bench.says(
        json!({}),
        json!({}),
        &[
            "cat",
            &environ,
            "connect",
            "hidden",
            "connect",
            "/tmp/socket",
            "cat",
            "/tmp/secret",
            "kill",
            &pid,
            "9",
            "ps",
        ],
    );
    assert!(!said.contains("of-the-first"), "{said}");
    for line in [
        "hidden: Connection refused",
        "/tmp/socket: No such file or directory",
        "(No such file or directory)",
        "kill: No such process",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert_eq!(first.describe()["lastStatus"], "RUNNING");
}

fn agents_sockets(bench: &Bench<'_>) {
    let said = bench.says(
        json!({}),
        json!({}),
        &["connect", "/var/run/docker.sock", "connect", "/run/berth/berth.sock", "connect", "/shim.sock"],
    );
    assert_eq!(said.matches("No such file or directory").count(), 3, "{said}");
    let seen = bench.inspect(json!({}), json!({}));
    let mounts = seen.text("mounts");
    let data_dir = bench.world.data_dir.display().to_string();
    // The names of the overlay's layers are the only trace.
    let lines: Vec<&str> =
        mounts.lines().filter(|line| line.contains(&data_dir) && !line.contains(" - overlay ")).collect();
    assert!(lines.iter().all(|line| line.contains(" /etc/")), "{lines:#?}");
}

fn escape_self_exe(bench: &Bench<'_>) {
    // A container whose program is "/proc/self/exe" executes the runtime itself.
    let stopped = bench.does(json!({}), json!({ "entryPoint": ["/proc/self/exe"] }), &["--version"]).stopped();
    assert_eq!(stopped["lastStatus"], "STOPPED");
    let runtime = bench.world.data_dir.join("programs/berth-oci");
    let before = fs::metadata(&runtime).ok().map(|file| (file.len(), file.modified().unwrap()));
    let said = bench.says(json!({}), json!({}), &["overwrite", "/proc/self/exe", "x", "overwrite", "/proc/1/exe", "x"]);
    assert_eq!(said, "/proc/self/exe: Text file busy\n/proc/1/exe: Text file busy\n");
    assert_eq!(fs::metadata(&runtime).ok().map(|file| (file.len(), file.modified().unwrap())), before);
}

fn escape_descriptor(bench: &Bench<'_>) {
    for number in ["7", "8", "9", "10", "11", "12"] {
        let more = json!({ "workingDirectory": format!("/proc/self/fd/{number}") });
        let task = bench.does(json!({}), more, &["ls", "../../../../etc", "inspect"]);
        let stopped = task.stopped();
        if named(&stopped, "web")["exitCode"] == json!(null) {
            continue;
        }
        let said = task.output("web");
        assert!(
            !said.contains("machine-id") && !said.contains("\"shadow\""),
            "it sees the machine by {number}: {said}"
        );
    }
}

fn escape_symlink_mount(bench: &Bench<'_>) {
    let folder = bench.folder();
    fs::write(folder.join("mark"), "mine").unwrap();
    let settings = json!({ "volumes": [{ "name": "v", "host": { "sourcePath": folder } }] });
    // The image has /srv/out as a link to ../../../etc: inside of the container that is its own /etc.
    let more = json!({ "mountPoints": [{ "sourceVolume": "v", "containerPath": "/srv/out/sub" }] });
    let said = bench.says(settings, more, &["cat", "/etc/sub/mark"]);
    assert_eq!(said.trim(), "mine");
    assert!(!std::path::Path::new("/etc/sub").exists(), "a folder was made on the machine");
}

fn escape_release_agent(bench: &Bench<'_>) {
    let words = [
        "mount",
        "cgroup",
        "/tmp",
        "rdma",
        "overwrite",
        "/sys/fs/cgroup/rdma/release_agent",
        "x",
        "overwrite",
        "/sys/fs/cgroup/memory/release_agent",
        "x",
        "remount-rw",
        "/sys/fs/cgroup",
    ];
    let said = bench.says(json!({}), json!({}), &words);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "mount: Operation not permitted");
    assert!(
        lines[1..3]
            .iter()
            .all(|line| line.ends_with("Read-only file system") || line.ends_with("No such file or directory")),
        "{said}"
    );
    assert_eq!(lines[3], "remount: Operation not permitted");
}

fn escape_core_pattern(bench: &Bench<'_>) {
    let files = ["kernel/core_pattern", "kernel/modprobe", "kernel/panic", "vm/drop_caches"];
    let files: Vec<String> = files.iter().map(|file| format!("/proc/sys/{file}")).collect();
    let there: Vec<&str> =
        files.iter().map(String::as_str).filter(|file| std::path::Path::new(file).exists()).collect();
    let tries = there.iter().flat_map(|file| ["overwrite", file, "|/x"]);
    let words: Vec<&str> = tries.chain(["remount-rw", "/proc/sys", "unmount", "/proc/sys"]).collect();
    let said = bench.says(json!({}), json!({}), &words);
    assert_eq!(said.matches("Read-only file system").count(), there.len(), "{said}");
    for line in ["remount: Operation not permitted", "unmount: Operation not permitted"] {
        assert!(said.contains(line), "{said}");
    }
}

fn escape_chroot(bench: &Bench<'_>) {
    let said = bench.says(json!({}), json!({}), &["chroot", "/srv", "ls", "/../../../..", "by-handle"]);
    assert!(said.starts_with("chroot: done\n") && said.contains("\"data\"") && !said.contains("\"proc\""), "{said}");
    assert!(said.ends_with("open_by_handle_at: Operation not permitted\n"), "{said}");
}
