//! The ARNs of ECS, read and written in one place.
//!
//! Source: Service Authorization Reference, "Resource types defined by Amazon Elastic Container Service", long format.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Scope;
use crate::daemon::DAEMON_FAMILY;

/// Why a text is not the ARN that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("not a {wanted} ARN: {text}")]
pub struct ArnError {
    pub wanted: &'static str,
    pub text: String,
}

/// The scope of an ARN of ECS, and what follows its last colon: `cluster/default`.
fn split<'a>(text: &'a str, wanted: &'static str) -> Result<(Scope, &'a str), ArnError> {
    let error = || ArnError { wanted, text: text.to_owned() };
    let mut parts = text.splitn(6, ':');
    let mut next = || parts.next().ok_or_else(error);
    let (arn, partition, service, region, account, resource) = (next()?, next()?, next()?, next()?, next()?, next()?);
    let scope = Scope::new(account, region);
    let well_formed = arn == "arn"
        && service == "ecs"
        && partition == scope.partition()
        && !region.is_empty()
        && account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit());
    if well_formed { Ok((scope, resource)) } else { Err(error()) }
}

/// True for a text that is meant as an ARN rather than as a name.
pub fn looks_like_arn(text: &str) -> bool {
    text.starts_with("arn:")
}

macro_rules! arn {
    ($(#[$doc:meta])* $name:ident, $wanted:literal, $prefix:literal, { $($field:ident),+ }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name {
            pub scope: Scope,
            $(pub $field: String,)+
        }

        impl $name {
            pub fn new(scope: &Scope, $($field: &str),+) -> Self {
                $name { scope: scope.clone(), $($field: $field.to_owned()),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let Scope { account, region } = &self.scope;
                write!(f, concat!("arn:{}:ecs:{}:{}:", $prefix), self.scope.partition(), region, account)?;
                $(write!(f, "/{}", self.$field)?;)+
                Ok(())
            }
        }

        impl FromStr for $name {
            type Err = ArnError;

            fn from_str(text: &str) -> Result<Self, ArnError> {
                let error = || ArnError { wanted: $wanted, text: text.to_owned() };
                let (scope, resource) = split(text, $wanted)?;
                let mut parts = resource.split('/');
                if parts.next() != Some($prefix) {
                    return Err(error());
                }
                $(let $field = parts.next().filter(|part| !part.is_empty()).ok_or_else(error)?.to_owned();)+
                if parts.next().is_some() {
                    return Err(error());
                }
                Ok($name { scope, $($field),+ })
            }
        }
    };
}

arn! {
    /// `arn:aws:ecs:us-east-1:123456789012:cluster/default`
    ClusterArn, "cluster", "cluster", { name }
}
arn! {
    /// `arn:aws:ecs:us-east-1:123456789012:task/default/0123456789abcdef0123456789abcdef`
    TaskArn, "task", "task", { cluster, id }
}
arn! {
    /// `arn:aws:ecs:us-east-1:123456789012:container/default/<task id>/<container id>`
    ContainerArn, "container", "container", { cluster, task, id }
}
arn! {
    /// `arn:aws:ecs:us-east-1:123456789012:container-instance/default/0123456789abcdef0123456789abcdef`
    ContainerInstanceArn, "container instance", "container-instance", { cluster, id }
}
arn! {
    /// `arn:aws:ecs:us-east-1:123456789012:service/default/web`
    ServiceArn, "service", "service", { cluster, name }
}
arn! {
    /// `arn:aws:ecs:us-east-1:123456789012:service-deployment/default/web/<deployment id>`
    ServiceDeploymentArn, "service deployment", "service-deployment", { cluster, service, id }
}
arn! {
    /// `arn:aws:ecs:us-east-1:123456789012:service-revision/default/web/<revision id>`
    ServiceRevisionArn, "service revision", "service-revision", { cluster, service, id }
}
arn! {
    /// `arn:aws:ecs:us-east-1:123456789012:capacity-provider/web-fleet`
    CapacityProviderArn, "capacity provider", "capacity-provider", { name }
}

arn! {
    /// `arn:aws:ecs:us-east-1:123456789012:daemon/default/collector`
    DaemonArn, "daemon", "daemon", { cluster, name }
}
arn! {
    /// `arn:aws:ecs:us-east-1:123456789012:daemon-deployment/default/collector/<deployment id>`
    DaemonDeploymentArn, "daemon deployment", "daemon-deployment", { cluster, daemon, id }
}
arn! {
    /// `arn:aws:ecs:us-east-1:123456789012:daemon-revision/default/collector/<revision id>`
    DaemonRevisionArn, "daemon revision", "daemon-revision", { cluster, daemon, id }
}

/// `arn:aws:ecs:us-east-1:123456789012:task-definition/hello-world:1`; that of a daemon is a `daemon-task-definition`, and its
/// family begins with [`DAEMON_FAMILY`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskDefinitionArn {
    pub scope: Scope,
    pub family: String,
    pub revision: u32,
}

impl TaskDefinitionArn {
    pub fn new(scope: &Scope, family: &str, revision: u32) -> Self {
        TaskDefinitionArn { scope: scope.clone(), family: family.to_owned(), revision }
    }
}

impl fmt::Display for TaskDefinitionArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scope { account, region } = &self.scope;
        let partition = self.scope.partition();
        let (kind, family) = match self.family.strip_prefix(DAEMON_FAMILY) {
            Some(family) => ("daemon-task-definition", family),
            None => ("task-definition", self.family.as_str()),
        };
        write!(f, "arn:{partition}:ecs:{region}:{account}:{kind}/{family}:{}", self.revision)
    }
}

