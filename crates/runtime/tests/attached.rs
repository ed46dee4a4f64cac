//! Programs that somebody talks to, in containers that run.

mod world;

use std::time::Duration;

use runtime::{Attach, Attached, RuntimeError, Task};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use world::{PATIENCE, World, exit, id, until};

async fn attach(task: &dyn Task, words: &str, attach: Attach) -> Attached {
    let args: Vec<String> = ["probe"].into_iter().chain(words.split(' ')).map(str::to_owned).collect();
    task.attach(&id("web"), &args, attach).await.unwrap()
}

/// Reads until this has been read.
async fn read_until(output: &mut (impl AsyncRead + Unpin), words: &str) -> String {
    let mut text = String::new();
    let mut some = [0; 256];
    while !text.contains(words) {
        let count = tokio::time::timeout(PATIENCE, output.read(&mut some)).await.unwrap().unwrap();
        assert!(count > 0, "it ended after {text:?}");
        text.push_str(&String::from_utf8_lossy(&some[..count]));
    }
    text
}

async fn rest(output: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = String::new();
    tokio::time::timeout(PATIENCE, output.read_to_string(&mut text)).await.unwrap().unwrap();
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_has_a_terminal_of_its_own() {
    let world = World::new();
    let task = world.task("t1").await;
    let mut spec = world.spec("web", "wait");
    spec.readonly_rootfs = true;
    task.start(&spec).await.unwrap();

    let terminal = Attach::Terminal(Some((132, 43)));
    let mut one = attach(&*task, "tty size resized size env TERM echo exit 7", terminal).await;
    let shown = read_until(&mut one.output, "listening").await;
    assert!(shown.contains("/dev/pts/") && shown.contains("132x43"), "{shown:?}");
    one.control.resize(80, 25);
    let shown = read_until(&mut one.output, "xterm").await;
    assert!(shown.contains("80x25"), "{shown:?}");
    // A terminal echoes what is typed, and the program says it again.
    one.input.write_all(b"hello\n\x04").await.unwrap();
    let shown = rest(&mut one.output).await;
    assert_eq!(shown.matches("hello").count(), 2, "{shown:?}");
    assert_eq!(one.ended.await, Ok(7));

    // Two at once have two terminals.
    let (mut a, mut b) = (attach(&*task, "tty echo", terminal).await, attach(&*task, "tty echo", terminal).await);
    let names = (read_until(&mut a.output, "\n").await, read_until(&mut b.output, "\n").await);
    assert_ne!(names.0, names.1);
    drop((a, b));
    let cgroup = world.cgroup("t1", "web");
    until("who is left alone hangs up", || (world.pids(&cgroup).len() == 1).then_some(()));

    task.kill(&id("web"), libc::SIGKILL).await.unwrap();
    exit(&*task, "web").await;
    world.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_is_the_containers_user() {
    let world = World::new();
    let task = world.task("t1").await;
    let mut spec = world.spec("web", "wait");
    spec.user = "web".into();
    task.start(&spec).await.unwrap();
    let mut one = attach(&*task, "who reopen", Attach::Terminal(None)).await;
    let shown = rest(&mut one.output).await;
    assert!(shown.contains("1000:1001") && shown.contains("reopened"), "{shown:?}");
    assert_eq!(one.ended.await, Ok(0));
    task.kill(&id("web"), libc::SIGKILL).await.unwrap();
    exit(&*task, "web").await;
    world.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_has_pipes() {
    let world = World::new();
    let task = world.task("t1").await;
    task.start(&world.spec("web", "wait")).await.unwrap();
    let mut one = attach(&*task, "tty say out shout err echo exit 3", Attach::Pipes).await;
    let typed = vec![b'x'; 1_000_000];
    let typing = async {
        one.input.write_all(&typed).await.unwrap();
        one.input.shutdown().await.unwrap();
        drop(one.input);
    };
    let (_, shown) = tokio::join!(typing, rest(&mut one.output));
    assert!(shown.starts_with("no terminal\nout\nxxx"), "{:?}", &shown[..100]);
    assert_eq!(shown.len(), "no terminal\nout\n".len() + typed.len());
    assert_eq!(rest(&mut one.errors.unwrap()).await, "err\n");
    assert_eq!(one.ended.await, Ok(3));

    // Who does not read holds it up, and it is killed all the same.
    let mut one = attach(&*task, "lines 100000", Attach::Pipes).await;
    read_until(&mut one.output, "0").await;
    one.control.kill();
    assert_eq!(tokio::time::timeout(PATIENCE, one.ended).await.unwrap(), Ok(137));
    drop((one.input, one.output));

    let missing = task.attach(&id("web"), &["nope".to_owned()], Attach::Pipes).await.unwrap();
    assert_eq!(missing.ended.await.unwrap_err(), "exec: \"nope\": executable file not found in $PATH");
    let missing = task.attach(&id("web"), &["nope".to_owned()], Attach::Terminal(None)).await;
    let reason = match missing {
        Ok(attached) => attached.ended.await.unwrap_err(),
        Err(RuntimeError::CannotExecute { reason }) => reason,
        Err(error) => panic!("{error}"),
    };
    assert_eq!(reason, "exec: \"nope\": executable file not found in $PATH");
    let dir = task.container_dir(&id("web")).join("bundle");
    until("the calls' files go", || {
        let mut names = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.all(|name| !name.starts_with("exec")).then_some(())
    });

    // The container's end is the program's.
    let mut one = attach(&*task, "say on wait", Attach::Pipes).await;
    read_until(&mut one.output, "on").await;
    task.kill(&id("web"), libc::SIGKILL).await.unwrap();
    exit(&*task, "web").await;
    assert_eq!(tokio::time::timeout(Duration::from_secs(10), one.ended).await.unwrap(), Ok(137));
    world.leave().await;
}
