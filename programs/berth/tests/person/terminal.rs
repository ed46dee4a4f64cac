//! What a terminal sees. `script` gives the program one.

use std::process::Stdio;

use tokio::process::Command;

use super::berth::{PATIENCE, command, end};
use super::world::{World, short};

/// The same command, with a terminal.
fn on_terminal(plain: &Command) -> Command {
    let plain = plain.as_std();
    let words = std::iter::once(plain.get_program()).chain(plain.get_args());
    let line = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect::<Vec<_>>().join(" ");
    // Without exec the shell has an opinion on Ctrl-C, too.
    let line = format!("exec {line}");
    let mut command = Command::new("/usr/bin/script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env_clear().env("TERM", "xterm");
    for (name, value) in plain.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

#[tokio::test]
async fn states_have_colours_unless_somebody_minds() {
    let world = World::with_instance(axum::Router::new()).await;
    world.family("web", &[]).await;
    let task = world.task("default", "web").await;
    world.runs(&task, 32768).await;
    let coloured = end(on_terminal(&command(&world.url, "ps"))).await;
    assert!(coloured.stdout.contains("\x1b[32mRUNNING\x1b[0m"), "{coloured:?}");
    let mut refused = command(&world.url, "ps");
    refused.env("NO_COLOR", "1");
    let plain = end(on_terminal(&refused)).await;
    assert!(plain.stdout.contains("RUNNING") && !plain.stdout.contains('\x1b'), "{plain:?}");
}

#[tokio::test]
async fn top_lives_and_gives_the_terminal_back() {
    let world = World::with_instance(axum::Router::new()).await;
    world.family("web", &[]).await;
    let first = world.task("default", "web").await;
    let mut screen = on_terminal(&command(&world.url, "top")).stdin(Stdio::piped()).spawn().unwrap();
    let mut seen = String::new();
    let mut stdout = screen.stdout.take().unwrap();
    wait_for(&mut stdout, &mut seen, short(&first)).await;
    assert!(seen.starts_with("\x1b[?1049h\x1b[?25l\x1b[H"), "{seen:?}");
    let second = world.task("default", "web").await;
    wait_for(&mut stdout, &mut seen, short(&second)).await;
    // Ctrl-C, as the terminal makes a signal of it.
    use tokio::io::AsyncWriteExt;
    screen.stdin.as_mut().unwrap().write_all(b"\x03").await.unwrap();
    wait_for(&mut stdout, &mut seen, "\x1b[?25h\x1b[?1049l").await;
    let status = tokio::time::timeout(PATIENCE, screen.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
}

async fn wait_for(stdout: &mut tokio::process::ChildStdout, seen: &mut String, text: &str) {
    use tokio::io::AsyncReadExt;
    let reading = async {
        let mut buffer = [0; 4096];
        while !seen.contains(text) {
            let count = stdout.read(&mut buffer).await.unwrap();
            assert!(count > 0, "it ended before {text:?}: {seen:?}");
            seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    };
    let patience = tokio::time::timeout(PATIENCE, reading).await;
    assert!(patience.is_ok(), "{text:?} did not come");
}
