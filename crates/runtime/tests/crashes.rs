//! What remains when a process dies. Needs root.

mod world;

use std::process::{Command, Stdio};

use runtime::{
    Attach, ContainerRuntime as _, ContainerState, Limits, LogPosition, LogReader, Runtime, RuntimeConfig, Stdin,
};
use world::{World, exit, id, task_id, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_agent_loses_nothing() {
    let mut world = World::new();
    let mut agent = agent(&world, "an_agent_that_will_be_killed").spawn().unwrap();
    let ready = world.dir.path().join("tasks/ready");
    until("the agent's containers run", || ready.exists().then_some(()));
    agent.kill().unwrap();
    agent.wait().unwrap();
    std::fs::remove_file(ready).unwrap();

    // One ends while there is no agent.
    let short = world.config.tasks_dir.join("t1/containers/short/exit.json");
    until("the short container ends", || short.exists().then_some(()));

    world.runtime = Runtime::new(world.config.clone()).unwrap();
    let tasks = world.runtime.recover().await.unwrap();
    assert_eq!(tasks.len(), 1);
    let task = tasks[0].clone();
    assert_eq!(exit(&*task, "short").await.code, 5);
    assert_eq!(world.log(&*task, "short").await, ["hello"]);
    let long = task.status().into_iter().find(|status| status.id == id("long")).unwrap();
    assert!(matches!(long.state, ContainerState::Running { .. }), "{long:?}");
    // Starting what runs finds it.
    let ContainerState::Running { pid, .. } = long.state else { unreachable!() };
    assert_eq!(task.start(&world.spec("long", "wait")).await.unwrap().pid, pid);
    task.kill(&id("long"), libc::SIGKILL).await.unwrap();
    assert_eq!(exit(&*task, "long").await.code, 137);
    world.leave().await;
}

/// An agent in a process of its own: one of the ignored tests here.
fn agent(world: &World, test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]).stdout(Stdio::null());
    command.env("BERTH_TEST_TASKS", &world.config.tasks_dir).env("BERTH_TEST_CGROUP", &world.config.cgroup_parent);
    command.env("BERTH_TEST_LAYER", world.layer()).env("BERTH_OCI", &world.config.oci);
    command
}

fn config_of_the_agent() -> RuntimeConfig {
    let variable = |name| std::env::var(name).unwrap();
    RuntimeConfig {
        shim: world::program("berth-shim", "BERTH_SHIM"),
        oci: world::program("berth-oci", "BERTH_OCI"),
        tasks_dir: variable("BERTH_TEST_TASKS").into(),
        cgroup_parent: variable("BERTH_TEST_CGROUP"),
        state_dir: None,
    }
}

/// Not a test: the other process of the one above.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs as a child of another test"]
async fn an_agent_that_will_be_killed() {
    let config = config_of_the_agent();
    let layer = std::path::PathBuf::from(std::env::var("BERTH_TEST_LAYER").unwrap());
    let runtime = Runtime::new(config.clone()).unwrap();
    let task = runtime.open_task(&task_id("t1"), &Limits::default()).await.unwrap();
    task.start(&world::spec(&layer, "long", "wait")).await.unwrap();
    // It ends when its own small world allows it: after the agent was killed, or before; both must work.
    task.start(&world::spec(&layer, "short", "say hello exit 5")).await.unwrap();
    std::fs::write(config.tasks_dir.join("ready"), "").unwrap();
    std::future::pending::<()>().await;
}

const LIMITS: Limits = Limits {
    memory_bytes: None,
    memory_reservation_bytes: None,
    memory_swap_bytes: None,
    swappiness: None,
    cpu_shares: None,
    cpu_quota_us: None,
    cpu_period_us: None,
    cpuset: None,
    pids: Some(50),
};

/// A cgroup without a directory would be nobody's: the next agent may have been told meanwhile that the task is not wanted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_is_found_that_was_opened_as_far_as_its_cgroup() {
    let world = World::new();
    let mut command = agent(&world, "an_agent_that_opens_a_task");
    assert!(!command.env(failpoint::VARIABLE, "runtime.limit:1").status().unwrap().success());
    let found = world.runtime.recover().await.unwrap();
    assert_eq!(found.iter().map(|task| task.id().clone()).collect::<Vec<_>>(), [task_id("t1")]);
    world.leave().await;
}

