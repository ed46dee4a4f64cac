//! A snapshot after any history of tasks: its indexes and sums say what its rows say.

use std::sync::Arc;

use model::task::{LaunchType, TaskStatus};
use model::{CpuUnits, HealthStatus, MemoryMib, PortReservation, Reservation, Scope, Task};
use proptest::prelude::*;
use state::{AnyRecord, Changes, CommitError, Ledger, Load, MemoryLedger, Record, Snapshot, Table};
use stdx::Timestamp;

fn task(id: u8, instance: u8, status: TaskStatus, memory: u32) -> Task {
    Task {
        scope: Scope::new("123456789012", "us-east-1"),
        cluster: "default".into(),
        id: format!("{id:032x}"),
        family: "web".into(),
        revision: 1,
        container_instance: format!("{instance:032x}"),
        launch_type: LaunchType::Ec2,
        capacity_provider: None,
        last_status: status,
        desired_status: TaskStatus::Running,
        health: HealthStatus::Unknown,
        containers: Vec::new(),
        reserved: Reservation {
            cpu: CpuUnits(10),
            memory: MemoryMib(memory),
            ports: vec![PortReservation { port: 8000 + u16::from(id), protocol: Default::default() }],
            gpus: u32::from(id % 2),
            network_interfaces: 1,
        },
        group: format!("service:s{}", id % 3),
        started_by: String::new(),
        overrides: None,
        cpu: None,
        memory: None,
        tags: Vec::new(),
        execute_command_enabled: false,
        created_at: Timestamp::from_millis(1_795_384_329_148),
        connectivity_at: None,
        pull_started_at: None,
        pull_stopped_at: None,
        started_at: None,
        stopping_at: None,
        execution_stopped_at: None,
        stopped_at: (status == TaskStatus::Stopped)
            .then(|| Timestamp::from_millis(1_795_384_329_148 + i64::from(memory))),
        stop_code: None,
        stopped_reason: String::new(),
        protected_until: None,
        provisioning: None,
        version: 1,
    }
}

fn instance(number: u8) -> model::ContainerInstance {
    model::ContainerInstance {
        scope: Scope::new("123456789012", "us-east-1"),
        cluster: "default".into(),
        id: format!("{number:032x}"),
        status: model::ContainerInstanceStatus::Active,
        status_reason: None,
        ec2_instance_id: None,
        agent_connected: true,
        disconnected_at: None,
        served_by: None,
        version_info: Default::default(),
        registered: Default::default(),
        attributes: Vec::new(),
        tags: Vec::new(),
        health: Vec::new(),
        registered_at: Timestamp::EPOCH,
        version: 1,
    }
}

const STATUSES: [TaskStatus; 3] = [TaskStatus::Pending, TaskStatus::Running, TaskStatus::Stopped];

