//! What an image says about how to run it.

use std::collections::BTreeMap;
use std::time::Duration;

use blobs::Digest;
use serde::Deserialize;

use crate::limits::LAYERS_MAX;
use crate::{ImageError, Platform};

/// An image's defaults for its containers.
///
/// Source: OCI image specification, "Image Configuration"; the health check is Docker's addition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageConfig {
    pub entrypoint: Option<Vec<String>>,
    pub command: Option<Vec<String>>,
    /// `NAME=value`.
    pub environment: Vec<String>,
    /// Empty when the image names none.
    pub working_directory: String,
    /// `user[:group]`, by name or number; empty when the image names none.
    pub user: String,
    /// `port/protocol`, sorted.
    pub exposed_ports: Vec<String>,
    /// Paths that Docker would make anonymous volumes of, sorted.
    pub volumes: Vec<String>,
    /// A name or number.
    pub stop_signal: Option<String>,
    pub healthcheck: Option<Healthcheck>,
    pub labels: BTreeMap<String, String>,
    pub os: String,
    pub architecture: String,
    pub variant: Option<String>,
}

/// How an image wants its health tested. `None` means the runtime's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", …]`.
    pub test: Vec<String>,
    pub interval: Option<Duration>,
    pub timeout: Option<Duration>,
    pub start_period: Option<Duration>,
    pub retries: Option<u32>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
    #[serde(default)]
    config: Option<Settings>,
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Option<Vec<Digest>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Settings {
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    env: Option<Vec<String>>,
    working_dir: Option<String>,
    user: Option<String>,
    exposed_ports: Option<BTreeMap<String, serde::de::IgnoredAny>>,
    volumes: Option<BTreeMap<String, serde::de::IgnoredAny>>,
    stop_signal: Option<String>,
    healthcheck: Option<HealthcheckSettings>,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct HealthcheckSettings {
    test: Option<Vec<String>>,
    interval: i64,
    timeout: i64,
    start_period: i64,
    retries: i64,
}

/// Docker writes nanoseconds, and 0 for "the default".
fn duration(nanoseconds: i64) -> Option<Duration> {
    u64::try_from(nanoseconds).ok().filter(|value| *value > 0).map(Duration::from_nanos)
}

impl ImageConfig {
    /// Which machine the image is for.
    pub fn platform(&self) -> Platform {
        Platform { os: self.os.clone(), architecture: self.architecture.clone(), variant: self.variant.clone() }
    }

    /// Reads a configuration, and the diff ids of its layers, lowest first.
    pub(crate) fn parse(bytes: &[u8]) -> Result<(ImageConfig, Vec<Digest>), ImageError> {
        let document: Document = serde_json::from_slice(bytes)
            .map_err(|error| ImageError::Invalid { what: "image configuration", reason: error.to_string() })?;
        let diff_ids = document.rootfs.diff_ids.unwrap_or_default();
        if diff_ids.len() > LAYERS_MAX {
            return Err(ImageError::Invalid { what: "image configuration", reason: "max depth exceeded".to_owned() });
        }
        let settings = document.config.unwrap_or_default();
        let keys = |map: Option<BTreeMap<String, _>>| map.unwrap_or_default().into_keys().collect();
        let healthcheck = settings.healthcheck.map(|check| Healthcheck {
            test: check.test.unwrap_or_default(),
            interval: duration(check.interval),
            timeout: duration(check.timeout),
            start_period: duration(check.start_period),
            retries: u32::try_from(check.retries).ok().filter(|retries| *retries > 0),
        });
        let config = ImageConfig {
            entrypoint: settings.entrypoint.filter(|words| !words.is_empty()),
            command: settings.cmd.filter(|words| !words.is_empty()),
            environment: settings.env.unwrap_or_default(),
            working_directory: settings.working_dir.unwrap_or_default(),
            user: settings.user.unwrap_or_default(),
            exposed_ports: keys(settings.exposed_ports),
            volumes: keys(settings.volumes),
            stop_signal: settings.stop_signal.filter(|signal| !signal.is_empty()),
            healthcheck: healthcheck.filter(|check| !check.test.is_empty()),
            labels: settings.labels.unwrap_or_default(),
            os: document.os,
            architecture: document.architecture,
            variant: document.variant,
        };
        Ok((config, diff_ids))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_docker_configuration_is_read() {
        let (config, diff_ids) = ImageConfig::parse(
            br#"{"architecture":"amd64","os":"linux","config":{"Env":["A=1"],"Cmd":["/app"],"Entrypoint":null,"WorkingDir":"/w",
                "User":"1000:2","ExposedPorts":{"80/tcp":{}},"StopSignal":"SIGINT","Labels":null,"Volumes":{"/data":{}},
                "Healthcheck":{"Test":["CMD-SHELL","true"],"Interval":5000000000,"Retries":3}},
                "rootfs":{"type":"layers","diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]}}"#,
        )
        .unwrap();
        assert_eq!(config.command, Some(vec!["/app".to_owned()]));
        assert_eq!(
            (config.entrypoint, config.user.as_str(), config.working_directory.as_str()),
            (None, "1000:2", "/w")
        );
        assert_eq!((config.exposed_ports, config.volumes), (vec!["80/tcp".to_owned()], vec!["/data".to_owned()]));
        let check = config.healthcheck.unwrap();
        assert_eq!((check.interval, check.timeout, check.retries), (Some(Duration::from_secs(5)), None, Some(3)));
        assert_eq!(diff_ids, [Digest::of(b"")]);
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [&b"{}"[..], b"[]", b"", br#"{"rootfs":{"diff_ids":["x"]}}"#] {
            assert!(ImageConfig::parse(bad).is_err());
        }
    }
}