/// Not a test: the other process of the one above.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs as a child of another test"]
async fn an_agent_that_opens_a_task() {
    let runtime = Runtime::new(config_of_the_agent()).unwrap();
    runtime.open_task(&task_id("t1"), &LIMITS).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_is_found_whose_shim_does_not_start() {
    let mut world = World::new();
    world.config.shim = "/nowhere/berth-shim".into();
    world.runtime = Runtime::new(world.config.clone()).unwrap();
    world.runtime.open_task(&task_id("t1"), &LIMITS).await.err().unwrap();
    assert!(world.runtime.find_task(&task_id("t2")).await.unwrap().is_none());
    let found = world.runtime.find_task(&task_id("t1")).await.unwrap().unwrap();
    found.end().await.unwrap();
    found.close().await.unwrap();
    assert!(world.runtime.find_task(&task_id("t1")).await.unwrap().is_none());
    world.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_cannot_be_taken_up_hides_no_other() {
    let mut world = World::new();
    let task = world.task("t2").await;
    task.start(&world.spec("web", "wait")).await.unwrap();
    drop(task);
    let broken = world.config.tasks_dir.join("t1");
    std::fs::create_dir(&broken).unwrap();
    std::fs::write(broken.join("containers"), "no directory").unwrap();
    world.runtime = Runtime::new(world.config.clone()).unwrap();
    let found = world.runtime.recover().await.unwrap();
    assert_eq!(found.iter().map(|task| task.id().clone()).collect::<Vec<_>>(), [task_id("t1"), task_id("t2")]);
    assert!(found[0].status().is_empty());
    assert!(matches!(found[1].status()[0].state, ContainerState::Running { .. }), "{:?}", found[1].status());
    std::fs::remove_dir_all(&broken).unwrap();
    drop(found);
    world.leave().await;
}

/// Nobody has written down yet what is about to be executed; and nobody would ever wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_agent_was_about_to_execute_ends() {
    use std::os::unix::fs::PermissionsExt as _;

    let dir = tempfile::tempdir().unwrap();
    let oci = dir.path().join("slow-oci");
    let real = world::program("berth-oci", "BERTH_OCI");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *' exec '*) touch \"$0.called\"; while :; do sleep 0.01; done;; esac\nexec {} \"$@\"\n",
        real.display()
    );
    std::fs::write(&oci, script).unwrap();
    std::fs::set_permissions(&oci, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut world = World::with_oci(oci);
    let mut agent = agent(&world, "an_agent_that_executes").spawn().unwrap();
    until("the runtime is called", || dir.path().join("slow-oci.called").exists().then_some(()));
    agent.kill().unwrap();
    agent.wait().unwrap();
    let is_executing = |line: &String| line.contains(" exec ");
    assert!(world.processes().iter().any(is_executing), "{:?}", world.processes());
    world.runtime = Runtime::new(world.config.clone()).unwrap();
    let task = world.runtime.recover().await.unwrap().remove(0);
    assert!(!world.processes().iter().any(is_executing), "{:?}", world.processes());
    assert!(matches!(task.status()[0].state, ContainerState::Running { .. }), "{:?}", task.status());
    drop(task);
    world.leave().await;
}

