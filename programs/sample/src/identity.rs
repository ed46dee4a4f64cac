//! Who am I: version, task, instance, as far as anybody says.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(2);
const ANSWER_MAX: u64 = 1 << 20;

/// What the page and the JSON answer say about this copy of the application.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Identity {
    pub version: String,
    pub hostname: String,
    /// The id at the end of the task's ARN; the host name where there is no metadata.
    pub task: String,
    pub task_arn: Option<String>,
    /// `family:revision`.
    pub task_definition: Option<String>,
    pub cluster: Option<String>,
    pub availability_zone: Option<String>,
    pub instance: Option<String>,
}

/// Asks environment, task metadata endpoint and metadata file. What nobody knows stays empty: a sample that
/// does not start because of it would be no help.
pub fn discover() -> Identity {
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    let hostname = hostname.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    let hostname = hostname.unwrap_or_else(|| "unknown".to_owned());
    let version =
        std::env::var("SAMPLE_VERSION").ok().filter(|text| !text.is_empty()).unwrap_or_else(|| "1".to_owned());
    let task = std::env::var("ECS_CONTAINER_METADATA_URI_V4").ok().and_then(|uri| {
        let answer = fetch(&format!("{uri}/task"));
        let answer = answer.inspect_err(|error| eprintln!("no task metadata at {uri}/task: {error}")).ok()?;
        serde_json::from_str(&answer).ok()
    });
    let file = std::env::var("ECS_CONTAINER_METADATA_FILE").ok().and_then(|path| std::fs::read_to_string(path).ok());
    let file = file.and_then(|text| serde_json::from_str(&text).ok());
    describe(version, hostname, &task.unwrap_or(Value::Null), &file.unwrap_or(Value::Null))
}

/// `task` is the answer of the task metadata endpoint version 4, `file` is the container metadata file.
fn describe(version: String, hostname: String, task: &Value, file: &Value) -> Identity {
    let text = |name: &str| {
        let found = task.get(name).or_else(|| file.get(name)).and_then(Value::as_str);
        found.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let last = |arn: &str| arn.rsplit('/').next().unwrap_or(arn).to_owned();
    let task_arn = text("TaskARN");
    let family = text("Family").or_else(|| text("TaskDefinitionFamily"));
    let revision = text("Revision").or_else(|| text("TaskDefinitionRevision"));
    Identity {
        task: task_arn.as_deref().map_or_else(|| hostname.clone(), last),
        task_definition: family.map(|family| match revision {
            Some(revision) => format!("{family}:{revision}"),
            None => family,
        }),
        cluster: text("Cluster").as_deref().map(last),
        availability_zone: text("AvailabilityZone"),
        instance: text("ContainerInstanceARN").as_deref().map(last),
        version,
        hostname,
        task_arn,
    }
}

/// The body of a plain HTTP answer with status 200.
pub fn fetch(url: &str) -> io::Result<String> {
    let wrong = |why: &str| io::Error::other(format!("{url}: {why}"));
    let rest = url.strip_prefix("http://").ok_or_else(|| wrong("only http:// is understood"))?;
    let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let address = address.to_socket_addrs()?.next().ok_or_else(|| wrong("no such host"))?;

    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // By version 1.0 the answer ends with the connection and never comes in chunks.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\nAccept: */*\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER_MAX).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| wrong("the answer is cut short"))?;
    let status = head.split_whitespace().nth(1).unwrap_or("nothing");
    if status != "200" {
        return Err(wrong(&format!("the answer is {status}")));
    }
    Ok(body.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn metadata_names_task_and_cluster() {
        let task = json!({
            "Cluster": "arn:aws:ecs:us-east-1:000000000000:cluster/default",
            "TaskARN": "arn:aws:ecs:us-east-1:000000000000:task/default/0123456789abcdef",
            "Family": "hello-world",
            "Revision": "3",
            "AvailabilityZone": "us-east-1a",
        });
        let file =
            json!({"ContainerInstanceARN": "arn:aws:ecs:us-east-1:000000000000:container-instance/default/feed"});
        let who = describe("2".into(), "host".into(), &task, &file);
        assert_eq!(who.task, "0123456789abcdef");
        assert_eq!(who.task_definition.as_deref(), Some("hello-world:3"));
        assert_eq!(who.cluster.as_deref(), Some("default"));
        assert_eq!(who.instance.as_deref(), Some("feed"));
    }

    #[test]
    fn without_metadata_there_is_the_host_name() {
        let who = describe("1".into(), "host".into(), &Value::Null, &json!("nonsense"));
        assert_eq!(
            who,
            Identity { version: "1".into(), hostname: "host".into(), task: "host".into(), ..Identity::default() }
        );
    }

    #[test]
    fn addresses_that_cannot_be_asked() {
        assert!(fetch("https://127.0.0.1/").is_err());
        assert!(fetch("nonsense").is_err());
    }
}
