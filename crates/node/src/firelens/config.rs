//! A log router's configuration.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use agent::plan::TaskPlan;
use network::NetworkMode;
use task_engine::{Failure, FailureKind};

use super::PORT;
use crate::spec;

/// An option of the log driver's own, which the router never sees.
pub const BUFFER_LIMIT: &str = "log-driver-buffer-limit";

const SOCKET_PATH: &str = "/var/run/fluent.sock";
const HEALTH_TAG: &str = "firelens-healthcheck";
const HEALTH_PORT: u16 = 8877;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Fluentd,
    Fluentbit,
}

/// What the user adds to the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
enum External {
    /// In the router's image.
    File(String),
    /// The ARN of an object. The agent brings it.
    S3(String),
}

/// What a router's configuration is made of.
pub struct Router {
    kind: Kind,
    /// Where it listens for programs that send by themselves.
    listens: Option<&'static str>,
    /// What each record is given, sorted by name.
    metadata: BTreeMap<&'static str, String>,
    external: Option<External>,
    /// Each container that writes to it, with its options.
    sources: Vec<(String, BTreeMap<String, String>)>,
}

impl Router {
    pub fn of(task: &TaskPlan, index: usize) -> Result<Router, Failure> {
        let given = task.containers[index].payload.firelens_configuration.clone().unwrap_or_default();
        let kind = match given.router.as_str() {
            "fluentd" => Kind::Fluentd,
            "fluentbit" => Kind::Fluentbit,
            other => return Err(resource(format!("invalid firelens configuration type: {other}"))),
        };
        let option = |name: &str| given.options.get(name).map(String::as_str);
        let external = match (option("config-file-type"), option("config-file-value")) {
            (None, _) => None,
            (Some("file"), Some(path)) => Some(External::File(path.to_owned())),
            (Some("s3"), Some(arn)) => Some(External::S3(arn.to_owned())),
            (Some("file" | "s3"), None) => {
                return Err(resource("option config-file-type is specified but config-file-value is not specified"));
            }
            (Some(other), _) => {
                return Err(resource(format!("invalid value {other} is specified for option config-file-type")));
            }
        };
        let payload = &task.payload;
        let mut metadata = BTreeMap::new();
        // What is neither true nor false is ignored, and then there is none.
        if option("enable-ecs-log-metadata")
            .is_none_or(|text| matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True"))
        {
            let cluster = payload.task_cluster_arn.rsplit('/').next().unwrap_or_default();
            metadata.insert("ecs_cluster", cluster.to_owned());
            metadata.insert("ecs_task_arn", payload.arn.clone());
            metadata.insert("ecs_task_definition", format!("{}:{}", payload.family, payload.version));
        }
        let listens = match spec::mode(task) {
            NetworkMode::Bridge => Some("0.0.0.0"),
            _ => None,
        };
        let routed = task.containers.iter().filter(|plan| plan.is_routed());
        let sources = routed
            .map(|plan| {
                let options = plan.logs.iter().flat_map(|logs| logs.options.clone());
                (plan.name.clone(), options.filter(|(name, _)| name != BUFFER_LIMIT).collect())
            })
            .collect();
        Ok(Router { kind, listens, metadata, external, sources })
    }

    /// Where its image has its own.
    pub fn config_path(&self) -> &'static str {
        match self.kind {
            Kind::Fluentd => "/fluentd/etc/fluent.conf",
            Kind::Fluentbit => "/fluent-bit/etc/fluent-bit.conf",
        }
    }

    /// Where it finds what the agent brings from a bucket, and the ARN of that.
    pub fn brought(&self) -> Option<(&'static str, &str)> {
        let Some(External::S3(arn)) = &self.external else { return None };
        Some((self.brought_path(), arn))
    }