/// Not a test: the other process of the one above.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs as a child of another test"]
async fn an_agent_that_executes() {
    let layer = std::path::PathBuf::from(std::env::var("BERTH_TEST_LAYER").unwrap());
    let runtime = Runtime::new(config_of_the_agent()).unwrap();
    let task = runtime.open_task(&task_id("t1"), &Limits::default()).await.unwrap();
    task.start(&world::spec(&layer, "web", "wait")).await.unwrap();
    let args = ["probe", "wait"].map(str::to_owned);
    let _attached = task.attach(&id("web"), &args, Attach::Pipes).await.unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_shim_is_noticed_and_its_containers_with_it() {
    let world = World::new();
    let task = world.task("t1").await;
    let started = task.start(&world.spec("web", "orphan wait")).await.unwrap();
    // SAFETY: no memory is involved; the process is this test's shim.
    unsafe { libc::kill(world.shim_pid("t1"), libc::SIGKILL) };
    let ended = exit(&*task, "web").await;
    assert_eq!((ended.pid, ended.code, ended.signal), (started.pid, 137, Some(9)));
    assert_eq!(ended.reason.unwrap(), "the container's shim was killed, and what was left of the container with it");
    // The task goes on with a new shim.
    task.start(&world.spec("second", "exit 4")).await.unwrap();
    assert_eq!(exit(&*task, "second").await.code, 4);
    world.leave().await;
}

/// The runtime ends with its shim; what it had forked for the container would go on, and make a cgroup that nobody knows of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shim_killed_in_the_middle_of_a_start_leaves_no_runtime() {
    use std::os::unix::fs::PermissionsExt as _;

    let dir = tempfile::tempdir().unwrap();
    let oci = dir.path().join("slow-oci");
    // A subshell has its shell's command line, as a runtime's forks have the runtime's.
    let script =
        "#!/bin/sh\ncase \"$*\" in *' run '*) (touch \"$0.forked\"; while :; do sleep 0.01; done) & wait;; esac\n";
    std::fs::write(&oci, script).unwrap();
    std::fs::set_permissions(&oci, std::fs::Permissions::from_mode(0o755)).unwrap();
    let world = World::with_oci(oci);
    let task = world.task("t1").await;
    let (starting, spec) = (task.clone(), world.spec("web", "wait"));
    let start = tokio::spawn(async move { starting.start(&spec).await });
    until("the runtime has forked", || dir.path().join("slow-oci.forked").exists().then_some(()));
    // SAFETY: no memory is involved; the process is this test's shim.
    unsafe { libc::kill(world.shim_pid("t1"), libc::SIGKILL) };
    start.await.unwrap().unwrap_err();
    // Whether or not anybody has noticed yet that the shim is gone.
    task.end().await.unwrap();
    assert_eq!(world.processes(), Vec::<String>::new());
    world.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agent_and_shim_die_together() {
    let mut world = World::new();
    let task = world.task("t1").await;
    task.start(&world.spec("done", "exit 6")).await.unwrap();
    assert_eq!(exit(&*task, "done").await.code, 6);
    task.start(&world.spec("web", "wait")).await.unwrap();
    let shim = world.shim_pid("t1");
    // Dropped first, this runtime cannot settle anything.
    drop(task);
    world.runtime = Runtime::new(world.config.clone()).unwrap();
    // SAFETY: no memory is involved; the process is this test's shim.
    unsafe { libc::kill(shim, libc::SIGKILL) };
    let task = world.runtime.recover().await.unwrap().remove(0);
    assert_eq!(exit(&*task, "done").await.code, 6);
    let lost = exit(&*task, "web").await;
    assert_eq!(lost.code, 137);
    assert!(lost.reason.is_some());
    // The record is on disk for the next one who asks.
    world.runtime = Runtime::new(world.config.clone()).unwrap();
    let task = world.runtime.recover().await.unwrap().remove(0);
    assert_eq!(exit(&*task, "web").await, lost);
    world.leave().await;
}

/// Two agents of one shim, the first of which has died in the middle of a start, count their requests alike.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terminals_of_two_agents_do_not_meet() {
    use std::os::unix::fs::PermissionsExt as _;

    let dir = tempfile::tempdir().unwrap();
    let oci = dir.path().join("slow-oci");
    let real = world::program("berth-oci", "BERTH_OCI");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *' run '*' first') touch \"$0.called\"; until [ -e \"$0.go\" ]; do sleep 0.01; done;; esac\nexec {} \"$@\"\n",
        real.display()
    );
    std::fs::write(&oci, script).unwrap();
    std::fs::set_permissions(&oci, std::fs::Permissions::from_mode(0o755)).unwrap();
    let world = World::with_oci(oci);
    let spec =
        |id: &str| runtime::ContainerSpec { stdin: Stdin::Terminal, ..world.spec(id, &format!("say {id} wait")) };
    let task = world.task("t1").await;
    let (starting, first) = (task.clone(), spec("first"));
    let start = tokio::spawn(async move { starting.start(&first).await });
    until("the first runtime is called", || dir.path().join("slow-oci.called").exists().then_some(()));
    let other = Runtime::new(world.config.clone()).unwrap();
    let same = other.recover().await.unwrap().remove(0);
    same.start(&spec("second")).await.unwrap();
    std::fs::write(dir.path().join("slow-oci.go"), "").unwrap();
    start.await.unwrap().unwrap();
    for name in ["first", "second"] {
        let mut log = LogReader::open(task.container_dir(&id(name)), LogPosition::default());
        let line = tokio::time::timeout(world::PATIENCE, log.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(String::from_utf8_lossy(&line.text).trim_end(), name);
    }
    drop((task, same));
    world.leave().await;
}

/// The agent died when it had made the container's directory, and before anybody ran the container.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_started_is_started_by_the_next_agent() {
    let mut world = World::new();
    for id in ["t1", "t2"] {
        std::fs::create_dir_all(world.config.tasks_dir.join(id).join("containers/web")).unwrap();
    }
    // Whether it looks around first or not.
    let task = world.task("t1").await;
    task.start(&world.spec("web", "exit 3")).await.unwrap();
    assert_eq!(exit(&*task, "web").await.code, 3);
    world.runtime = Runtime::new(world.config.clone()).unwrap();
    let tasks = world.runtime.recover().await.unwrap();
    tasks[1].start(&world.spec("web", "exit 4")).await.unwrap();
    assert_eq!(exit(&*tasks[1], "web").await.code, 4);
    world.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shim_whose_directory_is_gone_ends() {
    let world = World::new();
    let task = world.task("t1").await;
    task.start(&world.spec("web", "wait")).await.unwrap();
    let shim = world.shim_pid("t1");
    std::fs::remove_dir_all(world.config.tasks_dir.join("t1")).unwrap();
    // It looks around when a client leaves.
    drop(task);
    until("the shim ends", || ended(shim).then_some(()));
    // Closing the task removes what the shim cannot know of: the task's cgroup.
    world.task("t1").await.close().await.unwrap();
    world.leave().await;
}

/// Gone, or a zombie that its parent has not asked about yet.
fn ended(pid: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return true };
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'))
}
