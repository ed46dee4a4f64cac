//! Times, names and ports, as a person says them.

use std::time::Duration;

use api_ecs::NetworkBinding;
use stdx::Timestamp;

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

/// What follows the last slash: a task's id, a service's name, `family:revision`.
pub fn last(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// The beginning of an ARN's id.
pub fn short(arn: &str) -> &str {
    let id = last(arn);
    id.char_indices().nth(SHORT).map_or(id, |(end, _)| &id[..end])
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
