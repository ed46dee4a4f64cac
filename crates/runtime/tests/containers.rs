//! Real containers: how they start, fail to start, and end. Needs root.

mod world;

use std::time::Duration;

use runtime::{Cgroups, ContainerRuntime as _, ContainerSpec, Executed, Limits, Runtime, RuntimeError, exam};
use world::{World, exit, id, spec, task_id, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_runtime_passes_the_exam() {
    let world = World::new();
    let layer = world.layer();
    // Process 1 of a pid namespace has no default action for SIGTERM, so this one shares the host's.
    let sleeper = |id| ContainerSpec { pid: runtime::Namespace::Host, ..spec(&layer, &format!("{id}"), "wait") };
    exam::exam(&world.runtime, &task_id("exam"), sleeper).await;
    world.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exit_code_comes_back() {
    let world = World::new();
    let task = world.task("t1").await;
    let started = task.start(&world.spec("web", "say hello exit 3")).await.unwrap();
    let exit = exit(&*task, "web").await;
    assert_eq!((exit.pid, exit.code, exit.signal, exit.oom_killed), (started.pid, 3, None, false));
    assert!(exit.finished_at >= exit.started_at);
    assert_eq!(world.log(&*task, "web").await, ["hello"]);
    world.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stubborn_container_is_stopped_by_sigkill() {
    let world = World::new();
    let task = world.task("t1").await;
    task.start(&world.spec("web", "stubborn wait")).await.unwrap();
    // Its word means that it ignores the signal by now.
    let mut reader = runtime::LogReader::open(task.container_dir(&id("web")), Default::default());
    assert_eq!(reader.next().await.unwrap().unwrap().text, b"stubborn");
    task.kill(&id("web"), libc::SIGTERM).await.unwrap();
    assert!(task.status()[0].state.is_alive());
    task.kill(&id("web"), libc::SIGKILL).await.unwrap();
    let exit = exit(&*task, "web").await;
    assert_eq!((exit.code, exit.signal, exit.oom_killed, exit.reason), (137, Some(9), false, None));
    world.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_beyond_the_limit_is_told_as_such() {
    let world = World::new();
    let task = world.task("t1").await;
    let mut spec = world.spec("web", "eat");
    spec.limits.memory_bytes = Some(16 * 1024 * 1024);
    task.start(&spec).await.unwrap();
    let exit = exit(&*task, "web").await;
    assert_eq!((exit.code, exit.oom_killed), (137, true));
    world.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tasks_limit_holds_for_its_containers() {
    let world = World::new();
    let limits = Limits { memory_bytes: Some(16 * 1024 * 1024), cpu_quota_us: Some(50_000), ..Limits::default() };
    let task = world.runtime.open_task(&task_id("t1"), &limits).await.unwrap();
    task.start(&world.spec("web", "eat")).await.unwrap();
    let exit = exit(&*task, "web").await;
    assert_eq!((exit.code, exit.oom_killed), (137, true));
    world.leave().await;
}

async fn cannot_start(world: &World, spec: &ContainerSpec, expected: &str) {
    let task = world.task("t1").await;
    match task.start(spec).await {
        Err(RuntimeError::CannotStart { message, .. }) => assert!(message.ends_with(expected), "{message:?}"),
        other => panic!("{other:?}"),
    }
    task.remove(&spec.id).await.unwrap();
    assert!(task.status().is_empty());
}

async fn failures_are_told(world: World) {
    let mut spec = world.spec("web", "");
    spec.args = vec!["nope".into()];
    cannot_start(&world, &spec, "exec: \"nope\": executable file not found in $PATH").await;
    spec.args = vec!["/bin/nope".into()];
    cannot_start(&world, &spec, "exec: \"/bin/nope\": stat /bin/nope: no such file or directory").await;
    spec.args = vec!["/etc/passwd".into()];
    cannot_start(&world, &spec, "exec: \"/etc/passwd\": permission denied").await;
    let mut spec = world.spec("web", "say hello");
    spec.cwd = "/etc/passwd".into();
    cannot_start(&world, &spec, "not a directory").await;
    world.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_a_container_cannot_start_is_told() {
    failures_are_told(World::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runc_serves_as_well() {
    let world = World::with_oci("runc".into());
    let task = world.task("t1").await;
    task.start(&world.spec("web", "say hello exit 3")).await.unwrap();
    assert_eq!(exit(&*task, "web").await.code, 3);
    assert_eq!(world.log(&*task, "web").await, ["hello"]);
    task.start(&world.spec("second", "orphan wait")).await.unwrap();
    task.kill(&id("second"), libc::SIGKILL).await.unwrap();
    assert_eq!(exit(&*task, "second").await.code, 137);
    world.leave().await;
    failures_are_told(World::with_oci("runc".into())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_runtime_is_named() {
    let world = World::with_oci("/nowhere/oci".into());
    cannot_start(
        &world,
        &world.spec("web", "exit 0"),
        "failed to execute \"/nowhere/oci\": No such file or directory (os error 2)",
    )
    .await;
    world.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_is_what_its_specification_says() {
    let world = World::new();
    let task = world.task("t1").await;
    let shared = world.dir.path().join("shared");
    std::fs::write(&shared, "from outside\n").unwrap();
    let mut spec = world.spec(
        "web",
        "who env COLOUR env HOME files reopen cat /etc/hostname cat /mnt/shared cat /proc/sys/kernel/hostname",
    );
    spec.user = "web".into();
    spec.cwd = "/new/place".into();
    spec.env = vec!["COLOUR=red".into(), "COLOUR=blue".into()];
    spec.hostname = "berth".into();
    spec.etc.hostname = Some("berth\n".into());
    spec.ulimits = vec![runtime::Ulimit { name: "nofile".into(), soft: 256, hard: 512 }];
    let source = runtime::MountSource::Bind(shared);
    spec.mounts = vec![runtime::Mount { target: "/mnt/shared".into(), source, readonly: true }];
    task.start(&spec).await.unwrap();
    assert_eq!(exit(&*task, "web").await.code, 0);
    let log = world.log(&*task, "web").await;
    let expected = ["1000:1001 /new/place", "blue", "/home/web", "256", "reopened", "berth", "from outside", "berth"];
    assert_eq!(log, expected);
    world.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_is_confined() {
    let world = World::new();
    let task = world.task("t1").await;
    let mut spec = world.spec("web", "cat /proc/self/status cat /proc/kcore cat /proc/1/cgroup");
    spec.no_new_privileges = true;
    task.start(&spec).await.unwrap();
    assert_eq!(exit(&*task, "web").await.code, 0);
    let log = world.log(&*task, "web").await;
    let expected = [
        "Uid:\t0\t0\t0\t0",
        // Docker's default set, and nothing of our own blocked or ignored signals.
        "CapEff:\t00000000a80425fb",
        "CapBnd:\t00000000a80425fb",
        "SigBlk:\t0000000000000000",
        "SigIgn:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
    ];
    for line in expected {
        assert!(log.iter().any(|found| found == line), "{line:?} is not in {log:#?}");
    }
    world.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_uses_its_own_devices_and_no_others() {
    let world = World::new();
    let task = world.task("t1").await;
    // /dev/null, which everybody has, and the kernel's log.
    let words = "device 1 3 device 1 11";
    task.start(&world.spec("web", words)).await.unwrap();
    let mut given = world.spec("given", words);
    let log = std::path::PathBuf::from("/dev/kmsg");
    given.devices = vec![runtime::Device {
        host_path: log.clone(),
        container_path: log,
        access: "w".into(),
        mode: None,
        uid: None,
        gid: None,
    }];
    task.start(&given).await.unwrap();
    let privileged = ContainerSpec { privileged: true, ..world.spec("privileged", words) };
    task.start(&privileged).await.unwrap();
    for (container, expected) in [
        ("web", ["opened", "Operation not permitted"]),
        ("given", ["opened", "opened"]),
        ("privileged", ["opened", "opened"]),
    ] {
        assert_eq!(exit(&*task, container).await.code, 0);
        assert_eq!(world.log(&*task, container).await, expected, "{container}");
    }
    world.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_privileged_container_starts() {
    let world = World::new();
    let task = world.task("t1").await;
    let spec = ContainerSpec { privileged: true, ..world.spec("web", "say powerful") };
    task.start(&spec).await.unwrap();
    assert_eq!(exit(&*task, "web").await.code, 0);
    assert_eq!(world.log(&*task, "web").await, ["powerful"]);
    world.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_of_a_task_share_what_they_are_told_to() {
    let world = World::new();
    let task = world.task("t1").await;
    let started = task.start(&world.spec("pause", "wait")).await.unwrap();
    let mut spec = world.spec("web", "cat /proc/sys/kernel/hostname exit 7");
    spec.network = runtime::Namespace::Path(format!("/proc/{}/ns/net", started.pid).into());
    spec.pid = runtime::Namespace::Path(format!("/proc/{}/ns/pid", started.pid).into());
    task.start(&spec).await.unwrap();
    assert_eq!(exit(&*task, "web").await.code, 7);
    world.leave().await;
}

/// A network namespace with a name, as long as the value lives.
struct NamedNetns(String);

impl NamedNetns {
    fn new(name: String) -> NamedNetns {
        assert!(std::process::Command::new("ip").args(["netns", "add", &name]).status().unwrap().success());
        NamedNetns(name)
    }
}

impl Drop for NamedNetns {
    fn drop(&mut self) {
        let _ = std::process::Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_joins_a_namespace_by_its_name_and_sees_no_other() {
    let world = World::new();
    let netns = NamedNetns::new(format!("berth-test-{}", std::process::id()));
    let path = std::path::Path::new("/run/netns").join(&netns.0);
    let inode = |path: &std::path::Path| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).unwrap());
    let task = world.task("t1").await;
    let mut spec = world.spec("web", "wait");
    spec.network = runtime::Namespace::Path(path.clone());
    let started = task.start(&spec).await.unwrap();
    let proc = std::path::PathBuf::from(format!("/proc/{}", started.pid));
    assert_eq!(inode(&proc.join("ns/net")), inode(&path));
    // Nothing of the namespaces' folder is among the container's mounts, and on this side all is as it was.
    let mounts = std::fs::read_to_string(proc.join("mountinfo")).unwrap();
    assert!(!mounts.contains("nsfs"), "{mounts}");
    assert!(std::fs::read_to_string("/proc/self/mountinfo").unwrap().contains(&netns.0));
    task.kill(&id("web"), libc::SIGKILL).await.unwrap();
    exit(&*task, "web").await;
    world.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_at_once() {
    let world = World::new();
    let mut starts = tokio::task::JoinSet::new();
    for number in 0..20 {
        let task = world.task(&format!("t{number}")).await;
        let spec = world.spec("web", &format!("say number-{number} exit {number}"));
        starts.spawn(async move {
            task.start(&spec).await.unwrap();
            (number, exit(&*task, "web").await.code, task)
        });
    }
    while let Some(done) = starts.join_next().await {
        let (number, code, task) = done.unwrap();
        assert_eq!(code, number);
        assert_eq!(world.log(&*task, "web").await, [format!("number-{number}")]);
    }
    world.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_of_many_layers_is_mounted() {
    let world = World::new();
    let task = world.task("t1").await;
    let mut spec = world.spec("web", "cat /etc/number");
    // Their paths are longer together than a page.
    let layers = (0..100).map(|number| {
        let layer = world.dir.path().join(format!("a-layer-with-a-long-name-as-digests-are-{number}"));
        std::fs::create_dir_all(layer.join("etc")).unwrap();
        std::fs::write(layer.join("etc/number"), format!("{number}\n")).unwrap();
        layer
    });
    spec.lower_dirs = layers.chain([world.layer()]).collect();
    task.start(&spec).await.unwrap();
    assert_eq!(exit(&*task, "web").await.code, 0);
    assert_eq!(world.log(&*task, "web").await, ["0"]);
    world.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_volume_begins_with_what_the_image_has() {
    let world = World::new();
    runtime::probe_overlay(&world.config.tasks_dir).unwrap();
    let task = world.task("t1").await;
    let upper = world.dir.path().join("upper-layer");
    std::fs::create_dir_all(upper.join("srv/data")).unwrap();
    std::fs::create_dir_all(world.layer().join("srv/data/deep")).unwrap();
    std::fs::write(upper.join("srv/data/top"), "top\n").unwrap();
    std::fs::write(world.layer().join("srv/data/deep/bottom"), "bottom\n").unwrap();
    std::os::unix::fs::symlink("/srv", upper.join("link")).unwrap();
    let volume = world.dir.path().join("volume");
    std::fs::create_dir(&volume).unwrap();
    let words = "cat /data/top cat /data/deep/bottom put /data/own";
    for (container, layers) in [
        ("many", vec![upper.clone(), world.layer()]),
        // It is not empty any more, so the other image's files stay out.
        ("one", vec![world.layer()]),
    ] {
        let mut spec = world.spec(container, words);
        spec.lower_dirs = layers;
        let source = |path: &str| runtime::MountSource::Volume(world.dir.path().join(path));
        spec.mounts = ["/data", "/link/data"]
            .map(|target| runtime::Mount { target: target.into(), source: source("volume"), readonly: false })
            .into();
        // Only the link's place has something.
        task.start(&spec).await.unwrap();
        assert_eq!(exit(&*task, container).await.code, 0);
        assert_eq!(world.log(&*task, container).await, ["top", "bottom"]);
    }
    assert!(volume.join("own").exists());
    world.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_more_program_runs_in_a_container() {
    let world = World::new();
    let task = world.task("t1").await;
    let mut spec = world.spec("web", "wait");
    spec.env = vec!["COLOUR=red".into()];
    task.start(&spec).await.unwrap();
    let exec = |words: &str, timeout| {
        let args = ["probe"].into_iter().chain(words.split(' ')).map(str::to_owned).collect::<Vec<_>>();
        let task = task.clone();
        async move { task.exec(&id("web"), &args, timeout).await.unwrap() }
    };
    let file = "/found";
    assert_eq!(exec(&format!("put {file} exit 0"), world::PATIENCE).await, Executed::Exited(0));
    assert!(task.container_dir(&id("web")).join("upper/found").exists());
    assert_eq!(exec("exit 7", world::PATIENCE).await, Executed::Exited(7));
    let missing = task.exec(&id("web"), &["nope".to_owned()], world::PATIENCE).await.unwrap();
    assert!(!matches!(missing, Executed::Exited(0)), "{missing:?}");

    // What takes too long is killed, with what it started.
    assert_eq!(exec("child wait", Duration::from_millis(500)).await, Executed::TimedOut);
    let cgroup = world.cgroup("t1", "web");
    until("only the container's own program is left", || (world.pids(&cgroup).len() == 1).then_some(()));
    let dir = task.container_dir(&id("web"));
    until("the call's files go", || {
        let mut names = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.all(|name| !name.starts_with("exec")).then_some(())
    });
    task.kill(&id("web"), libc::SIGKILL).await.unwrap();
    exit(&*task, "web").await;
    world.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_container_uses_is_known() {
    let world = World::new();
    let task = world.task("t1").await;
    task.start(&world.spec("web", "wait")).await.unwrap();
    let cgroups = Cgroups::detect().unwrap();
    let usage = |container: &str| cgroups.usage(&world.cgroup("t1", container));
    let found = usage("web").unwrap();
    assert!(found.cpu > Duration::ZERO && (1..1 << 30).contains(&found.memory_bytes), "{found:?}");
    assert_eq!(usage("db"), None);
    task.kill(&id("web"), libc::SIGKILL).await.unwrap();
    exit(&*task, "web").await;
    world.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_ended_keeps_its_files() {
    let world = World::new();
    let task = world.task("t1").await;
    task.start(&world.spec("web", "say hello put /kept exit 4")).await.unwrap();
    assert_eq!(exit(&*task, "web").await.code, 4);
    // The container that continues it finds what it wrote.
    let mut again = world.spec("web.1", "cat /kept say again");
    again.continues = Some(id("web"));
    task.start(&again).await.unwrap();
    exit(&*task, "web.1").await;
    assert_eq!(world.log(&*task, "web.1").await, ["again"]);

    task.end().await.unwrap();
    assert!(!world.config.tasks_dir.join("t1/shim.sock").exists());
    assert_eq!(world.log(&*task, "web").await, ["hello"]);
    // Another process finds how it ended.
    let other = Runtime::new(world.config.clone()).unwrap();
    let tasks = other.recover().await.unwrap();
    assert_eq!(exit(&*tasks[0], "web").await.code, 4);
    world.leave().await;
}
