//! How a container ended: one small JSON object, on disk before anybody is told.

/// How a container's first process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitRecord {
    /// The process id it had, seen from the host.
    pub pid: i32,
    /// As a shell reports it: the exit status, or 128 plus the signal.
    pub exit_code: i32,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// The kernel killed a process of this container because its memory limit was reached.
    pub oom_killed: bool,
    /// Nanoseconds since the Unix epoch.
    pub started_at: u64,
    /// Nanoseconds since the Unix epoch.
    pub finished_at: u64,
    /// Nobody saw the end: the shim was gone, and what was left was killed. The exit code is then a convention.
    pub lost: bool,
}

impl ExitRecord {
    /// One line of JSON. Written by hand because the shim must not carry a JSON library.
    pub fn to_json(&self) -> String {
        let signal = self.signal.map_or("null".to_owned(), |signal| signal.to_string());
        let lost = if self.lost { ",\"lost\":true" } else { "" };
        format!(
            "{{\"version\":1,\"pid\":{},\"exitCode\":{},\"signal\":{signal},\"oomKilled\":{},\"startedAt\":{},\"finishedAt\":{}{lost}}}\n",
            self.pid, self.exit_code, self.oom_killed, self.started_at, self.finished_at,
        )
    }

    /// Reads what [`ExitRecord::to_json`] wrote: a flat object of numbers, booleans and nulls. `None` for anything else.
    pub fn from_json(text: &str) -> Option<ExitRecord> {
        let body = text.trim().strip_prefix('{')?.strip_suffix('}')?;
        let field = |name: &str| {
            body.split(',').find_map(|pair| {
                let (key, value) = pair.split_once(':')?;
                (key.trim().trim_matches('"') == name).then(|| value.trim())
            })
        };
        if field("version")? != "1" {
            return None;
        }
        let signal = match field("signal")? {
            "null" => None,
            number => Some(number.parse().ok()?),
        };
        Some(ExitRecord {
            pid: field("pid")?.parse().ok()?,
            exit_code: field("exitCode")?.parse().ok()?,
            signal,
            oom_killed: field("oomKilled")?.parse().ok()?,
            started_at: field("startedAt")?.parse().ok()?,
            finished_at: field("finishedAt")?.parse().ok()?,
            lost: field("lost").is_some_and(|lost| lost == "true"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_reads_as_before() {
        let killed = ExitRecord {
            pid: 42,
            exit_code: 137,
            signal: Some(9),
            oom_killed: true,
            started_at: 1,
            finished_at: 2,
            lost: false,
        };
        let golden = "{\"version\":1,\"pid\":42,\"exitCode\":137,\"signal\":9,\"oomKilled\":true,\"startedAt\":1,\"finishedAt\":2}\n";
        assert_eq!(killed.to_json(), golden);
        assert_eq!(ExitRecord::from_json(golden), Some(killed.clone()));
        let exited = ExitRecord { exit_code: 3, signal: None, oom_killed: false, ..killed.clone() };
        assert_eq!(ExitRecord::from_json(&exited.to_json()), Some(exited));
        let lost = ExitRecord { lost: true, ..killed };
        assert_eq!(ExitRecord::from_json(&lost.to_json()), Some(lost));
    }

    #[test]
    fn a_torn_record_is_not_a_record() {
        for text in ["", "{}", "{\"version\":1,\"pid\":42", "{\"version\":2,\"pid\":1}", "null"] {
            assert_eq!(ExitRecord::from_json(text), None, "{text:?}");
        }
    }
}
