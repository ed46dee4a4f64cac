//! The program, and nothing of this machine's configuration.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// Far more than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

pub fn command(url: &str, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_berth"));
    command
        .args(line.split_whitespace())
        .env_clear()
        .env("AWS_ENDPOINT_URL", url)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

pub async fn end(mut command: Command) -> Ended {
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends").unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code().expect("no signal"), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

pub async fn run(url: &str, line: &str) -> Ended {
    end(command(url, line)).await
}

/// What it prints when all is well.
pub async fn prints(url: &str, line: &str) -> String {
    let ended = run(url, line).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{line}: {}", ended.stdout);
    ended.stdout
}

/// What it complains about, in one line.
pub async fn complains(url: &str, line: &str) -> String {
    let ended = run(url, line).await;
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.lines().count()), (1, "", 1), "{line}: {ended:?}");
    ended.stderr
}

/// One that goes on.
pub struct Going {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Going {
    pub fn start(mut command: Command) -> Going {
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Going { child, lines }
    }

    pub async fn line(&mut self) -> String {
        tokio::time::timeout(PATIENCE, self.lines.next_line()).await.expect("a line").unwrap().expect("a line")
    }

    /// The next line of standard error.
    pub async fn complaint(&mut self) -> String {
        let stderr = self.child.stderr.as_mut().unwrap();
        let reading = async {
            let mut line = Vec::new();
            loop {
                match stderr.read_u8().await.unwrap() {
                    b'\n' => return String::from_utf8(line).unwrap(),
                    byte => line.push(byte),
                }
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("a complaint")
    }

    /// The rest of what it prints, and how it ends.
    pub async fn end(mut self) -> Ended {
        let mut stdout = String::new();
        while let Some(line) = tokio::time::timeout(PATIENCE, self.lines.next_line()).await.expect("it ends").unwrap() {
            stdout.push_str(&line);
            stdout.push('\n');
        }
        self.code(stdout).await
    }

    /// Nobody reads any more.
    pub async fn close(self) -> Ended {
        let Going { child, lines } = self;
        drop(lines);
        code(child, String::new()).await
    }

    async fn code(self, stdout: String) -> Ended {
        code(self.child, stdout).await
    }

    /// What Ctrl-C sends.
    pub async fn interrupt(&self) {
        let line = format!("kill -INT {}", self.child.id().unwrap());
        assert!(Command::new("/bin/sh").args(["-c", &line]).status().await.unwrap().success());
    }
}

async fn code(mut child: Child, stdout: String) -> Ended {
    let status = tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).await.unwrap();
    Ended { code: status.code().expect("no signal"), stdout, stderr }
}
