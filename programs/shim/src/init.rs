//! The first process of a container that wants one beside its program, and that of containers which share a namespace.
//!
//! A program that is the first of its namespace gets no signal it has no handler for, and every orphan becomes its child. As
//! `docker-init` this starts the real program, passes signals on, takes note of every child's end, and ends as the program
//! ended. As `pause` it starts nothing: it keeps the namespaces of a task until it is killed.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::sys;

/// The names under which this program is one of the two.
pub enum Role {
    Init,
    Pause,
}

pub fn role(program: Option<&OsStr>) -> Option<Role> {
    match Path::new(program?).file_name()?.to_str()? {
        "docker-init" => Some(Role::Init),
        "pause" => Some(Role::Pause),
        _ => None,
    }
}

/// Until a signal that asks for the end.
pub fn pause() -> ExitCode {
    let Ok(signals) = sys::all_signals() else { return ExitCode::FAILURE };
    loop {
        match sys::next_signal(&signals) {
            libc::SIGTERM | libc::SIGINT => return ExitCode::SUCCESS,
            _ => while sys::reap().is_some() {},
        }
    }
}

/// `args` are what follows this program's name; a first `--` is left out.
pub fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let mut args = args.peekable();
    args.next_if(|word| word == "--");
    let Some(program) = args.next() else {
        eprintln!("docker-init: there is no program to start");
        return ExitCode::FAILURE;
    };
    let Ok(signals) = sys::all_signals() else { return ExitCode::FAILURE };
    let mut command = Command::new(&program);
    command.args(args);
    let prepare = || {
        sys::own_process_group();
        sys::unblock_signals()
    };
    // SAFETY: this process has one thread, and the closure makes system calls.
    unsafe { command.pre_exec(prepare) };
    let child = match command.spawn() {
        Ok(child) => i32::try_from(child.id()).unwrap_or(i32::MAX),
        Err(err) => {
            eprintln!("docker-init: exec {} failed: {}", program.to_string_lossy(), words(&err));
            // As a shell has it, and tini.
            return ExitCode::from(if err.kind() == io::ErrorKind::NotFound { 127 } else { 126 });
        }
    };
    loop {
        match sys::next_signal(&signals) {
            libc::SIGCHLD => {
                while let Some((pid, status)) = sys::reap() {
                    if pid == child {
                        return ended(status);
                    }
                }
            }
            // It may have ended a moment ago, and that is told next.
            signal => drop(sys::kill(child, signal)),
        }
    }
}

fn ended(status: i32) -> ExitCode {
    let code = match libc::WIFSIGNALED(status) {
        true => 128 + libc::WTERMSIG(status),
        false => libc::WEXITSTATUS(status),
    };
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

fn words(err: &io::Error) -> String {
    err.to_string().split(" (os error").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides() {
        let is = |name: &str| role(Some(OsStr::new(name)));
        assert!(matches!(is("/sbin/docker-init"), Some(Role::Init)));
        assert!(matches!(is("pause"), Some(Role::Pause)));
        assert!(is("/run/berth/berth-shim").is_none() && role(None).is_none());
    }
}
