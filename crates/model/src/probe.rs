//! What the agent itself asks a container, from inside its network: `berth.health.*` and `berth.ready.*`, two families of
//! docker labels. They are an addition of Berth's: to everybody else they are labels.

use std::time::Duration;

/// Whether the container is well: as `healthCheck` says it, to whoever replaces what is sick.
pub const HEALTH: &str = "berth.health.";
/// Whether it wants work yet. One that is not ready is not sick.
pub const READY: &str = "berth.ready.";

/// What an instance's agent registers that can probe.
pub const CAPABILITY: &str = "ecs.capability.berth.probes";

/// How the `reason` of a container begins that its probes find wanting: the words that people's tools look for.
pub const NOT_READY: &str = "Not ready";
pub const HEALTH_FAILED: &str = "Health probe failed: ";

/// On a service or a daemon: how many seconds its tasks may run before they are ready for the first time, or `off`.
pub const READY_WITHIN: &str = "berth:ready-within";
const OFF: &str = "off";
/// Ours. Load balancers of AWS give a target up after two and a half minutes, Kubernetes a deployment after ten.
const READY_WITHIN_DEFAULT: Duration = Duration::from_secs(5 * 60);
const READY_WITHIN_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What the value of that tag says. Nothing where they are waited for without end; what cannot be read is no reason to.
pub fn ready_within(tag: Option<&str>) -> Option<Duration> {
    let seconds = |text: &str| text.parse().ok().map(Duration::from_secs).filter(|time| !time.is_zero());
    match tag.map(str::trim) {
        Some(OFF) => None,
        Some(text) => Some(seconds(text).unwrap_or(READY_WITHIN_DEFAULT).min(READY_WITHIN_MAX)),
        None => Some(READY_WITHIN_DEFAULT),
    }
}

/// Longer ones are refused: a path ends up in a request and in messages. Ours.
const PATH_BYTES_MAX: usize = 1024;

/// The probes of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probes {
    pub health: Option<Probe>,
    pub ready: Option<Probe>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    pub ask: Ask,
    pub interval: Duration,
    pub timeout: Duration,
    pub retries: u32,
    pub start_period: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A GET; an answer of 200 to 399 is good.
    Http { port: u16, path: String },
    /// A connection is enough.
    Tcp { port: u16 },
    /// `grpc.health.v1.Health/Check` without TLS; SERVING is good.
    Grpc { port: u16, service: String },
}

/// Why labels say nothing that can be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProbe {
    #[error("The docker label {0} is none of http, tcp, grpc, interval, timeout, retries and start-period.")]
    Unknown(String),
    #[error("The docker label {label} has the value '{value}', and {wanted}.")]
    Value { label: String, value: String, wanted: String },
    #[error("The docker labels {0}http, {0}tcp and {0}grpc exclude each other.")]
    Several(&'static str),
    #[error("The docker label {label} needs one of {family}http, {family}tcp and {family}grpc beside it.")]
    Nothing { label: String, family: &'static str },
}

impl Probes {
    pub fn parse(labels: &[(String, String)]) -> Result<Probes, InvalidProbe> {
        Ok(Probes { health: probe(labels, HEALTH)?, ready: probe(labels, READY)? })
    }
}

fn probe(labels: &[(String, String)], family: &'static str) -> Result<Option<Probe>, InvalidProbe> {
    // Source: Amazon ECS API Reference, `HealthCheck`: its defaults.
    let (mut interval, mut timeout, mut retries, mut start_period) = (30, 5, 3, 0);
    let mut ask = None;
    let mut some = None;
    for (label, value) in labels {
        let Some(key) = label.strip_prefix(family) else { continue };
        some = Some(label);
        let asked = match key {
            "http" => http(label, value)?,
            "tcp" => Ask::Tcp { port: port(label, value, value, "it must be PORT")? },
            "grpc" => grpc(label, value)?,
            _ => {
                // Source: the same page; the ranges of `healthCheck`.
                match key {
                    "interval" => interval = number(label, value, 5, 300)?,
                    "timeout" => timeout = number(label, value, 2, 60)?,
                    "retries" => retries = number(label, value, 1, 10)?,
                    "start-period" => start_period = number(label, value, 0, 300)?,
                    _ => return Err(InvalidProbe::Unknown(label.clone())),
                }
                continue;
            }
        };
        if ask.replace(asked).is_some() {
            return Err(InvalidProbe::Several(family));
        }
    }
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    match (ask, some) {
        (Some(ask), _) => Ok(Some(Probe {
            ask,
            interval: seconds(interval),
            timeout: seconds(timeout),
            retries,
            start_period: seconds(start_period),
        })),
        (None, Some(label)) => Err(InvalidProbe::Nothing { label: label.clone(), family }),
        (None, None) => Ok(None),
    }
}

/// `8080/healthz`. Without a path it is `/`.
fn http(label: &str, value: &str) -> Result<Ask, InvalidProbe> {
    const WANTED: &str = "it must be PORT or PORT/PATH";
    let (number, path) = value.split_at(value.find('/').unwrap_or(value.len()));
    let port = port(label, value, number, WANTED)?;
    // Source: RFC 3986, path and query. A fragment never travels.
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte);
    if path.len() > PATH_BYTES_MAX || !path.bytes().all(is_fine) {
        return Err(invalid(label, value, format!("its path must be that of a URL, up to {PATH_BYTES_MAX} bytes")));
    }
    Ok(Ask::Http { port, path: if path.is_empty() { "/".to_owned() } else { path.to_owned() } })
}

