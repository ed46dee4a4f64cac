//! The clients: a Python process, which is asked and answers in lines of JSON.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use kit::{BOTO, Machine};
use serde_json::{Value, json};

pub struct Load {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Load {
    /// `node_dir`: the data directory of the node that runs the tasks.
    pub fn start(machine: &Machine, marks: &Path, node_dir: &Path, patience: Duration) -> anyhow::Result<Load> {
        let script = format!("{BOTO}\n{}", include_str!("load.py"));
        let mut process = machine
            .client("python3")
            .args(["-c", &script])
            .arg(marks)
            .arg(patience.as_secs().to_string())
            .arg(kit::berth())
            .arg(node_dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("failed to start python3")?;
        let questions = process.stdin.take().context("its standard input is a pipe")?;
        let answers = BufReader::new(process.stdout.take().context("its standard output is a pipe")?);
        Ok(Load { process, questions, answers })
    }

    fn ask(&mut self, question: &Value) -> anyhow::Result<Value> {
        writeln!(self.questions, "{question}").context("the clients are gone")?;
        let mut line = String::new();
        self.answers.read_line(&mut line).context("the clients are gone")?;
        let answer: Value = serde_json::from_str(&line).context("the clients are gone")?;
        if answer["ok"] != true {
            bail!("{}\n{}", answer["error"].as_str().unwrap_or_default(), answer["trace"].as_str().unwrap_or_default());
        }
        Ok(answer)
    }

    pub fn prepare(&mut self) -> anyhow::Result<()> {
        self.ask(&json!({ "do": "prepare" })).map(drop)
    }

    /// `lenient`: any shim may die from here to the next check.
    pub fn begin(&mut self, seed: u64, lenient: bool) -> anyhow::Result<()> {
        self.ask(&json!({ "do": "begin", "seed": seed, "lenient": lenient })).map(drop)
    }

    pub fn end(&mut self) -> anyhow::Result<()> {
        self.ask(&json!({ "do": "end" })).map(drop)
    }

    pub fn shims_killed(&mut self, tasks: &[String]) -> anyhow::Result<()> {
        if tasks.is_empty() {
            return Ok(());
        }
        self.ask(&json!({ "do": "shims", "killed": tasks })).map(drop)
    }

    /// The tasks that run.
    pub fn check(&mut self) -> anyhow::Result<BTreeSet<String>> {
        let answer = self.ask(&json!({ "do": "check" }))?;
        let live = answer["live"].as_array().context("a check names the live tasks")?;
        Ok(live.iter().filter_map(|task| task.as_str().map(str::to_owned)).collect())
    }

    /// The command lines of programs that clients execute in containers contain this.
    pub fn executed(&self) -> String {
        format!("/program exec-{}-", self.process.id())
    }

    pub fn count(&mut self) -> anyhow::Result<String> {
        let answer = self.ask(&json!({ "do": "count" }))?;
        let number = |name: &str| answer[name].as_u64().unwrap_or_default();
        let (acknowledged, unanswered, tasks) = (number("acknowledged"), number("unanswered"), number("tasks"));
        Ok(format!("{acknowledged} calls acknowledged, {unanswered} unanswered, {tasks} tasks followed to their end"))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
