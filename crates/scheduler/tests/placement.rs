//! Where tasks go, as counts per instance.

use std::collections::BTreeMap;

use model::container_definition::PortMapping;
use model::service::PlacementStrategy;
use model::task::LaunchType;
use model::task_definition::{NetworkMode, PlacementConstraint};
use model::{
    Attribute, ContainerDefinition, ContainerInstance, ContainerInstanceStatus, CpuUnits, MemoryMib, Resources, Scope,
    TaskDefinition, TaskDefinitionStatus,
};
use proptest::prelude::*;
use scheduler::{Indexes, Request, Scheduler, Strategy as Placing};
use state::{Changes, MemoryLedger, Snapshot};
use stdx::Timestamp;

fn scope() -> Scope {
    Scope::new("123456789012", "us-east-1")
}

fn instance(id: &str, zone: &str, cpu: u32, memory: u32) -> ContainerInstance {
    ContainerInstance {
        scope: scope(),
        cluster: "default".into(),
        id: id.into(),
        status: ContainerInstanceStatus::Active,
        status_reason: None,
        ec2_instance_id: None,
        agent_connected: true,
        version_info: Default::default(),
        registered: Resources { cpu: CpuUnits(cpu), memory: MemoryMib(memory), ..Default::default() },
        attributes: vec![Attribute { name: "zone".into(), value: Some(zone.into()) }],
        tags: Vec::new(),
        health: Vec::new(),
        registered_at: Timestamp::EPOCH,
        version: 1,
    }
}

fn world(instances: &[ContainerInstance]) -> Snapshot {
    let ledger = MemoryLedger::default();
    let mut changes = Changes::new();
    for instance in instances {
        changes.put(&Snapshot::default(), instance);
    }
    ledger.commit_now(&changes).unwrap();
    (*state::Ledger::snapshot(&ledger)).clone()
}

