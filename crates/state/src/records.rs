//! Each kind of record: its key and its indexes. The one place where key formats are written.

use model::{
    AccountSetting, Bucket, CapacityProvider, ClientToken, Cluster, ContainerInstance, ContainerInstanceStatus, Daemon,
    DaemonDeployment, DaemonRevision, Family, LogGroupRef, MetricFilter, MultipartUpload, Object, QueryDefinition,
    Replica, Scope, Service, ServiceDeployment, ServiceRevision, ServiceStatus, SubscriptionFilter, Task,
    TaskDefinition, TaskDefinitionStatus, UploadPart, Versioned,
};
use serde::{Deserialize, Serialize};
use stdx::Timestamp;

use crate::Record;

impl Record for Cluster {
    const KIND: &'static str = "cluster";

    fn name(&self) -> String {
        format!("{}/{}", self.scope, self.name)
    }
}

impl Record for Family {
    const KIND: &'static str = "family";

    fn name(&self) -> String {
        format!("{}/{}", self.scope, self.name)
    }
}

impl Record for TaskDefinition {
    const KIND: &'static str = "task-definition";
    /// `active`: the revisions that can still be run, by family. `deleting`: those that wait for their last user to go.
    const INDEXES: &'static [&'static str] = &["active", "deleting"];

    /// The revision is padded, so that the order of the keys is the order of the revisions.
    fn name(&self) -> String {
        format!("{}/{}/{:010}", self.scope, self.family, self.revision)
    }

    fn index(&self, index: usize) -> Option<String> {
        match (index, self.status) {
            (0, TaskDefinitionStatus::Active) => Some(format!("{}/{}", self.scope, self.family)),
            (1, TaskDefinitionStatus::DeleteInProgress) => Some(self.scope.to_string()),
            _ => None,
        }
    }
}

impl Record for ContainerInstance {
    const KIND: &'static str = "container-instance";
    /// `zone`: those that take tasks, by their Availability Zone within their cluster.
    const INDEXES: &'static [&'static str] = &["zone"];

    fn name(&self) -> String {
        format!("{}/{}/{}", self.scope, self.cluster, self.id)
    }

    fn index(&self, _index: usize) -> Option<String> {
        let takes_tasks = self.status == ContainerInstanceStatus::Active && self.agent_connected;
        let zone = self.attribute(model::container_instance::ZONE).filter(|_| takes_tasks)?;
        Some(format!("{}/{}/{zone}", self.scope, self.cluster))
    }
}

impl Record for Task {
    const KIND: &'static str = "task";
    /// `live`: the tasks an instance still has. `service`: those that a service, or a managed daemon, still has. `family`: all of a task definition
    /// family, the live ones apart from those that have stopped. `stopped`: those that have stopped, by the time of it. `service-stopped`: the same, within their service.
    const INDEXES: &'static [&'static str] = &["live", "service", "family", "stopped", "service-stopped"];

    fn name(&self) -> String {
        format!("{}/{}/{}", self.scope, self.cluster, self.id)
    }

    fn index(&self, index: usize) -> Option<String> {
        let within = |name: &str| format!("{}/{}/{name}", self.scope, self.cluster);
        match index {
            0 => self.is_live().then(|| within(&self.container_instance)),
            1 => self.owner().filter(|_| self.is_live()).map(within),
            2 => Some(within(&format!("{}/{}", self.family, if self.is_live() { "live" } else { "stopped" }))),
            3 => (!self.is_live()).then(|| at(self.stopped_at.unwrap_or(self.created_at))),
            _ => {
                let service = self.owner().filter(|_| !self.is_live())?;
                Some(format!("{}/{}", within(service), at(self.stopped_at.unwrap_or(self.created_at))))
            }
        }
    }

    /// The name is the same, so the scope and the cluster are.
    fn is_filed_as(&self, other: &Task) -> bool {
        self.is_live() == other.is_live()
            && (self.stopped_at, self.created_at) == (other.stopped_at, other.created_at)
            && self.container_instance == other.container_instance
            && self.group == other.group
            && self.family == other.family
    }
}

impl Record for Service {
    const KIND: &'static str = "service";
    /// `daemon`: those of a cluster that have a task on each instance.
    const INDEXES: &'static [&'static str] = &["daemon"];

    fn name(&self) -> String {
        format!("{}/{}/{}", self.scope, self.cluster, self.name)
    }

    fn index(&self, _index: usize) -> Option<String> {
        (self.is_daemon() && self.status == ServiceStatus::Active).then(|| format!("{}/{}", self.scope, self.cluster))
    }
}

