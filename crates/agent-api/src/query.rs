//! The query strings of the two websocket upgrades.

use std::collections::BTreeMap;

/// What an agent says about itself when it opens ACS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AcsQuery {
    pub agent_hash: String,
    pub agent_version: String,
    /// Whatever the agent was configured with: a name or an ARN.
    pub cluster_arn: String,
    pub container_instance_arn: String,
    /// `DockerVersion: 20.10.24`.
    pub docker_version: String,
    /// 2: the server closes the connection when heartbeat acknowledgements stop coming.
    pub protocol_version: u32,
    /// The agent keeps no credentials, and wants those of all its tasks.
    pub send_credentials: bool,
    pub seq_num: i64,
}

/// What an agent says about itself when it opens TCS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TcsQuery {
    pub agent_hash: String,
    pub agent_version: String,
    pub cluster: String,
    pub container_instance: String,
    /// A bare version here.
    pub docker_version: String,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error("the query has no {0}")]
    Missing(&'static str),
    #[error("the query's {0} is not valid")]
    Invalid(&'static str),
}

impl AcsQuery {
    /// Keys sorted, form-encoded.
    pub fn encode(&self) -> String {
        form_encode(&self.pairs())
    }

    /// Decoded pairs, sorted by name, for whoever signs the URL.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        vec![
            ("agentHash", self.agent_hash.clone()),
            ("agentVersion", self.agent_version.clone()),
            ("clusterArn", self.cluster_arn.clone()),
            ("containerInstanceArn", self.container_instance_arn.clone()),
            ("dockerVersion", self.docker_version.clone()),
            ("protocolVersion", self.protocol_version.to_string()),
            ("sendCredentials", self.send_credentials.to_string()),
            ("seqNum", self.seq_num.to_string()),
        ]
    }

    /// Only the two ARNs are required.
    pub fn parse(query: &str) -> Result<AcsQuery, QueryError> {
        let mut pairs = form_decode(query);
        let mut take = |name: &'static str| pairs.remove(name).filter(|value| !value.is_empty());
        Ok(AcsQuery {
            cluster_arn: take("clusterArn").ok_or(QueryError::Missing("clusterArn"))?,
            container_instance_arn: take("containerInstanceArn").ok_or(QueryError::Missing("containerInstanceArn"))?,
            agent_hash: take("agentHash").unwrap_or_default(),
            agent_version: take("agentVersion").unwrap_or_default(),
            docker_version: take("dockerVersion").unwrap_or_default(),
            protocol_version: number(take("protocolVersion"), "protocolVersion", 1)?,
            send_credentials: number(take("sendCredentials"), "sendCredentials", false)?,
            seq_num: number(take("seqNum"), "seqNum", 1)?,
        })
    }
}

impl TcsQuery {
    /// Keys sorted, form-encoded.
    pub fn encode(&self) -> String {
        form_encode(&self.pairs())
    }

    /// Decoded pairs, sorted by name, for whoever signs the URL.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        vec![
            ("agentHash", self.agent_hash.clone()),
            ("agentVersion", self.agent_version.clone()),
            ("cluster", self.cluster.clone()),
            ("containerInstance", self.container_instance.clone()),
            ("dockerVersion", self.docker_version.clone()),
        ]
    }

    pub fn parse(query: &str) -> Result<TcsQuery, QueryError> {
        let mut pairs = form_decode(query);
        let mut take = |name: &'static str| pairs.remove(name).filter(|value| !value.is_empty());
        Ok(TcsQuery {
            cluster: take("cluster").ok_or(QueryError::Missing("cluster"))?,
            container_instance: take("containerInstance").ok_or(QueryError::Missing("containerInstance"))?,
            agent_hash: take("agentHash").unwrap_or_default(),
            agent_version: take("agentVersion").unwrap_or_default(),
            docker_version: take("dockerVersion").unwrap_or_default(),
        })
    }
}

/// The websocket URL behind a discovered endpoint: `http` becomes `ws`, and a `/` comes before `ws?` if there is none.
pub fn websocket_url(endpoint: &str, query: &str) -> Option<String> {
    let rest = match endpoint.split_once("://")? {
        ("http", rest) => format!("ws://{rest}"),
        ("https", rest) => format!("wss://{rest}"),
        _ => return None,
    };
    let slash = if rest.ends_with('/') { "" } else { "/" };
    Some(format!("{rest}{slash}ws?{query}"))
}

fn number<T: std::str::FromStr>(text: Option<String>, name: &'static str, default: T) -> Result<T, QueryError> {
    text.map_or(Ok(default), |text| text.parse().map_err(|_| QueryError::Invalid(name)))
}

fn form_encode(pairs: &[(&str, String)]) -> String {
    let pair = |(name, value): &(&str, String)| format!("{name}={}", encode(value));
    pairs.iter().map(pair).collect::<Vec<_>>().join("&")
}

fn encode(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn form_decode(query: &str) -> BTreeMap<String, String> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// A broken escape stands for itself, as browsers have it.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match escape.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(if bytes[at] == b'+' { b' ' } else { bytes[at] });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_acs_query_reads_as_the_official_agent_writes_it() {
        let query = AcsQuery {
            agent_hash: "a8b3e7d3".into(),
            agent_version: "1.105.1".into(),
            cluster_arn: "default".into(),
            container_instance_arn: "arn:aws:ecs:us-east-1:123456789012:container-instance/default/1".into(),
            docker_version: "DockerVersion: 20.10.24".into(),
            protocol_version: 2,
            send_credentials: true,
            seq_num: 1,
        };
        let text = "agentHash=a8b3e7d3&agentVersion=1.105.1&clusterArn=default&containerInstanceArn=\
            arn%3Aaws%3Aecs%3Aus-east-1%3A123456789012%3Acontainer-instance%2Fdefault%2F1\
            &dockerVersion=DockerVersion%3A+20.10.24&protocolVersion=2&sendCredentials=true&seqNum=1";
        assert_eq!(query.encode(), text);
        assert_eq!(AcsQuery::parse(text), Ok(query));
    }

    #[test]
    fn queries_without_their_names_are_refused() {
        assert_eq!(AcsQuery::parse("clusterArn=c"), Err(QueryError::Missing("containerInstanceArn")));
        assert_eq!(AcsQuery::parse("clusterArn=c&containerInstanceArn=i&seqNum=x"), Err(QueryError::Invalid("seqNum")));
        assert_eq!(TcsQuery::parse("containerInstance=%&&="), Err(QueryError::Missing("cluster")));
        let tcs = TcsQuery { cluster: "c".into(), container_instance: "i%é".into(), ..TcsQuery::default() };
        assert_eq!(TcsQuery::parse(&tcs.encode()), Ok(tcs));
    }

    #[test]
    fn endpoints_become_websocket_urls() {
        for (endpoint, url) in [
            ("http://h:1/acs/", Some("ws://h:1/acs/ws?q")),
            ("https://h/tcs", Some("wss://h/tcs/ws?q")),
            ("ftp://h", None),
            ("h", None),
        ] {
            assert_eq!(websocket_url(endpoint, "q").as_deref(), url);
        }
    }
}