fn definition(cpu: u32, memory: u32, ports: &[u16]) -> TaskDefinition {
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

fn request(definition: &TaskDefinition, strategies: &[(&str, &str)]) -> Request {
    let mut request = Request::new(definition, None, "family:web", LaunchType::Ec2).unwrap();
    let parse = |(kind, field): &(&str, &str)| {
        let field = Some(field.to_string()).filter(|field| !field.is_empty());
        Placing::parse(&PlacementStrategy { kind: kind.to_string(), field }).unwrap()
    };
    request.strategies = strategies.iter().map(parse).collect();
    request
}

/// Places `count` tasks, and says how many went where: `a:2 b:1`.
fn place(snapshot: &Snapshot, request: &Request, count: u32) -> String {
    let indexes = Indexes::default();
    let mut scheduler = Scheduler::new(&indexes, snapshot, &scope(), "default", 7);
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..count {
        match scheduler.place(request) {
            Some(placement) => *counts.entry(placement.instance.id).or_default() += 1,
            None => {
                let explanation = scheduler.explain(request);
                let reasons: Vec<_> =
                    explanation.rejections.iter().map(|one| format!("{}: {}", one.instance.id, one.why)).collect();
                return format!("{} then {}", shown(&counts), reasons.join(", "));
            }
        }
    }
    shown(&counts)
}

fn shown(counts: &BTreeMap<String, u32>) -> String {
    counts.iter().map(|(id, count)| format!("{id}:{count}")).collect::<Vec<_>>().join(" ")
}

fn three_in_two_zones() -> Snapshot {
    world(&[instance("a", "1", 1000, 1000), instance("b", "1", 1000, 1000), instance("c", "2", 1000, 1000)])
}

#[test]
fn without_a_strategy_tasks_are_even() {
    assert_eq!(place(&three_in_two_zones(), &request(&definition(1, 1, &[]), &[]), 6), "a:2 b:2 c:2");
}

#[test]
fn spread_over_zones_then_over_instances() {
    let zones = request(&definition(1, 1, &[]), &[("spread", "attribute:zone")]);
    assert_eq!(place(&three_in_two_zones(), &zones, 8), "a:2 b:2 c:4");
    let both = request(&definition(1, 1, &[]), &[("spread", "attribute:zone"), ("spread", "instanceId")]);
    assert_eq!(place(&three_in_two_zones(), &both, 8), "a:2 b:2 c:4");
    let host = request(&definition(1, 1, &[]), &[("spread", "host")]);
    assert_eq!(place(&three_in_two_zones(), &host, 6), "a:2 b:2 c:2");
}

#[test]
fn binpack_fills_the_fullest() {
    let snapshot = world(&[instance("a", "1", 1000, 900), instance("b", "1", 100, 1000)]);
    let memory = request(&definition(10, 300, &[]), &[("binpack", "memory")]);
    assert_eq!(place(&snapshot, &memory, 3), "a:3");
    assert_eq!(place(&snapshot, &memory, 4), "a:3 b:1");
    let cpu = request(&definition(10, 300, &[]), &[("binpack", "cpu")]);
    assert_eq!(place(&snapshot, &cpu, 4), "a:1 b:3");
}

#[test]
fn random_is_decided_by_the_seed_alone() {
    let random = request(&definition(1, 1, &[]), &[("random", "")]);
    let snapshot = three_in_two_zones();
    let first = place(&snapshot, &random, 90);
    assert_eq!(place(&snapshot, &random, 90), first);
    for id in ["a", "b", "c"] {
        assert!(first.contains(id), "{first}");
    }
}

#[test]
fn each_instance_says_why_not() {
    let mut external = instance("e", "1", 9999, 9999);
    external.attributes.push(Attribute { name: "ecs.capability.external".into(), value: None });
    let mut away = instance("d", "1", 9999, 9999);
    away.agent_connected = false;
    let mut drains = instance("f", "1", 9999, 9999);
    drains.status = ContainerInstanceStatus::Draining;
    let mut taken = instance("g", "1", 9999, 9999);
    taken.registered.ports_tcp.insert(80);
    let small = [instance("a", "1", 9, 9999), instance("b", "1", 9999, 9)];
    let snapshot = world(&[small.to_vec(), vec![away, external, drains, taken]].concat());
    assert_eq!(
        place(&snapshot, &request(&definition(10, 10, &[80]), &[]), 1),
        " then a: 10 CPU units wanted, 9 free, b: 10 MiB of memory wanted, 9 MiB free, \
         d: the agent of the instance is not connected, e: the instance is of another launch type, \
         f: the instance is DRAINING, g: port 80/tcp is in use"
    );
}

#[test]
fn constraints_narrow_the_field() {
    let mut distinct = request(&definition(1, 1, &[]), &[]);
    let constraint = |kind: &str, expression: Option<&str>| PlacementConstraint {
        kind: kind.into(),
        expression: expression.map(Into::into),
    };
    distinct.constrain(&[constraint("distinctInstance", None)]).unwrap();
    let why = "it has a task of this group already (distinctInstance)";
    assert_eq!(place(&three_in_two_zones(), &distinct, 4), format!("a:1 b:1 c:1 then a: {why}, b: {why}, c: {why}"));
    let mut zone = request(&definition(1, 1, &[]), &[]);
    zone.constrain(&[constraint("memberOf", Some("attribute:zone == 2"))]).unwrap();
    assert_eq!(place(&three_in_two_zones(), &zone, 2), "c:2");
    assert!(zone.constrain(&[constraint("memberOf", Some("zone is 2"))]).is_err());
}

#[test]
fn a_host_port_is_taken_once_per_instance() {
    let snapshot = world(&[instance("a", "1", 1000, 1000)]);
    assert_eq!(place(&snapshot, &request(&definition(1, 1, &[80]), &[]), 2), "a:1 then a: port 80/tcp is in use");
    let mut host = definition(1, 1, &[80]);
    host.network_mode = Some(NetworkMode::Host);
    host.containers[0].port_mappings[0].host_port = None;
    assert_eq!(place(&snapshot, &request(&host, &[]), 2), "a:1 then a: port 80/tcp is in use");
    let mut none = definition(1, 1, &[80]);
    none.network_mode = Some(NetworkMode::None);
    assert_eq!(place(&snapshot, &request(&none, &[]), 2), "a:2");
}

#[test]
fn strategies_that_make_no_sense() {
    for (kind, field) in [("spread", ""), ("spread", "zone"), ("binpack", "disk"), ("binpack", ""), ("best", "cpu")] {
        let strategy = PlacementStrategy {
            kind: kind.into(),
            field: Some(field.into()).filter(|field: &String| !field.is_empty()),
        };
        assert!(Placing::parse(&strategy).is_err(), "{kind} {field}");
    }
}

proptest! {
    /// Whatever is asked, no instance gets more than it has, and a rejection of all means that nothing fits.
    #[test]
    fn nothing_is_given_twice(
        instances in prop::collection::vec((0u32..100, 0u32..100), 0..6),
        tasks in prop::collection::vec((0u32..50, 0u32..50, 0usize..4), 0..30),
    ) {
        let named: Vec<_> =
            instances.iter().enumerate().map(|(n, (cpu, memory))| instance(&n.to_string(), "1", *cpu, *memory)).collect();
        let snapshot = world(&named);
        let indexes = Indexes::default();
        let mut scheduler = Scheduler::new(&indexes, &snapshot, &scope(), "default", 1);
        let mut free: BTreeMap<String, (u32, u32)> =
            named.iter().map(|one| (one.id.clone(), (one.registered.cpu.0, one.registered.memory.0))).collect();
        let strategies: [&[(&str, &str)]; 4] =
            [&[], &[("binpack", "cpu")], &[("spread", "attribute:zone"), ("binpack", "memory")], &[("random", "")]];
        for (cpu, memory, strategy) in tasks {
            let request = request(&definition(cpu, memory, &[]), strategies[strategy]);
            match scheduler.place(&request) {
                Some(placement) => {
                    let (cpu_free, memory_free) = free.get_mut(&placement.instance.id).unwrap();
                    prop_assert!(*cpu_free >= cpu && *memory_free >= memory);
                    *cpu_free -= cpu;
                    *memory_free -= memory;
                }
                None => {
                    prop_assert_eq!(scheduler.explain(&request).rejections.len(), named.len());
                    prop_assert!(free.values().all(|(cpu_free, memory_free)| *cpu_free < cpu || *memory_free < memory));
                }
            }
        }
    }
}