proptest! {
    #[test]
    fn indexes_and_sums_follow_the_rows(steps in prop::collection::vec((0u8..6, 0u8..3, 0usize..4, 1u32..100), 0..40)) {
        let ledger = MemoryLedger::new(Snapshot::default());
        for (id, on, status, memory) in steps {
            let snapshot = ledger.snapshot();
            let mut changes = Changes::new();
            match STATUSES.get(status) {
                Some(status) => changes.put(&snapshot, &task(id, on, *status, memory)),
                None => changes.delete(&snapshot, &task(id, on, TaskStatus::Pending, memory)),
            }
            ledger.commit_now(&changes).unwrap();
        }
        let snapshot = ledger.snapshot();
        let stopped: Vec<_> = snapshot.tasks.under("stopped", "").cloned().collect();
        prop_assert!(stopped.is_sorted_by_key(|task| task.stopped_at));
        prop_assert_eq!(stopped.len(), snapshot.tasks.iter().filter(|task| !task.is_live()).count());
        for number in 0..3 {
            let mine = instance(number);
            let live: Vec<_> =
                snapshot.tasks.iter().filter(|task| task.is_live() && task.container_instance == mine.id).cloned().collect();
            let found: Vec<_> = snapshot.tasks.by("live", &mine.name()).cloned().collect();
            prop_assert_eq!(&found, &live);
            let load = snapshot.load(&mine);
            prop_assert_eq!(load.memory, live.iter().map(|task| task.reserved.memory).sum());
            prop_assert_eq!(load.tasks() as usize, live.len());
            prop_assert_eq!(load.ports.values().sum::<u32>() as usize, live.len());
            if live.is_empty() {
                prop_assert_eq!(load, &Load::default());
            }
            let service = format!("123456789012/us-east-1/default/s{number}");
            let group = format!("service:s{number}");
            let of_group = |live: bool| {
                snapshot.tasks.iter().filter(|task| task.group == group && task.is_live() == live).cloned().collect::<Vec<_>>()
            };
            prop_assert_eq!(snapshot.tasks.by("service", &service).cloned().collect::<Vec<_>>(), of_group(true));
            prop_assert_eq!(live.iter().filter(|task| task.group == group).count() as u32, load.tasks_of_group(&group));
            let mut stopped: Vec<_> = snapshot.tasks.under("service-stopped", &format!("{service}/")).cloned().collect();
            prop_assert!(stopped.is_sorted_by_key(|task| task.stopped_at));
            stopped.sort_by_key(|task| task.name());
            prop_assert_eq!(stopped, of_group(false));
        }

        // Read as a whole, as at a start, it is the same.
        let rows = snapshot.tasks.iter().map(|task| {
            let key = Table::<Task>::key(&task.name());
            let revision = snapshot.revision_of(&key).unwrap();
            (key, AnyRecord::Task(task.clone()), revision)
        });
        let whole = Snapshot::of(rows.collect::<Vec<_>>(), snapshot.revision);
        prop_assert_eq!(whole.revision, snapshot.revision);
        prop_assert!(whole.tasks.iter().eq(snapshot.tasks.iter()));
        for index in ["live", "service", "family", "stopped", "service-stopped"] {
            prop_assert!(whole.tasks.under(index, "").eq(snapshot.tasks.under(index, "")), "{}", index);
            prop_assert_eq!(whole.tasks.filed_in(index), snapshot.tasks.filed_in(index));
        }
        for task in snapshot.tasks.iter() {
            let key = Table::<Task>::key(&task.name());
            prop_assert_eq!(whole.revision_of(&key), snapshot.revision_of(&key));
        }
        for number in 0..3 {
            prop_assert_eq!(whole.load(&instance(number)), snapshot.load(&instance(number)));
        }
    }
}

#[test]
fn who_relied_on_an_older_record_must_decide_again() {
    let ledger = MemoryLedger::default();
    let planned_on = ledger.snapshot();
    let mut first = Changes::new();
    first.put(&planned_on, &task(1, 1, TaskStatus::Pending, 1));
    let mut second = Changes::new();
    second.put(&planned_on, &task(1, 1, TaskStatus::Running, 1));
    ledger.commit_now(&first).unwrap();
    assert!(matches!(ledger.commit_now(&second), Err(CommitError::Conflict)));

    // Relying on something without writing it is enough.
    let mut third = Changes::new();
    third.rely_on::<Task>(&planned_on, &task(1, 1, TaskStatus::Pending, 1).name());
    third.put(&planned_on, &task(2, 1, TaskStatus::Pending, 1));
    assert!(matches!(ledger.commit_now(&third), Err(CommitError::Conflict)));
    assert_eq!(ledger.snapshot().tasks.len(), 1);
}

#[test]
fn a_snapshot_never_changes() {
    let ledger = MemoryLedger::default();
    let before: Arc<Snapshot> = ledger.snapshot();
    let mut changes = Changes::new();
    changes.put(&before, &task(1, 1, TaskStatus::Pending, 1));
    ledger.commit_now(&changes).unwrap();
    assert!(before.tasks.is_empty());
    assert_eq!(ledger.snapshot().tasks.len(), 1);
}

