//! Where tasks go, as counts per instance.

mod cluster;

use std::collections::BTreeMap;

use cluster::{definition, instance, scope, world};
use expect_test::{Expect, expect};
use model::service::PlacementStrategy;
use model::task::LaunchType;
use model::task_definition::{NetworkMode, PlacementConstraint};
use model::{Attribute, ContainerInstanceStatus, TaskDefinition};
use proptest::prelude::*;
use scheduler::{Indexes, Request, Scheduler, Strategy as Placing};
use state::Snapshot;

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
    let mut full = instance("h", "1", 9999, 9999);
    full.attributes.push(Attribute { name: "berth.disk-pressure".into(), value: Some("true".into()) });
    let small = [instance("a", "1", 9, 9999), instance("b", "1", 9999, 9)];
    let snapshot = world(&[small.to_vec(), vec![away, external, drains, taken, full]].concat());
    assert_eq!(
        place(&snapshot, &request(&definition(10, 10, &[80]), &[]), 1),
        " then a: 10 CPU units wanted, 9 free, b: 10 MiB of memory wanted, 9 MiB free, \
         d: the agent of the instance is not connected, e: the instance is of another launch type, \
         f: the instance is DRAINING, g: port 80/tcp is in use, \
         h: its disk is nearly full, and it takes no new tasks until there is room again"
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
fn an_explanation_names_everybody() {
    let explain = |snapshot: &Snapshot, request: &Request, expected: Expect| {
        let indexes = Indexes::default();
        let scheduler = Scheduler::new(&indexes, snapshot, &scope(), "default", 7);
        expected.assert_eq(&scheduler.explain(request).to_string());
    };
    let mut needy = definition(500, 600, &[80]);
    needy.requires_attributes.push(Attribute { name: "disk".into(), value: Some("ssd".into()) });
    let mut needy = request(&needy, &[]);
    needy.member_of.push("attribute:zone != 3".parse().unwrap());
    needy.reservation.gpus = 1;
    needy.reservation.network_interfaces = 1;
    explain(
        &Snapshot::default(),
        &needy,
        expect![[r#"
        The cluster has no container instances.
    "#]],
    );
    let equipped = |id: &str, zone: &str, cpu: u32, memory: u32| {
        let mut equipped = instance(id, zone, cpu, memory);
        equipped.attributes.push(Attribute { name: "disk".into(), value: Some("ssd".into()) });
        equipped.registered.gpus.insert("gpu-0".into());
        equipped
    };
    let mut port = equipped("port", "1", 1000, 1000);
    port.registered.ports_tcp.insert(80);
    let mut gpu = equipped("gpu", "1", 1000, 1000);
    gpu.registered.gpus.clear();
    let mut interface = equipped("interface", "1", 1000, 1000);
    interface.registered.network_interfaces = Some(0);
    let mut gone = equipped("gone", "1", 1000, 1000);
    gone.agent_connected = false;
    let fits = equipped("fits", "1", 500, 600);
    let cluster = [
        instance("attribute", "1", 1000, 1000),
        equipped("constraint", "3", 1000, 1000),
        equipped("cpu", "1", 499, 1000),
        equipped("memory-a", "1", 1000, 400),
        equipped("memory-b", "2", 1000, 500),
        port,
        gpu,
        gone,
        fits,
    ];
    explain(
        &world(&cluster),
        &needy,
        expect![[r#"
            2 of 8: RESOURCE:MEMORY
            1 of 8: AGENT
            1 of 8: ATTRIBUTE
            1 of 8: MemberOf placement constraint unsatisfied.
            1 of 8: RESOURCE:CPU
            1 of 8: RESOURCE:GPU
            1 of 8: RESOURCE:PORTS
            closest: gpu: 1 GPUs wanted, 0 free
            attribute: the attribute disk is missing
            constraint: it does not satisfy memberOf(attribute:zone != 3)
            cpu: 500 CPU units wanted, 499 free
            gone: the agent of the instance is not connected
            gpu: 1 GPUs wanted, 0 free
            memory-a: 600 MiB of memory wanted, 400 MiB free
            memory-b: 600 MiB of memory wanted, 500 MiB free
            port: port 80/tcp is in use
        "#]],
    );
    explain(
        &world(&[cluster.to_vec(), vec![interface]].concat()),
        &needy,
        expect![[r#"
            2 of 9: RESOURCE:MEMORY
            1 of 9: AGENT
            1 of 9: ATTRIBUTE
            1 of 9: MemberOf placement constraint unsatisfied.
            1 of 9: RESOURCE:CPU
            1 of 9: RESOURCE:ENI
            1 of 9: RESOURCE:GPU
            1 of 9: RESOURCE:PORTS
            closest: interface: no network interface is free
            attribute: the attribute disk is missing
            constraint: it does not satisfy memberOf(attribute:zone != 3)
            cpu: 500 CPU units wanted, 499 free
            gone: the agent of the instance is not connected
            gpu: 1 GPUs wanted, 0 free
            interface: no network interface is free
            memory-a: 600 MiB of memory wanted, 400 MiB free
            memory-b: 600 MiB of memory wanted, 500 MiB free
            port: port 80/tcp is in use
        "#]],
    );
}

#[test]
fn a_daemon_keeps_its_room() {
    let snapshot = world(&[instance("a", "1", 1000, 1000), instance("b", "2", 1000, 300)]);
    let indexes = Indexes::default();
    let mut scheduler = Scheduler::new(&indexes, &snapshot, &scope(), "default", 7);
    let web = request(&definition(0, 300, &[]), &[]);
    let mut daemon = request(&definition(0, 200, &[]), &[]);
    daemon.group = "service:daemon".into();
    daemon.member_of.push("attribute:zone == 1".parse().unwrap());
    scheduler.keep_room_for(daemon.clone());
    // 1000 - 200 is room for two, and the daemon has no business on the other.
    let mut placed: Vec<String> = (0..3).map(|_| scheduler.place(&web).unwrap().instance.id).collect();
    placed.sort();
    assert_eq!(placed, ["a", "a", "b"]);
    assert_eq!(scheduler.place(&web), None);
    assert_eq!(scheduler.explain(&web).closest().unwrap().why.to_string(), "300 MiB of memory wanted, 200 MiB free",);
    // What is kept is kept for the daemon; once it is there, the rest is anybody's.
    assert!(scheduler.place_on("a", &daemon).is_ok());
    assert!(scheduler.place_on("a", &request(&definition(0, 200, &[]), &[])).is_ok());
}

#[test]
fn a_daemon_keeps_the_room_that_its_next_task_needs_more() {
    let snapshot =
        world(&[instance("a", "1", 1000, 1000), instance("b", "1", 1000, 1000), instance("c", "1", 1000, 1000)]);
    let indexes = Indexes::default();
    let mut scheduler = Scheduler::new(&indexes, &snapshot, &scope(), "default", 7);
    let with_group = |memory: u32| {
        let mut daemon = request(&definition(0, memory, &[]), &[]);
        daemon.group = "service:daemon".into();
        daemon
    };
    let (old, new) = (with_group(300), with_group(500));
    for id in ["a", "b", "c"] {
        assert!(scheduler.place_on(id, &old).is_ok());
    }
    // On a the new one takes the old one's place, on b it comes beside it, and on c it is already.
    let succeeds = [("a".to_owned(), old.reservation.clone()), ("b".to_owned(), Default::default())];
    scheduler.keep_room_to_grow(new, succeeds.into());
    let mut free = |id: &str| {
        let tasks = std::iter::from_fn(|| scheduler.place_on(id, &request(&definition(0, 50, &[]), &[])).ok());
        tasks.count() * 50
    };
    assert_eq!((free("a"), free("b"), free("c")), (500, 200, 700));
}

#[test]
fn what_was_planned_and_not_committed_is_forgotten() {
    let snapshot = world(&[instance("a", "1", 1000, 1000)]);
    let indexes = Indexes::default();
    let web = request(&definition(0, 600, &[]), &[]);
    for _ in 0..3 {
        let mut scheduler = Scheduler::new(&indexes, &snapshot, &scope(), "default", 7);
        assert!(scheduler.place(&web).is_some());
        assert!(scheduler.place(&web).is_none());
    }
    // Two rounds side by side do not see each other's plans.
    let mut one = Scheduler::new(&indexes, &snapshot, &scope(), "default", 7);
    let mut other = Scheduler::new(&indexes, &snapshot, &scope(), "default", 7);
    assert!(one.place(&web).is_some());
    assert!(other.place(&web).is_some());
    drop((one, other));
    let empty = Snapshot::default();
    let mut scheduler = Scheduler::new(&indexes, &empty, &scope(), "default", 7);
    assert!(scheduler.is_empty());
    assert!(scheduler.place(&web).is_none());
}

#[test]
fn a_task_on_fargate_finds_no_instance() {
    let mut fargate = request(&definition(1, 1, &[]), &[]);
    fargate.launch_type = LaunchType::Fargate;
    assert_eq!(
        place(&world(&[instance("a", "1", 9, 9)]), &fargate, 1),
        " then a: the instance is of another launch type"
    );
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

    /// As long as there is room everywhere, no value of the attribute has more than one task more than another.
    #[test]
    fn a_spread_is_even(zones in prop::collection::vec(0usize..4, 1..12), tasks in 0usize..40, seed in any::<u64>()) {
        let instances: Vec<_> =
            zones.iter().enumerate().map(|(n, zone)| instance(&n.to_string(), &zone.to_string(), 1000, 1000)).collect();
        let snapshot = world(&instances);
        let indexes = Indexes::default();
        let mut scheduler = Scheduler::new(&indexes, &snapshot, &scope(), "default", seed);
        let request = request(&definition(1, 1, &[]), &[("spread", "attribute:zone"), ("binpack", "memory")]);
        let mut counts: BTreeMap<usize, usize> = zones.iter().map(|zone| (*zone, 0)).collect();
        for _ in 0..tasks {
            let placement = scheduler.place(&request).unwrap();
            *counts.get_mut(&zones[placement.instance.id.parse::<usize>().unwrap()]).unwrap() += 1;
            prop_assert!(counts.values().max().unwrap() - counts.values().min().unwrap() <= 1, "{counts:?}");
        }
    }

    /// No instance is begun while a task still fits on one that has been begun.
    #[test]
    fn a_binpack_fills(sizes in prop::collection::vec(20u32..100, 1..10), tasks in 0usize..40, seed in any::<u64>()) {
        let instances: Vec<_> =
            sizes.iter().enumerate().map(|(n, size)| instance(&n.to_string(), "1", *size, *size)).collect();
        let snapshot = world(&instances);
        let indexes = Indexes::default();
        let mut scheduler = Scheduler::new(&indexes, &snapshot, &scope(), "default", seed);
        let request = request(&definition(10, 10, &[]), &[("binpack", "cpu")]);
        let mut free = sizes.clone();
        for _ in 0..tasks {
            let Some(placement) = scheduler.place(&request) else { break };
            let at: usize = placement.instance.id.parse().unwrap();
            prop_assert!(free.iter().all(|other| *other < 10 || *other >= free[at]), "{free:?} {at}");
            free[at] -= 10;
        }
    }

    /// The seed decides, and nothing else: not the index, nor what it has seen before.
    #[test]
    fn a_seed_decides_everything(count in 1u32..9, tasks in 1usize..20, seed in any::<u64>(), strategy in 0usize..3) {
        let instances: Vec<_> = (0..count).map(|n| instance(&n.to_string(), &(n % 3).to_string(), 1000, 1000)).collect();
        let snapshot = world(&instances);
        let strategies: [&[(&str, &str)]; 3] = [&[], &[("random", "")], &[("binpack", "memory")]];
        let request = request(&definition(1, 1, &[]), strategies[strategy]);
        let used = Indexes::default();
        let run = |indexes: &Indexes, seed: u64| -> Vec<String> {
            let mut scheduler = Scheduler::new(indexes, &snapshot, &scope(), "default", seed);
            (0..tasks).map(|_| scheduler.place(&request).unwrap().instance.id).collect()
        };
        let first = run(&used, seed);
        run(&used, seed.wrapping_add(1));
        prop_assert_eq!(&run(&used, seed), &first);
        prop_assert_eq!(&run(&Indexes::default(), seed), &first);
    }
}
