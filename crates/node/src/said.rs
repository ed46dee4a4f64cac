//! What the containers of a task have said, as far as it is still on this machine: the ring of each, whatever its log driver.

use std::path::PathBuf;

use runtime::{LogPosition, LogReader, Stream};
use serde::Serialize;

use crate::Machine;
use crate::limits::{SAID_BYTES_MAX, SAID_LINES_MAX};

/// Lines in the order of time, as far as one answer goes.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Said {
    pub lines: Vec<SaidLine>,
    /// Where the next answer begins. An answer without lines means that there are no more for now.
    pub next: String,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct SaidLine {
    pub container: String,
    /// Milliseconds since the Unix epoch.
    pub time: i64,
    pub stream: &'static str,
    pub text: String,
}

struct Ring {
    container: String,
    dir: PathBuf,
    /// Its name, by which the next answer knows it again.
    name: String,
}

impl Machine {
    /// `task` is an id, or how one begins; `from` is empty or what an earlier answer said. `None` of a task that is not here.
    pub async fn said(&self, task: &str, from: &str) -> Option<Said> {
        let rings = self.rings(task)?;
        let from = from.to_owned();
        tokio::task::spawn_blocking(move || read(&rings, &from)).await.ok()
    }

    fn rings(&self, task: &str) -> Option<Vec<Ring>> {
        let task = self.beginning_with(task)?;
        let dir = self.config.node_dir.join("tasks").join(&task.plan.id).join("containers");
        let names = std::fs::read_dir(&dir).into_iter().flatten().flatten();
        let mut rings: Vec<Ring> = names
            .filter_map(|entry| {
                let name = entry.file_name().to_str()?.to_owned();
                let index = task.containers.iter().position(|one| name.starts_with(&one.runtime_id))?;
                Some(Ring { container: task.plan.containers[index].name.clone(), dir: entry.path(), name })
            })
            .collect();
        rings.sort_by(|one, other| one.name.cmp(&other.name));
        Some(rings)
    }
}

/// Blocking.
fn read(rings: &[Ring], from: &str) -> Said {
    let mut lines = Vec::new();
    let mut next = Vec::new();
    for ring in rings {
        let mut at = position(from, &ring.name);
        let mut reader = LogReader::open(&ring.dir, at);
        let (mut bytes, mut count) = (0, 0);
        // The end of the line before, by stream: a long line comes in pieces.
        let mut open: [Option<usize>; 2] = [None, None];
        while bytes < SAID_BYTES_MAX && count < SAID_LINES_MAX {
            let Ok(Some(line)) = reader.try_next() else { break };
            at = line.next;
            bytes += line.text.len();
            let text = String::from_utf8_lossy(&line.text);
            let half = &mut open[usize::from(line.stream == Stream::Stderr)];
            match *half {
                Some(begun) => {
                    let begun: &mut SaidLine = &mut lines[begun];
                    begun.text.push_str(&text);
                }
                None => {
                    count += 1;
                    *half = Some(lines.len());
                    lines.push(SaidLine {
                        container: ring.container.clone(),
                        time: i64::try_from(line.time / 1_000_000).unwrap_or(i64::MAX),
                        stream: if line.stream == Stream::Stderr { "stderr" } else { "stdout" },
                        text: text.into_owned(),
                    });
                }
            }
            if !line.partial {
                *half = None;
            }
        }
        next.push(format!("{}:{}:{}", ring.name, at.segment, at.offset));
    }
    lines.sort_by_key(|line| line.time);
    Said { lines, next: next.join(",") }
}

/// What an earlier answer said of a ring; the beginning of one that it did not know.
fn position(from: &str, name: &str) -> LogPosition {
    let found = from.split(',').find_map(|one| {
        let mut parts = one.split(':');
        (parts.next() == Some(name)).then_some(())?;
        Some(LogPosition { segment: parts.next()?.parse().ok()?, offset: parts.next()?.parse().ok()? })
    });
    found.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_goes_on_where_the_last_ended() {
        let dir = tempfile::tempdir().unwrap();
        let ring = |name: &str| Ring { container: name.to_owned(), dir: dir.path().join(name), name: name.to_owned() };
        let say = |name: &str, text: &str| {
            let log = dir.path().join(name).join(shim_api::LOG_NAME);
            std::fs::create_dir_all(&log).unwrap();
            let path = log.join(shim_api::log::segment_name(0));
            let mut file = std::fs::File::options().append(true).create(true).open(path).unwrap();
            std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        };
        let rings = [ring("a"), ring("b")];
        assert_eq!(read(&rings, ""), Said { lines: Vec::new(), next: "a:0:0,b:0:0".into() });
        say("a", "1000000 o P he\n3000000 o F llo\n4000000 e F x\n");
        say("b", "2000000 o F two\n");
        let said = read(&rings, "a:0:0,b:0:0");
        let texts: Vec<_> =
            said.lines.iter().map(|line| (line.container.as_str(), line.time, line.text.as_str())).collect();
        assert_eq!(texts, [("a", 1, "hello"), ("b", 2, "two"), ("a", 4, "x")]);
        assert_eq!(read(&rings, &said.next).lines, []);
        say("b", "5000000 e F three\n");
        let more = read(&rings, &said.next);
        assert_eq!((more.lines.len(), more.lines[0].stream), (1, "stderr"));
        assert_eq!(read(&rings, "nonsense,b:x:1,,:").lines.len(), 4, "what cannot be read is the beginning");
    }
}
