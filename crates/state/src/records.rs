//! Each kind of record: its key and its indexes. The one place where key formats are written.

use model::{
    ClientToken, Cluster, ContainerInstance, Family, Scope, Service, Task, TaskDefinition, TaskDefinitionStatus, Versioned,
};
use serde::{Deserialize, Serialize};

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
    /// `active`: the revisions that can still be run, by family.
    const INDEXES: &'static [&'static str] = &["active"];

    /// The revision is padded, so that the order of the keys is the order of the revisions.
    fn name(&self) -> String {
        format!("{}/{}/{:010}", self.scope, self.family, self.revision)
    }

    fn index(&self, _index: usize) -> Option<String> {
        (self.status == TaskDefinitionStatus::Active).then(|| format!("{}/{}", self.scope, self.family))
    }
}

impl Record for ContainerInstance {
    const KIND: &'static str = "container-instance";

    fn name(&self) -> String {
        format!("{}/{}/{}", self.scope, self.cluster, self.id)
    }
}

impl Record for Task {
    const KIND: &'static str = "task";
    /// `live`: the tasks an instance still has. `service`: those of a service. `family`: those of a task definition family.
    const INDEXES: &'static [&'static str] = &["live", "service", "family"];

    fn name(&self) -> String {
        format!("{}/{}/{}", self.scope, self.cluster, self.id)
    }

    fn index(&self, index: usize) -> Option<String> {
        let within = |name: &str| format!("{}/{}/{name}", self.scope, self.cluster);
        match index {
            0 => self.is_live().then(|| within(&self.container_instance)),
            1 => self.service().map(within),
            _ => Some(within(&self.family)),
        }
    }
}

impl Record for Service {
    const KIND: &'static str = "service";

    fn name(&self) -> String {
        format!("{}/{}/{}", self.scope, self.cluster, self.name)
    }
}

impl Record for ClientToken {
    const KIND: &'static str = "client-token";

    fn name(&self) -> String {
        format!("{}/{}/{}", self.scope, self.operation, self.token)
    }
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
