//! Places where a test lets a process die as `kill -9` would take it.
//!
//! `BERTH_FAIL=store.committed:17` ends the process when it comes to the place `store.committed` for the 17th time; several
//! are separated by commas. Whoever has not set the variable pays for a place with one look at a word of memory.

#![forbid(unsafe_code)]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Read once, at the first place that the process comes to.
pub const VARIABLE: &str = "BERTH_FAIL";

struct Plan {
    place: String,
    /// How many times the process still comes by, this one included.
    left: AtomicU64,
}

static PLANS: OnceLock<Vec<Plan>> = OnceLock::new();

/// The process may end here.
pub fn place(name: &str) {
    let plans = PLANS.get_or_init(|| parse(&std::env::var(VARIABLE).unwrap_or_default()));
    if plans.iter().any(|plan| plan.place == name && plan.left.fetch_sub(1, Ordering::Relaxed) == 1) {
        die();
    }
}

fn parse(text: &str) -> Vec<Plan> {
    let plan = |text: &str| {
        let (place, times) = text.split_once(':')?;
        let times = times.parse().ok().filter(|times| *times > 0)?;
        Some(Plan { place: place.to_owned(), left: AtomicU64::new(times) })
    };
    text.split(',').filter_map(plan).collect()
}

fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    // The signal is on its way to this thread as well.
    loop {
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_dies_where_it_was_told_to() {
        for (variable, signal, reached) in
            [("there:3", Some(9), 2), ("there:9", None, 5), ("elsewhere:1", None, 5), ("x,there:1", Some(9), 0)]
        {
            let child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "tests::child", "--ignored", "--nocapture"])
                .env(VARIABLE, variable)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&child.stdout).matches("went on").count();
            assert_eq!((child.status.signal(), said), (signal, reached), "{variable}");
        }
    }

    /// Not a test: the other process of the one above.
    #[test]
    #[ignore = "runs as a child of another test"]
    fn child() {
        for _ in 0..5 {
            place("there");
            println!("went on");
        }
    }

    #[test]
    fn nonsense_is_no_plan() {
        for text in ["", "store.committed", "store.committed:", "store.committed:0", "store.committed:-1", ":::"] {
            assert!(parse(text).is_empty(), "{text}");
        }
    }
}