#[test]
fn a_prefix_is_not_a_longer_name() {
    let ledger = MemoryLedger::default();
    let mut other = task(1, 1, TaskStatus::Pending, 1);
    other.cluster = "default-2".into();
    let mut changes = Changes::new();
    changes.put(&ledger.snapshot(), &task(1, 1, TaskStatus::Pending, 1));
    changes.put(&ledger.snapshot(), &other);
    ledger.commit_now(&changes).unwrap();
    assert_eq!(ledger.snapshot().tasks.range("123456789012/us-east-1/default/").count(), 1);
}

#[test]
fn a_list_goes_on_after_any_of_its_records() {
    let ledger = MemoryLedger::default();
    let mut changes = Changes::new();
    for id in 0..9 {
        let status = if id < 6 { TaskStatus::Running } else { TaskStatus::Stopped };
        changes.put(&ledger.snapshot(), &task(id, id % 2, status, u32::from(id)));
    }
    ledger.commit_now(&changes).unwrap();
    let snapshot = ledger.snapshot();
    let (tasks, cluster) = (&snapshot.tasks, "123456789012/us-east-1/default/");
    let ids = |found: Vec<&Arc<Task>>| found.iter().map(|task| task.id.clone()).collect::<Vec<_>>();

    let all = ids(tasks.range(cluster).collect());
    assert_eq!(all.len(), 9);
    let family = format!("{cluster}web/live");
    let on_0 = instance(0).name();
    let here: Vec<_> = tasks.by("live", &on_0).collect();
    let live: Vec<_> = tasks.under("live", cluster).collect();
    assert_eq!((here.len(), live.len()), (3, 6));
    for (at, id) in all.iter().enumerate() {
        let name = format!("{cluster}{id}");
        assert_eq!(ids(tasks.range_after(cluster, id).collect()), all[at + 1..]);
        let of_family = ids(tasks.by_after("family", &family, &name).collect());
        assert_eq!(of_family, all[..6].get(at + 1..).unwrap_or_default());
    }
    for (at, task) in live.iter().enumerate() {
        let place = format!("{cluster}{}", task.container_instance);
        let rest: Vec<_> = tasks.under_after("live", cluster, (&place, &task.name())).collect();
        assert_eq!(rest, live[at + 1..]);
    }
    let newest_first = ids(tasks.under("stopped", "").rev().collect());
    assert_eq!(newest_first, all[6..].iter().rev().cloned().collect::<Vec<_>>());
    assert_eq!(tasks.by_after("live", &on_0, &here[0].name()).count(), 2);
}

#[test]
fn an_instance_that_says_it_is_well_wakes_nobody() {
    let take = |snapshot: &mut Snapshot, instance: &model::ContainerInstance, revision: u64| {
        let record = AnyRecord::ContainerInstance(instance.clone().into());
        let key = Table::<model::ContainerInstance>::key(&instance.name());
        snapshot.take(key, record, state::Revision(revision))
    };
    let mut snapshot = Snapshot::default();
    let mut one = instance(1);
    let touched = state::Touched::ContainerInstance(one.clone().into());
    assert_eq!(take(&mut snapshot, &one, 1), touched, "it has come");
    one.version = 2;
    one.health.push(model::InstanceHealthCheck {
        kind: model::InstanceHealthCheckKind::ContainerRuntime,
        status: model::InstanceHealth::Ok,
        last_updated: Timestamp::EPOCH,
        last_status_change: Timestamp::EPOCH,
    });
    assert_eq!(take(&mut snapshot, &one, 2), state::Touched::Bookkeeping);
    assert_eq!(snapshot.container_instances.get(&one.name()).unwrap().version, 2, "it is there for whoever asks");
    (one.version, one.agent_connected) = (3, false);
    assert!(matches!(take(&mut snapshot, &one, 3), state::Touched::ContainerInstance(_)), "its agent has gone");
}
