//! The last step inside the container: find the program, and become it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use libcontainer::oci_spec::runtime::Spec;
use libcontainer::workload::{Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError};

/// Executes the program, and reports through `report` when it cannot.
///
/// `report` is open in the container's first process until the execution closes it; so its reader sees nothing and the
/// end when the program runs, and otherwise the reason why it does not.
#[derive(Clone)]
pub struct ReportingExecutor {
    report: Rc<File>,
    /// Its end is the word to begin.
    word: Option<Rc<File>>,
    env: RefCell<HashMap<String, String>>,
}

impl ReportingExecutor {
    pub fn new(report: File) -> Self {
        ReportingExecutor { report: Rc::new(report), word: None, env: RefCell::default() }
    }

    /// Executes the program only when this ends.
    pub fn after(self, word: File) -> Self {
        ReportingExecutor { word: Some(Rc::new(word)), ..self }
    }

    fn explain(&self, message: &str) {
        // The reader may be gone, and then nobody asks.
        let _ = self.report.as_ref().write_all(message.as_bytes());
    }
}

impl Executor for ReportingExecutor {
    fn validate(&self, spec: &Spec) -> Result<(), ExecutorValidationError> {
        program(spec).map(drop).map_err(|message| {
            self.explain(&message);
            ExecutorValidationError::ArgValidationError(message)
        })
    }

    /// The default would change this process's environment; the program's is given with its execution instead.
    fn setup_envs(&self, env: HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        self.env.replace(env);
        Ok(())
    }

    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        let message = match program(spec) {
            Ok(path) => {
                let args = spec.process().as_ref().and_then(|process| process.args().as_deref()).unwrap_or_default();
                let (name, rest) = args.split_first().map_or(("", args), |(name, rest)| (name.as_str(), rest));
                let env = self.env.take();
                if let Some(word) = &self.word {
                    // What it says does not matter, and one that cannot be read has ended.
                    let _ = io::copy(&mut word.as_ref(), &mut io::sink());
                }
                if let Err(message) = label(spec) {
                    self.explain(&message);
                    return Err(ExecutorError::Other(message));
                }
                // `exec` also gives SIGPIPE its default action back, which this process ignores as every Rust program.
                let err = Command::new(&path).arg0(name).args(rest).env_clear().envs(env).exec();
                format!("exec {}: {}", path.display(), reason(&err))
            }
            Err(message) => message,
        };
        self.explain(&message);
        Err(ExecutorError::Other(message))
    }
}

/// Has the kernel run the program under its label of SELinux, which libcontainer does not do.
///
/// Source: `proc_pid_attr(5)`, `exec`.
fn label(spec: &Spec) -> Result<(), String> {
    let label = spec.process().as_ref().and_then(|process| process.selinux_label().as_deref());
    let Some(label) = label.filter(|label| !label.is_empty()) else { return Ok(()) };
    std::fs::write("/proc/thread-self/attr/exec", label)
        .map_err(|err| format!("cannot run under the SELinux label {label}: {}", reason(&err)))
}

/// The program's path, found as a shell would, or the sentence in which Docker says that there is none.
fn program(spec: &Spec) -> Result<PathBuf, String> {
    let process = spec.process().as_ref();
    let args = process.and_then(|process| process.args().as_deref()).unwrap_or_default();
    let name = args.first().filter(|name| !name.is_empty()).ok_or("no command specified")?;
    if name.contains('/') {
        let path = PathBuf::from(name);
        return match check(&path) {
            Ok(()) => Ok(path),
            Err(err) if err.kind() == io::ErrorKind::NotFound => {
                Err(format!("exec: {name:?}: stat {name}: {}", reason(&err)))
            }
            Err(err) => Err(format!("exec: {name:?}: {}", reason(&err))),
        };
    }
    let env = process.and_then(|process| process.env().as_deref()).unwrap_or_default();
    let path = env.iter().rev().find_map(|pair| pair.strip_prefix("PATH=")).unwrap_or_default();
    let candidates = path.split(':').map(|dir| Path::new(if dir.is_empty() { "." } else { dir }).join(name));
    for candidate in candidates {
        if check(&candidate).is_ok() {
            return Ok(candidate);
        }
    }
    Err(format!("exec: {name:?}: executable file not found in $PATH"))
}

/// May this user execute it?
fn check(path: &Path) -> io::Result<()> {
    if std::fs::metadata(path)?.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::EISDIR));
    }
    let text = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: `text` is a terminated string that lives until the call returns.
    match unsafe { libc::faccessat(libc::AT_FDCWD, text.as_ptr(), libc::X_OK, libc::AT_EACCESS) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The words of the operating system, in Go's lower case and without Rust's "(os error 2)": users compare them.
pub fn reason(err: &io::Error) -> String {
    let text = err.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use libcontainer::oci_spec::runtime::{ProcessBuilder, SpecBuilder};

    use super::*;

    fn check(args: &[&str], error: &str) {
        let args = args.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>();
        let process = ProcessBuilder::default().args(args).env(vec!["PATH=/usr/bin:/bin".to_owned()]).build().unwrap();
        let spec = SpecBuilder::default().process(process).build().unwrap();
        assert_eq!(program(&spec).unwrap_err(), error);
    }

    #[test]
    fn a_missing_program_is_told_as_docker_tells_it() {
        check(&["nope"], "exec: \"nope\": executable file not found in $PATH");
        check(&["/nope"], "exec: \"/nope\": stat /nope: no such file or directory");
        check(&["/etc/passwd"], "exec: \"/etc/passwd\": permission denied");
        check(&["/etc"], "exec: \"/etc\": is a directory");
        check(&[""], "no command specified");
    }
}
