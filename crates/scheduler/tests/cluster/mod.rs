//! Clusters and definitions to place on and to place.

#![allow(dead_code, reason = "each test uses its own part")]

use model::container_definition::PortMapping;
use model::{
    Attribute, ContainerDefinition, ContainerInstance, ContainerInstanceStatus, CpuUnits, MemoryMib, Resources, Scope,
    TaskDefinition, TaskDefinitionStatus,
};
use state::{Changes, MemoryLedger, Snapshot};
use stdx::Timestamp;

pub fn scope() -> Scope {
    Scope::new("123456789012", "us-east-1")
}

pub fn instance(id: &str, zone: &str, cpu: u32, memory: u32) -> ContainerInstance {
    ContainerInstance {
        scope: scope(),
        cluster: "default".into(),
        id: id.into(),
        status: ContainerInstanceStatus::Active,
        status_reason: None,
        ec2_instance_id: None,
        agent_connected: true,
        disconnected_at: None,
        served_by: None,
        version_info: Default::default(),
        registered: Resources { cpu: CpuUnits(cpu), memory: MemoryMib(memory), ..Default::default() },
        attributes: vec![Attribute { name: "zone".into(), value: Some(zone.into()) }],
        tags: Vec::new(),
        health: Vec::new(),
        registered_at: Timestamp::EPOCH,
        version: 1,
    }
}

pub fn ledger(instances: &[ContainerInstance]) -> MemoryLedger {
    let ledger = MemoryLedger::default();
    let mut changes = Changes::new();
    for instance in instances {
        changes.put(&Snapshot::default(), instance);
    }
    ledger.commit_now(&changes).unwrap();
    ledger
}

pub fn world(instances: &[ContainerInstance]) -> Snapshot {
    (*state::Ledger::snapshot(&ledger(instances))).clone()
}

pub fn definition(cpu: u32, memory: u32, ports: &[u16]) -> TaskDefinition {
    TaskDefinition {
        scope: scope(),
        family: "web".into(),
        revision: 1,
        status: TaskDefinitionStatus::Active,
        containers: vec![ContainerDefinition {
            name: "app".into(),
            cpu: CpuUnits(cpu),
            memory: Some(MemoryMib(memory)),
            port_mappings: ports
                .iter()
                .map(|port| PortMapping { container_port: Some(*port), host_port: Some(*port), ..Default::default() })
                .collect(),
            ..Default::default()
        }],
        volumes: Vec::new(),
        network_mode: None,
        task_role_arn: None,
        execution_role_arn: None,
        placement_constraints: Vec::new(),
        requires_compatibilities: Vec::new(),
        compatibilities: Vec::new(),
        requires_attributes: Vec::new(),
        cpu: None,
        memory: None,
        pid_mode: None,
        ipc_mode: None,
        runtime_platform: None,
        enable_fault_injection: None,
        registered_at: Timestamp::EPOCH,
        registered_by: String::new(),
        deregistered_at: None,
        tags: Vec::new(),
    }
}
