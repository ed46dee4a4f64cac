//! The command line that `runc`, `crun` and this program understand alike.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// Options before the command.
#[derive(Debug, PartialEq, Eq)]
pub struct Global {
    /// Where the state of containers is kept.
    pub root: PathBuf,
    /// Errors go here instead of standard error.
    pub log: Option<PathBuf>,
    pub log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Create and start.
    Run(Create),
    /// Everything up to the program's execution.
    Create(Create),
    /// Execute the program of a created container.
    Start {
        id: String,
    },
    State {
        id: String,
    },
    Kill {
        id: String,
        signal: String,
        all: bool,
    },
    Delete {
        id: String,
        force: bool,
    },
    /// One more process in a running container.
    Exec(Exec),
    Version,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Create {
    pub id: String,
    pub bundle: PathBuf,
    pub pid_file: Option<PathBuf>,
    /// Whoever listens there gets the container's terminal.
    pub console_socket: Option<PathBuf>,
    /// `run` returns once the program runs. Without it, `run` waits for the program's end.
    pub detach: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Exec {
    pub id: String,
    pub pid_file: Option<PathBuf>,
    pub detach: bool,
    /// A socket that is given the process's terminal. Other runtimes take one only with `detach`; this one also
    /// waits. The program begins when standard input ends.
    pub console_socket: Option<PathBuf>,
    /// A file with an OCI `process` object; it wins over `args`.
    pub process: Option<PathBuf>,
    pub cwd: Option<PathBuf>,
    pub env: Vec<String>,
    pub args: Vec<String>,
}

/// The default state directory, as other runtimes have theirs below `/run`.
const ROOT: &str = "/run/berth-oci";

pub fn parse(args: impl Iterator<Item = OsString>) -> Result<(Global, Command)> {
    let mut words = Words::new(args)?;
    let mut global = Global { root: PathBuf::from(ROOT), log: None, log_format: LogFormat::Text };
    let name = loop {
        match words.next()? {
            Word::Plain(name) => break name,
            Word::Option(name) => match name.as_str() {
                "root" => global.root = words.value("root")?.into(),
                "log" => global.log = Some(words.value("log")?.into()),
                "log-format" => {
                    global.log_format = match words.value("log-format")?.as_str() {
                        "text" => LogFormat::Text,
                        "json" => LogFormat::Json,
                        other => bail!("log format {other:?} is neither text nor json"),
                    }
                }
                // Accepted for its callers' sake: there is nothing more to say, and cgroups are always our own.
                "debug" => {}
                "cgroup-manager" => drop(words.value("cgroup-manager")?),
                "version" | "v" => return Ok((global, Command::Version)),
                other => bail!("unknown option --{other}"),
            },
            Word::End => bail!("a command is missing: run, create, start, state, kill, delete, exec"),
        }
    };
    Ok((global, command(&name, words)?))
}

fn command(name: &str, mut words: Words) -> Result<Command> {
    let mut bundle = PathBuf::from(".");
    let mut process = None;
    let mut pid_file = None;
    let mut console_socket = None;
    let mut cwd = None;
    let mut env = Vec::new();
    let (mut detach, mut force, mut all) = (false, false, false);
    let mut plain = Vec::new();
    loop {
        match words.next()? {
            Word::Option(option) => match (name, option.as_str()) {
                ("run" | "create", "bundle" | "b") => bundle = words.value("bundle")?.into(),
                ("run" | "create" | "exec", "pid-file") => pid_file = Some(words.value("pid-file")?.into()),
                ("run" | "exec", "detach" | "d") => detach = true,
                ("run" | "create" | "exec", "console-socket") => {
                    console_socket = Some(words.value("console-socket")?.into())
                }
                ("exec", "process" | "p") => process = Some(words.value("process")?.into()),
                ("exec", "cwd") => cwd = Some(words.value("cwd")?.into()),
                ("exec", "env" | "e") => env.push(words.value("env")?),
                ("delete", "force" | "f") => force = true,
                ("kill", "all" | "a") => all = true,
                (_, other) => bail!("unknown option --{other} of {name}"),
            },
            Word::Plain(word) => {
                plain.push(word);
                // What follows the container's name belongs to the program that exec starts.
                if name == "exec" {
                    plain.append(&mut words.rest());
                }
            }
            Word::End => break,
        }
    }
    let mut plain = plain.into_iter();
    let id = match name {
        "version" => String::new(),
        _ => plain.next().with_context(|| format!("{name} needs a container's name"))?,
    };
    let command = match name {
        "run" | "create" => {
            let create = Create { id, bundle, pid_file, console_socket, detach };
            if name == "run" { Command::Run(create) } else { Command::Create(create) }
        }
        "start" => Command::Start { id },
        "state" => Command::State { id },
        "kill" => Command::Kill { id, signal: plain.next().unwrap_or_else(|| "SIGTERM".to_owned()), all },
        "delete" => Command::Delete { id, force },
        "exec" => {
            let args = plain.by_ref().collect();
            Command::Exec(Exec { id, pid_file, detach, console_socket, process, cwd, env, args })
        }
        "version" => Command::Version,
        other => bail!("unknown command {other:?}"),
    };
    match plain.next() {
        Some(word) => bail!("{name} does not take {word:?}"),
        None => Ok(command),
    }
}

enum Word {
    Option(String),
    Plain(String),
    End,
}

/// The words of a command line; `--name=value` counts as two.
struct Words {
    words: std::vec::IntoIter<String>,
    value: Option<String>,
}

impl Words {
    fn new(args: impl Iterator<Item = OsString>) -> Result<Words> {
        let words = args
            .map(|word| word.into_string().map_err(|word| anyhow::anyhow!("{word:?} is not UTF-8")))
            .collect::<Result<Vec<_>>>()?;
        Ok(Words { words: words.into_iter(), value: None })
    }

    fn next(&mut self) -> Result<Word> {
        if let Some(value) = self.value.take() {
            bail!("an option does not take the value {value:?}");
        }
        let Some(word) = self.words.next() else { return Ok(Word::End) };
        let Some(option) = word.strip_prefix('-').filter(|rest| !rest.is_empty()) else { return Ok(Word::Plain(word)) };
        let option = option.strip_prefix('-').unwrap_or(option);
        Ok(Word::Option(match option.split_once('=') {
            Some((name, value)) => {
                self.value = Some(value.to_owned());
                name.to_owned()
            }
            None => option.to_owned(),
        }))
    }

    fn value(&mut self, option: &str) -> Result<String> {
        self.value.take().or_else(|| self.words.next()).with_context(|| format!("--{option} needs a value"))
    }

    fn rest(&mut self) -> Vec<String> {
        self.words.by_ref().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str) -> Result<(Global, Command)> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn the_contract_of_a_shim() {
        let (global, command) =
            check("--root /r --log /l --log-format json run --detach --pid-file /p --bundle /b web").unwrap();
        assert_eq!(global, Global { root: "/r".into(), log: Some("/l".into()), log_format: LogFormat::Json });
        let create = Create {
            id: "web".into(),
            bundle: "/b".into(),
            pid_file: Some("/p".into()),
            console_socket: None,
            detach: true,
        };
        assert_eq!(command, Command::Run(create));
        let (_, command) = check("run --console-socket /s web").unwrap();
        let Command::Run(create) = command else { panic!("{command:?}") };
        assert_eq!(create.console_socket, Some("/s".into()));
        let (_, command) = check("--root=/r delete --force web").unwrap();
        assert_eq!(command, Command::Delete { id: "web".into(), force: true });
        let (_, command) = check("kill web KILL").unwrap();
        assert_eq!(command, Command::Kill { id: "web".into(), signal: "KILL".into(), all: false });
    }

    #[test]
    fn exec_leaves_the_programs_options_alone() {
        let (_, command) = check("exec --cwd /x web ls -l --all").unwrap();
        let Command::Exec(exec) = command else { panic!("{command:?}") };
        assert_eq!((exec.id.as_str(), exec.args.join(" ").as_str()), ("web", "ls -l --all"));
    }

    #[test]
    fn mistakes_are_named() {
        for (line, error) in [
            ("", "a command is missing: run, create, start, state, kill, delete, exec"),
            ("fly web", "unknown command \"fly\""),
            ("start", "start needs a container's name"),
            ("start a b", "start does not take \"b\""),
            ("run --colour a", "unknown option --colour of run"),
            ("run --detach=no a", "an option does not take the value \"no\""),
            ("--log", "--log needs a value"),
        ] {
            assert_eq!(check(line).unwrap_err().to_string(), error, "{line}");
        }
    }
}
