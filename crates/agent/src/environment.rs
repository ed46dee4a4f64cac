//! The settings of the official agent's environment, as `/etc/ecs/ecs.config` has them.
//!
//! What is said wrongly is told and stays as it was, which is the official agent's way.
//!
//! Source: amazon-ecs-agent, `README.md`, "Environment Variables".

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use crate::config::AgentConfig;
use crate::limits::{STOP_TIMEOUT_MIN, TASK_CLEANUP_WAIT_MIN};

impl AgentConfig {
    /// With what the variables say. Attributes that are there already win.
    pub fn with_environment(mut self, variable: impl Fn(&str) -> Option<String>) -> AgentConfig {
        let settings = Settings(variable);
        // A stop that is said wrongly or too short takes the shortest time.
        let stop = |text: &str| Some(stdx::parse_duration(text).unwrap_or_default().max(STOP_TIMEOUT_MIN));
        if let Some(timeout) = settings.get("ECS_CONTAINER_STOP_TIMEOUT", stop) {
            self.stop_timeout = timeout;
        }
        let cleanup = |text: &str| stdx::parse_duration(text).filter(|wait| *wait >= TASK_CLEANUP_WAIT_MIN);
        if let Some(wait) = settings.get("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", cleanup) {
            self.task_cleanup_wait = wait;
        }
        if let Some(mib) = settings.get("ECS_RESERVED_MEMORY", |text| text.parse().ok()) {
            self.reserved_memory_mib = mib;
        }
        if let Some(ports) = settings.json("ECS_RESERVED_PORTS") {
            self.reserved_ports = ports;
        }
        if let Some(ports) = settings.json("ECS_RESERVED_PORTS_UDP") {
            self.reserved_ports_udp = ports;
        }
        if let Some(attributes) = settings.json::<BTreeMap<String, String>>("ECS_INSTANCE_ATTRIBUTES") {
            for (name, value) in attributes {
                self.instance_attributes.entry(name).or_insert(value);
            }
        }
        if let Some(tags) = settings.json("ECS_CONTAINER_INSTANCE_TAGS") {
            self.instance_tags = tags;
        }
        if let Some(disabled) = settings.get("ECS_DISABLE_PRIVILEGED", go_bool) {
            self.privileged_disabled = disabled;
        }
        self
    }
}

struct Settings<F>(F);

impl<F: Fn(&str) -> Option<String>> Settings<F> {
    /// `None` for what is not set, or empty, or not understood.
    fn get<T>(&self, name: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = (self.0)(name)?;
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        let parsed = parse(text);
        if parsed.is_none() {
            tracing::warn!(name, text, "this setting is not understood");
        }
        parsed
    }

    fn json<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        self.get(name, |text| serde_json::from_str(text).ok())
    }
}

fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn with(variables: &[(&str, &str)]) -> AgentConfig {
        let mut config = AgentConfig::new("http://h", "/n");
        config.instance_attributes.insert("rack".into(), "7".into());
        config.with_environment(|name| {
            let found = variables.iter().find(|(known, _)| *known == name)?;
            Some(found.1.to_owned())
        })
    }

    #[test]
    fn what_ecs_config_says_is_understood() {
        let config = with(&[
            ("ECS_CONTAINER_STOP_TIMEOUT", "1m30s"),
            ("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", "10m"),
            ("ECS_RESERVED_MEMORY", "256"),
            ("ECS_RESERVED_PORTS", "[22, 9100]"),
            ("ECS_RESERVED_PORTS_UDP", "[53]"),
            ("ECS_INSTANCE_ATTRIBUTES", r#"{"stack": "prod", "rack": "8"}"#),
            ("ECS_CONTAINER_INSTANCE_TAGS", r#"{"team": "shop"}"#),
            ("ECS_DISABLE_PRIVILEGED", "true"),
        ]);
        assert_eq!(
            (config.stop_timeout, config.task_cleanup_wait),
            (Duration::from_secs(90), Duration::from_secs(600))
        );
        assert_eq!((config.reserved_memory_mib, config.privileged_disabled), (256, true));
        assert_eq!((config.reserved_ports, config.reserved_ports_udp), (vec![22, 9100], vec![53]));
        let attributes: Vec<(&str, &str)> =
            config.instance_attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(attributes, [("rack", "7"), ("stack", "prod")]);
        assert_eq!(config.instance_tags["team"], "shop");
    }

    #[test]
    fn what_is_said_wrongly_stays_as_it_was() {
        let usual = with(&[]);
        let config = with(&[
            ("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", "59s"),
            ("ECS_RESERVED_MEMORY", "-1"),
            ("ECS_RESERVED_PORTS", "22"),
            ("ECS_INSTANCE_ATTRIBUTES", "stack=prod"),
            ("ECS_CONTAINER_INSTANCE_TAGS", ""),
            ("ECS_DISABLE_PRIVILEGED", "yes"),
        ]);
        assert_eq!(format!("{config:?}"), format!("{usual:?}"));
        for text in ["500ms", "soon", "0", "-1s"] {
            let stop = with(&[("ECS_CONTAINER_STOP_TIMEOUT", text)]).stop_timeout;
            assert_eq!(stop, Duration::from_secs(1), "{text}");
        }
    }
}