/// `50051/orders`. Without a service the server speaks for itself as a whole.
fn grpc(label: &str, value: &str) -> Result<Ask, InvalidProbe> {
    let (number, service) = value.split_once('/').unwrap_or((value, ""));
    let port = port(label, value, number, "it must be PORT or PORT/SERVICE")?;
    if service.len() > PATH_BYTES_MAX || !service.bytes().all(|byte| byte.is_ascii_graphic()) {
        let wanted = format!("its service must be up to {PATH_BYTES_MAX} printable ASCII characters");
        return Err(invalid(label, value, wanted));
    }
    Ok(Ask::Grpc { port, service: service.to_owned() })
}

fn port(label: &str, value: &str, port: &str, wanted: &str) -> Result<u16, InvalidProbe> {
    // Rust would take a sign.
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = port.parse().ok().filter(|port| is_number && *port != 0);
    parsed.ok_or_else(|| invalid(label, value, format!("{wanted}, with a port from 1 to 65535")))
}

fn number(label: &str, value: &str, low: u32, high: u32) -> Result<u32, InvalidProbe> {
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = value.parse().ok().filter(|number| is_number && (low..=high).contains(number));
    parsed.ok_or_else(|| invalid(label, value, format!("it must be a number from {low} to {high}")))
}

fn invalid(label: &str, value: &str, wanted: impl Into<String>) -> InvalidProbe {
    // A label may be long, and a message should not be.
    let value = value.chars().take(64).collect();
    InvalidProbe::Value { label: label.to_owned(), value, wanted: wanted.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(labels: &[(&str, &str)]) -> Result<Probes, String> {
        let labels: Vec<_> = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Probes::parse(&labels).map_err(|error| error.to_string())
    }

    fn probe(ask: Ask, [interval, timeout, retries, start]: [u32; 4]) -> Probe {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        Probe { ask, interval: seconds(interval), timeout: seconds(timeout), retries, start_period: seconds(start) }
    }

    #[test]
    fn readiness_is_waited_for_as_the_tag_says() {
        let seconds = |tag| ready_within(tag).map(|time| time.as_secs());
        assert_eq!([None, Some("off"), Some(" 60 ")].map(seconds), [Some(300), None, Some(60)]);
        assert_eq!(
            [Some("0"), Some("-1"), Some("soon"), Some("999999")].map(seconds),
            [300, 300, 300, 86_400].map(Some)
        );
    }

    #[test]
    fn labels_become_probes() {
        let plain = |ask| Ok(Probes { health: Some(probe(ask, [30, 5, 3, 0])), ready: None });
        let http = |port, path: &str| Ask::Http { port, path: path.to_owned() };
        let grpc = |port, service: &str| Ask::Grpc { port, service: service.to_owned() };
        for (label, value, ask) in [
            ("berth.health.http", "8080/healthz", http(8080, "/healthz")),
            ("berth.health.http", "80", http(80, "/")),
            ("berth.health.http", "80/", http(80, "/")),
            ("berth.health.http", "80/a/b?c=d", http(80, "/a/b?c=d")),
            ("berth.health.tcp", "65535", Ask::Tcp { port: 65535 }),
            ("berth.health.grpc", "50051", grpc(50051, "")),
            ("berth.health.grpc", "50051/shop.Orders", grpc(50051, "shop.Orders")),
        ] {
            assert_eq!(parse(&[(label, value)]), plain(ask), "{value}");
        }
        let both = parse(&[
            ("team", "shop"),
            ("berth.health.tcp", "80"),
            ("berth.ready.http", "81/ready"),
            ("berth.ready.interval", "5"),
            ("berth.ready.timeout", "60"),
            ("berth.ready.retries", "10"),
            ("berth.ready.start-period", "300"),
            ("berth.other", "x"),
        ]);
        let health = Some(probe(Ask::Tcp { port: 80 }, [30, 5, 3, 0]));
        let ready = Some(probe(http(81, "/ready"), [5, 60, 10, 300]));
        assert_eq!(both, Ok(Probes { health, ready }));
        assert_eq!(parse(&[("team", "shop"), ("berth.healthy", "yes")]), Ok(Probes::default()));
    }

    #[test]
    fn nonsense_is_named() {
        let long = format!("80/{}", "x".repeat(1025));
        for (labels, words) in [
            (&[("berth.health.htpp", "80")][..], "berth.health.htpp is none of"),
            (&[("berth.ready.", "80")], "berth.ready. is none of"),
            (&[("berth.health.http", "")], "berth.health.http has the value '', and it must be PORT or PORT/PATH"),
            (&[("berth.health.http", "/healthz")], "PORT or PORT/PATH"),
            (&[("berth.health.http", "http://:80/")], "PORT or PORT/PATH"),
            (&[("berth.health.http", "0/x")], "1 to 65535"),
            (&[("berth.health.http", "+80/x")], "1 to 65535"),
            (&[("berth.health.http", "65536")], "1 to 65535"),
            (&[("berth.health.http", "80/a b")], "that of a URL"),
            (&[("berth.health.http", "80/a\r\nHost: x")], "that of a URL"),
            (&[("berth.health.http", "80/ä")], "that of a URL"),
            (&[("berth.health.http", "80/#top")], "that of a URL"),
            (&[("berth.health.http", &long)], "that of a URL"),
            (&[("berth.health.tcp", "80/x")], "it must be PORT,"),
            (
                &[("berth.ready.grpc", "x/y")],
                "berth.ready.grpc has the value 'x/y', and it must be PORT or PORT/SERVICE",
            ),
            (&[("berth.ready.tcp", "80"), ("berth.ready.interval", "4")], "berth.ready.interval has the value '4'"),
            (&[("berth.ready.tcp", "80"), ("berth.ready.interval", "5s")], "from 5 to 300"),
            (&[("berth.ready.tcp", "80"), ("berth.ready.timeout", "61")], "from 2 to 60"),
            (&[("berth.ready.tcp", "80"), ("berth.ready.retries", "0")], "from 1 to 10"),
            (&[("berth.ready.tcp", "80"), ("berth.ready.start-period", "-1")], "from 0 to 300"),
            (&[("berth.health.tcp", "80"), ("berth.health.http", "80")], "exclude each other"),
            (&[("berth.ready.retries", "2")], "berth.ready.retries needs one of berth.ready.http"),
            (&[("berth.health.tcp", "80"), ("berth.ready.retries", "2")], "needs one of berth.ready.http"),
        ] {
            let said = parse(labels).unwrap_err();
            assert!(said.contains(words), "{labels:?}: {said}");
            assert!(said.len() < 300, "{said}");
        }
    }
}
