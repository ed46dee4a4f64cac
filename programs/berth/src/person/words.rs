//! Times, names and ports, as a person says them.

use std::time::Duration;

use api_ecs::{NetworkBinding, Task};
use model::probe::NOT_READY;
use stdx::Timestamp;
use stdx::time::civil;
use thiserror::Error;

/// How much of an id is shown. Every command takes it back as a prefix.
const SHORT: usize = 8;

/// `45s`, `95s`, `3m`, `95m`, `7h`, `30h`, `5d`: one unit, which is always enough to compare.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

/// The time since then, or nothing when it is not known.
pub fn age(then: Option<Timestamp>, now: Timestamp) -> String {
    then.map(|then| duration(now.since(then))).unwrap_or_default()
}

/// One of its containers runs and does not want work yet, as its readiness probe says.
pub fn is_not_ready(task: &Task) -> bool {
    let mut running = task.containers.iter().flatten().filter(|one| one.last_status.as_deref() == Some("RUNNING"));
    running.any(|one| one.reason.as_deref().is_some_and(|reason| reason.starts_with(NOT_READY)))
}

/// A point in time as ISO 8601 has it, to the second, in UTC.
pub fn moment(at: Timestamp) -> String {
    let (year, month, day, hour, minute, second, _) = civil(at);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// `10m`, `1h30m`, `2d`: what a person types for a time that has passed.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let refused = || DurationError { text: text.to_owned() };
    let (mut rest, mut seconds) = (text, 0u64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(refused)?;
        let number: u64 = rest[..digits].parse().map_err(|_| refused())?;
        let unit = match rest.as_bytes()[digits] {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return Err(refused()),
        };
        seconds = number.checked_mul(unit).and_then(|more| seconds.checked_add(more)).ok_or_else(refused)?;
        rest = &rest[digits + 1..];
    }
    if text.is_empty() { Err(refused()) } else { Ok(Duration::from_secs(seconds)) }
}

#[derive(Debug, Error, PartialEq, Eq)]
#[error("{text} is no time span: it should look like 45s, 10m, 1h30m or 2d")]
pub struct DurationError {
    text: String,
}

/// `812 B`, `9.8 KiB`, `142 MiB`: three digits at most.
pub fn bytes(bytes: u64) -> String {
    let mut size = bytes as f64;
    let mut unit = 0;
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    while size >= 1000.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    if unit > 0 && size < 10.0 { format!("{size:.1} {}", UNITS[unit]) } else { format!("{size:.0} {}", UNITS[unit]) }
}