impl Record for ServiceDeployment {
    const KIND: &'static str = "service-deployment";
    /// `ended`: by the time of it.
    const INDEXES: &'static [&'static str] = &["ended"];

    fn name(&self) -> String {
        format!("{}/{}/{}/{}", self.scope, self.cluster, self.service, self.id)
    }

    fn index(&self, _index: usize) -> Option<String> {
        self.ended_at().map(at)
    }
}

impl Record for ServiceRevision {
    const KIND: &'static str = "service-revision";

    fn name(&self) -> String {
        format!("{}/{}/{}/{}", self.scope, self.cluster, self.service, self.id)
    }
}

impl Record for Daemon {
    const KIND: &'static str = "daemon";

    fn name(&self) -> String {
        format!("{}/{}/{}", self.scope, self.cluster, self.name)
    }
}

impl Record for DaemonRevision {
    const KIND: &'static str = "daemon-revision";

    fn name(&self) -> String {
        format!("{}/{}/{}/{}", self.scope, self.cluster, self.daemon, self.id)
    }
}

impl Record for DaemonDeployment {
    const KIND: &'static str = "daemon-deployment";
    /// `ended`: by the time of it.
    const INDEXES: &'static [&'static str] = &["ended"];

    fn name(&self) -> String {
        format!("{}/{}/{}/{}", self.scope, self.cluster, self.daemon, self.id)
    }

    fn index(&self, _index: usize) -> Option<String> {
        self.ended_at().map(at)
    }
}

impl Record for CapacityProvider {
    const KIND: &'static str = "capacity-provider";

    fn name(&self) -> String {
        format!("{}/{}", self.scope, self.name)
    }
}

impl Record for AccountSetting {
    const KIND: &'static str = "account-setting";

    /// The ARN of the principal has slashes, and comes last.
    fn name(&self) -> String {
        format!("{}/{}/{}", self.scope, self.name, self.principal)
    }
}

impl Record for Replica {
    const KIND: &'static str = "replica";

    fn name(&self) -> String {
        self.id.clone()
    }
}

impl Record for ClientToken {
    const KIND: &'static str = "client-token";
    /// `used`: by the time of it.
    const INDEXES: &'static [&'static str] = &["used"];

    fn name(&self) -> String {
        format!("{}/{}/{}", self.scope, self.operation, self.token)
    }

    fn index(&self, _index: usize) -> Option<String> {
        Some(at(self.used_at))
    }
}

impl Record for MetricFilter {
    const KIND: &'static str = "metric-filter";

    fn name(&self) -> String {
        of_group(&self.group, &self.name)
    }
}

impl Record for SubscriptionFilter {
    const KIND: &'static str = "subscription-filter";

    fn name(&self) -> String {
        of_group(&self.group, &self.name)
    }
}

/// A colon stands in no name of a group or of a filter, and slashes do.
fn of_group(group: &LogGroupRef, name: &str) -> String {
    format!("{}/{}:{name}", group.scope, group.name)
}

impl Record for QueryDefinition {
    const KIND: &'static str = "query-definition";

    fn name(&self) -> String {
        format!("{}/{}", self.scope, self.id)
    }
}

impl Record for Bucket {
    const KIND: &'static str = "s3-bucket";

    fn name(&self) -> String {
        self.name.clone()
    }
}

impl Record for Object {
    const KIND: &'static str = "s3-object";

    /// No bucket has a slash in its name, so the order of the names is the order of the keys in it.
    fn name(&self) -> String {
        format!("{}/{}", self.bucket, self.key)
    }
}

impl Record for MultipartUpload {
    const KIND: &'static str = "s3-upload";

    fn name(&self) -> String {
        format!("{}/{}", self.bucket, self.id)
    }
}

impl Record for UploadPart {
    const KIND: &'static str = "s3-part";

    /// The number is padded, so that the order of the names is the order of the parts.
    fn name(&self) -> String {
        format!("{}/{}/{:05}", self.bucket, self.upload, self.number)
    }
}

/// A time whose order as a text is its order in time.
fn at(time: Timestamp) -> String {
    format!("{:016}", time.as_millis().max(0))
}

/// Rises with every placement on an instance. A placement relies on it, so two that were planned on the same free
/// memory cannot both be committed, whichever replica planned them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacementFence {
    pub scope: Scope,
    pub cluster: String,
    pub container_instance: String,
    pub placements: u64,
}

impl Versioned for PlacementFence {
    const VERSION: u32 = 1;
}

impl Record for PlacementFence {
    const KIND: &'static str = "placement-fence";

    fn name(&self) -> String {
        format!("{}/{}/{}", self.scope, self.cluster, self.container_instance)
    }
}