impl FromStr for TaskDefinitionArn {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, ArnError> {
        let error = || ArnError { wanted: "task definition", text: text.to_owned() };
        let (scope, resource) = split(text, "task definition")?;
        let (kind, rest) = resource.split_once('/').ok_or_else(error)?;
        let (family, revision) = rest.split_once(':').ok_or_else(error)?;
        let revision = revision.parse().map_err(|_| error())?;
        if family.is_empty() || revision == 0 {
            return Err(error());
        }
        match kind {
            "task-definition" => Ok(TaskDefinitionArn { scope, family: family.to_owned(), revision }),
            "daemon-task-definition" => {
                Ok(TaskDefinitionArn { scope, family: format!("{DAEMON_FAMILY}{family}"), revision })
            }
            _ => Err(error()),
        }
    }
}

/// `arn:aws:ecs:us-east-1:123456789012:task-set/default/web/ecs-svc/0123456789012345678`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSetArn {
    pub scope: Scope,
    pub cluster: String,
    pub service: String,
    /// With a slash in it: `ecs-svc/0123456789012345678`.
    pub id: String,
}

impl TaskSetArn {
    pub fn new(scope: &Scope, cluster: &str, service: &str, id: &str) -> Self {
        TaskSetArn { scope: scope.clone(), cluster: cluster.into(), service: service.into(), id: id.into() }
    }
}

impl fmt::Display for TaskSetArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TaskSetArn { scope, cluster, service, id } = self;
        write!(f, "arn:{}:ecs:{}:{}:task-set/", scope.partition(), scope.region, scope.account)?;
        write!(f, "{cluster}/{service}/{id}")
    }
}

impl FromStr for TaskSetArn {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, ArnError> {
        let error = || ArnError { wanted: "task set", text: text.to_owned() };
        let (scope, resource) = split(text, "task set")?;
        let parts: Vec<&str> = resource.splitn(4, '/').collect();
        match parts[..] {
            ["task-set", cluster, service, id] if ![cluster, service, id].contains(&"") => {
                Ok(TaskSetArn::new(&scope, cluster, service, id))
            }
            _ => Err(error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<A: FromStr<Err = ArnError> + fmt::Display>(text: &str, well_formed: bool) {
        match text.parse::<A>() {
            Ok(arn) => {
                assert!(well_formed, "{text} was accepted");
                assert_eq!(arn.to_string(), text);
            }
            Err(error) => assert!(!well_formed, "{error}"),
        }
    }

    #[test]
    fn arns_are_read_and_written_alike() {
        check::<ClusterArn>("arn:aws:ecs:us-east-1:123456789012:cluster/default", true);
        check::<ClusterArn>("arn:aws-cn:ecs:cn-north-1:123456789012:cluster/default", true);
        check::<ClusterArn>("arn:aws:ecs:cn-north-1:123456789012:cluster/default", false);
        check::<ClusterArn>("arn:aws:ecs:us-east-1:123456789012:cluster/", false);
        check::<ClusterArn>("arn:aws:ecs:us-east-1:12345:cluster/default", false);
        check::<ClusterArn>("arn:aws:ec2:us-east-1:123456789012:cluster/default", false);
        check::<ClusterArn>("default", false);
        check::<TaskArn>("arn:aws:ecs:us-east-1:123456789012:task/default/32f8", true);
        check::<TaskArn>("arn:aws:ecs:us-east-1:123456789012:task/32f8", false);
        check::<TaskArn>("arn:aws:ecs:us-east-1:123456789012:task/default/32f8/more", false);
        check::<ContainerInstanceArn>("arn:aws:ecs:us-east-1:123456789012:container-instance/default/0eb3", true);
        check::<ServiceArn>("arn:aws:ecs:us-east-1:123456789012:service/default/web", true);
        check::<TaskSetArn>("arn:aws:ecs:us-east-1:123456789012:task-set/default/web/ecs-svc/123", true);
        check::<ServiceDeploymentArn>("arn:aws:ecs:us-east-1:123456789012:service-deployment/default/web/9Kx", true);
        check::<ServiceDeploymentArn>("arn:aws:ecs:us-east-1:123456789012:service-deployment/default/web", false);
        check::<ServiceRevisionArn>("arn:aws:ecs:us-east-1:123456789012:service-revision/default/web/123", true);
        check::<TaskSetArn>("arn:aws:ecs:us-east-1:123456789012:task-set/default/web", false);
        check::<TaskDefinitionArn>("arn:aws:ecs:us-east-1:123456789012:task-definition/web:7", true);
        check::<TaskDefinitionArn>("arn:aws:ecs:us-east-1:123456789012:daemon-task-definition/logs:7", true);
        check::<TaskDefinitionArn>("arn:aws:ecs:us-east-1:123456789012:task-definition/daemon:logs:7", false);
        check::<DaemonArn>("arn:aws:ecs:us-east-1:123456789012:daemon/default/logs", true);
        check::<DaemonRevisionArn>("arn:aws:ecs:us-east-1:123456789012:daemon-revision/default/logs/123", true);
        check::<DaemonDeploymentArn>("arn:aws:ecs:us-east-1:123456789012:daemon-deployment/default/logs", false);
        check::<TaskDefinitionArn>("arn:aws:ecs:us-east-1:123456789012:task-definition/web", false);
        check::<TaskDefinitionArn>("arn:aws:ecs:us-east-1:123456789012:task-definition/web:0", false);
        check::<TaskDefinitionArn>("arn:aws:ecs:us-east-1:123456789012:task-definition/:1", false);
    }
}