/// `1 task`, `3 tasks`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// What follows the last slash: a task's id, a service's name, `family:revision`.
pub fn last(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// The beginning of an ARN's id.
pub fn short(arn: &str) -> &str {
    let id = last(arn);
    id.char_indices().nth(SHORT).map_or(id, |(end, _)| &id[..end])
}

/// The service's name, or the family and revision of a task that stands alone.
pub fn task_name(task: &Task) -> String {
    let service = task.group.as_deref().and_then(|group| group.strip_prefix("service:"));
    service.unwrap_or_else(|| last(task.task_definition_arn.as_deref().unwrap_or_default())).to_owned()
}

/// Where a container answers, as something to click on: `http://127.0.0.1:32768->80`.
pub fn binding(binding: &NetworkBinding) -> Option<String> {
    let inner = range(binding.container_port, binding.container_port_range.as_deref())?;
    let outer = range(binding.host_port, binding.host_port_range.as_deref())?;
    let host = match binding.bind_ip.as_deref() {
        None | Some("" | "0.0.0.0" | "::") => "127.0.0.1".to_owned(),
        Some(address) if address.contains(':') => format!("[{address}]"),
        Some(address) => address.to_owned(),
    };
    Some(match binding.protocol.as_deref() {
        Some("udp") => format!("{host}:{outer}->{inner}/udp"),
        _ if outer.contains('-') => format!("{host}:{outer}->{inner}"),
        _ => format!("http://{host}:{outer}->{inner}"),
    })
}

fn range(port: Option<i32>, range: Option<&str>) -> Option<String> {
    port.filter(|port| *port > 0).map(|port| port.to_string()).or_else(|| range.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_one_unit() {
        let check = |seconds, expected| assert_eq!(duration(Duration::from_secs(seconds)), expected);
        check(0, "0s");
        check(119, "119s");
        check(180, "3m");
        check(7199, "119m");
        check(7200, "2h");
        check(172_799, "47h");
        check(432_000, "5d");
    }

    #[test]
    fn ages() {
        let at = Timestamp::from_millis;
        assert_eq!(age(Some(at(1_000)), at(61_500)), "60s");
        assert_eq!(age(Some(at(5_000)), at(1_000)), "0s", "a clock that went backwards");
        assert_eq!(age(None, at(1_000)), "");
    }

    #[test]
    fn moments() {
        assert_eq!(moment(Timestamp::from_millis(1_700_000_000_999)), "2023-11-14T22:13:20Z");
        assert_eq!(moment(Timestamp::EPOCH), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn spans_are_read() {
        let check = |text, expected: Option<u64>| {
            assert_eq!(parse_duration(text).ok(), expected.map(Duration::from_secs), "{text}");
        };
        check("45s", Some(45));
        check("10m", Some(600));
        check("1h30m", Some(5400));
        check("2d", Some(172_800));
        check("1w", Some(604_800));
        check("0s", Some(0));
        for text in ["", "m", "10", "10x", "-1m", "1.5h", "10é", "99999999999999999999s", "9999999999999999999w"] {
            check(text, None);
        }
    }

    #[test]
    fn sizes_are_short() {
        let check = |size, expected| assert_eq!(bytes(size), expected);
        check(0, "0 B");
        check(999, "999 B");
        check(1000, "1.0 KiB");
        check(10_000, "9.8 KiB");
        check(150_000_000, "143 MiB");
        check(1 << 30, "1.0 GiB");
        check(u64::MAX, "16777216 TiB");
    }

    #[test]
    fn counts_have_plurals() {
        assert_eq!(count(1, "task"), "1 task");
        assert_eq!(count(0, "task"), "0 tasks");
        assert_eq!(count(2, "task"), "2 tasks");
    }

    #[test]
    fn ids_are_short() {
        let check = |arn, expected| assert_eq!(short(arn), expected);
        check("arn:aws:ecs:us-east-1:000000000000:task/default/0123456789abcdef0123456789abcdef", "01234567");
        check("0123", "0123");
        check("éééééééééé", "éééééééé");
        check("", "");
        assert_eq!(last("arn:aws:ecs:us-east-1:000000000000:task-definition/web:3"), "web:3");
    }

    #[test]
    fn bindings_can_be_clicked() {
        let check = |bind_ip: &str, outer, inner, protocol: &str, expected: Option<&str>| {
            let binding = NetworkBinding {
                bind_ip: Some(bind_ip.to_owned()),
                host_port: Some(outer),
                container_port: Some(inner),
                protocol: Some(protocol.to_owned()),
                ..NetworkBinding::default()
            };
            assert_eq!(super::binding(&binding).as_deref(), expected);
        };
        check("0.0.0.0", 32768, 80, "tcp", Some("http://127.0.0.1:32768->80"));
        check("::", 32768, 80, "tcp", Some("http://127.0.0.1:32768->80"));
        check("10.1.2.3", 8080, 80, "tcp", Some("http://10.1.2.3:8080->80"));
        check("fd00::1", 8080, 80, "tcp", Some("http://[fd00::1]:8080->80"));
        check("0.0.0.0", 5353, 53, "udp", Some("127.0.0.1:5353->53/udp"));
        check("0.0.0.0", 0, 53, "udp", None);
        let range = NetworkBinding {
            container_port_range: Some("5000-5003".to_owned()),
            host_port_range: Some("40000-40003".to_owned()),
            ..NetworkBinding::default()
        };
        assert_eq!(super::binding(&range).as_deref(), Some("127.0.0.1:40000-40003->5000-5003"));
    }
}