    fn brought_path(&self) -> &'static str {
        match self.kind {
            Kind::Fluentd => "/fluentd/etc/external.conf",
            Kind::Fluentbit => "/fluent-bit/etc/external.conf",
        }
    }

    /// Inputs, filters, what the user includes, outputs.
    pub fn config(&self) -> Result<String, Failure> {
        let mut text = String::new();
        self.inputs(&mut text);
        for (name, options) in &self.sources {
            for (pattern, keeps) in [("include-pattern", true), ("exclude-pattern", false)] {
                if let Some(pattern) = options.get(pattern) {
                    self.grep(&self.tag(name), pattern, keeps, &mut text);
                }
            }
        }
        self.records(&mut text);
        if let Some(external) = &self.external {
            let path = match external {
                External::File(path) => path.as_str(),
                External::S3(_) => self.brought_path(),
            };
            let include = if self.kind == Kind::Fluentd { "@include" } else { "@INCLUDE" };
            let _ = write!(text, "\n{include} {path}\n");
        }
        if self.kind == Kind::Fluentbit && self.listens.is_some() {
            self.output("null", HEALTH_TAG, &[], &mut text);
        }
        for (name, options) in &self.sources {
            self.destination(name, options, &mut text)?;
        }
        Ok(text)
    }

    fn tag(&self, container: &str) -> String {
        format!("{container}-firelens{}", self.everything())
    }

    fn everything(&self) -> &'static str {
        if self.kind == Kind::Fluentd { "**" } else { "*" }
    }

    fn inputs(&self, text: &mut String) {
        let port = PORT.to_string();
        match self.kind {
            Kind::Fluentd => {
                section("source", "", &[("@type", "unix"), ("path", SOCKET_PATH)], text);
                if let Some(address) = self.listens {
                    section("source", "", &[("@type", "forward"), ("bind", address), ("port", &port)], text);
                }
            }
            Kind::Fluentbit => {
                block("INPUT", &[("Name", "forward"), ("unix_path", SOCKET_PATH)], text);
                if let Some(address) = self.listens {
                    block("INPUT", &[("Name", "forward"), ("Listen", address), ("Port", &port)], text);
                    let health = HEALTH_PORT.to_string();
                    let own = [("Name", "tcp"), ("Tag", HEALTH_TAG), ("Listen", "127.0.0.1"), ("Port", &health)];
                    block("INPUT", &own, text);
                }
            }
        }
    }

    fn grep(&self, tag: &str, pattern: &str, keeps: bool, text: &mut String) {
        match self.kind {
            Kind::Fluentd => {
                let inner = if keeps { "regexp" } else { "exclude" };
                let _ = write!(
                    text,
                    "\n<filter {tag}>\n    @type  grep\n    <{inner}>\n        key log\n        pattern {pattern}\n    \
                     </{inner}>\n</filter>\n"
                );
            }
            Kind::Fluentbit => {
                let what = if keeps { "Regex  log" } else { "Exclude log" };
                let _ = write!(text, "\n[FILTER]\n    Name   grep\n    Match {tag}\n    {what} {pattern}\n");
            }
        }
    }

    fn records(&self, text: &mut String) {
        if self.metadata.is_empty() {
            return;
        }
        let all = self.everything();
        match self.kind {
            Kind::Fluentd => {
                let _ = write!(text, "\n<filter {all}>\n    @type record_transformer\n    <record>\n");
                self.metadata.iter().for_each(|(name, value)| {
                    let _ = writeln!(text, "        {name} {value}");
                });
                text.push_str("    </record>\n</filter>\n");
            }
            Kind::Fluentbit => {
                let _ = write!(text, "\n[FILTER]\n    Name record_modifier\n    Match {all}\n");
                self.metadata.iter().for_each(|(name, value)| {
                    let _ = writeln!(text, "    Record {name} {value}");
                });
            }
        }
    }

    /// A container without any option has none: its user includes one.
    fn destination(&self, name: &str, options: &BTreeMap<String, String>, text: &mut String) -> Result<(), Failure> {
        let (key, word) = match self.kind {
            Kind::Fluentd => ("@type", "fluentd"),
            Kind::Fluentbit => ("Name", "fluentbit"),
        };
        let is_own = |option: &str| option == key || option == "include-pattern" || option == "exclude-pattern";
        let others: Vec<(&str, &str)> = options
            .iter()
            .filter(|(option, _)| !is_own(option))
            .map(|(option, value)| (option.as_str(), value.as_str()))
            .collect();
        match options.get(key) {
            Some(plugin) => self.output(plugin, &self.tag(name), &others, text),
            None if others.is_empty() => {}
            None => {
                return Err(resource(format!(
                    "unable to generate firelens config file: unable to apply log options of container {name} to firelens \
                     config: missing output key {key} which is required for firelens configuration of type {word}"
                )));
            }
        }
        Ok(())
    }

    fn output(&self, plugin: &str, tag: &str, options: &[(&str, &str)], text: &mut String) {
        match self.kind {
            Kind::Fluentd => section("match", tag, &[&[("@type", plugin)], options].concat(), text),
            Kind::Fluentbit => block("OUTPUT", &[&[("Name", plugin), ("Match", tag)], options].concat(), text),
        }
    }
}

fn resource(text: impl Into<String>) -> Failure {
    Failure::new(FailureKind::Resource, text)
}

fn section(name: &str, tag: &str, options: &[(&str, &str)], text: &mut String) {
    let space = if tag.is_empty() { "" } else { " " };
    let _ = write!(text, "\n<{name}{space}{tag}>\n");
    options.iter().for_each(|(option, value)| {
        let _ = writeln!(text, "    {option} {value}");
    });
    let _ = writeln!(text, "</{name}>");
}

fn block(name: &str, options: &[(&str, &str)], text: &mut String) {
    let _ = write!(text, "\n[{name}]\n");
    options.iter().for_each(|(option, value)| {
        let _ = writeln!(text, "    {option} {value}");
    });
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
