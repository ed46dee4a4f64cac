//! Whatever a task looks like and whatever happens to it: it ends, nothing is told backwards, nothing is left running.

mod driver;

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use stdx::Timestamp;
use task_engine::{
    Action, Condition, ContainerSpec, ContainerStatus, Dependency, Event, Failure, FailureKind, Found, HealthCheck,
    RestartPolicy, Task, TaskSpec, TaskStatus,
};

/// How one container behaves in the world.
#[derive(Clone, Debug)]
struct Fate {
    pulls: bool,
    starts: bool,
    /// Seconds until it ends by itself; `None` runs on.
    lives: Option<u64>,
    exit_code: i32,
    heeds_stop: bool,
    healthy: bool,
}

fn fate() -> impl Strategy<Value = Fate> {
    let lives = prop_oneof![Just(None), (0u64..50).prop_map(Some)];
    (0..8u8, 0..8u8, lives, 0..2i32, any::<bool>(), any::<bool>()).prop_map(
        |(pull, start, lives, exit_code, heeds_stop, healthy)| Fate {
            pulls: pull > 0,
            starts: start > 0,
            lives,
            exit_code,
            heeds_stop,
            healthy,
        },
    )
}

fn container(index: usize) -> impl Strategy<Value = ContainerSpec> {
    let conditions = prop_oneof![
        Just(Condition::Start),
        Just(Condition::Complete),
        Just(Condition::Success),
        Just(Condition::Healthy)
    ];
    let depends_on = prop::collection::vec((0..index.max(1), conditions), 0..3);
    let health = HealthCheck {
        interval: Duration::from_secs(7),
        timeout: Duration::from_secs(2),
        retries: 2,
        start_period: Duration::from_secs(3),
    };
    (any::<bool>(), depends_on, prop::option::of(1u64..20), prop::option::of(0u64..20)).prop_map(
        move |(essential, on, start, restart)| ContainerSpec {
            essential,
            depends_on: on
                .into_iter()
                .filter(|(on, _)| *on < index)
                .map(|(on, condition)| Dependency { container: format!("c{on}"), condition })
                .collect(),
            start_timeout: start.map(Duration::from_secs),
            restart: restart.map(|period| RestartPolicy {
                ignored_exit_codes: vec![0],
                attempt_period: Duration::from_secs(period),
            }),
            health: Some(health.clone()),
            readiness: Some(health.clone()),
            ..ContainerSpec::new(format!("c{index}"))
        },
    )
}

#[derive(Default, Clone, Debug)]
struct Process {
    running: bool,
    stops: u32,
    kills: u32,
}

/// A world with a clock: a list of events to come, and the processes that are.
struct World {
    now: Timestamp,
    task: Task,
    fates: BTreeMap<String, Fate>,
    processes: BTreeMap<String, Process>,
    coming: Vec<(Timestamp, Event)>,
    look: Option<Timestamp>,
    told: (TaskStatus, BTreeMap<String, ContainerStatus>),
    released: u32,
    stopped_reports: u32,
}

impl World {
    fn step(&mut self, event: Event) {
        let actions = self.task.step(event, self.now);
        self.look = None;
        for action in actions {
            self.act(action);
        }
        // What is on disk is the whole truth.
        self.task = Task::from_json(&self.task.to_json()).unwrap();
    }

    fn after(&mut self, millis: u64, event: Event) {
        self.coming.push((self.now + Duration::from_millis(millis), event));
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Pull { container } => {
                let event = match self.fates[&container].pulls {
                    true => Event::Pulled { container, image_digest: None, pulled: None },
                    false => Event::PullFailed { container, failure: Failure::new(FailureKind::Pull, "x") },
                };
                self.after(700, event);
            }
            Action::Start { container } => {
                let fate = self.fates[&container].clone();
                assert!(!self.processes.get(&container).is_some_and(|process| process.running), "started twice");
                if !fate.starts {
                    let failure = Failure::new(FailureKind::Start, "x");
                    return self.after(20, Event::StartFailed { container, failure });
                }
                self.processes.insert(container.clone(), Process { running: true, ..Process::default() });
                let at = self.now + Duration::from_millis(20);
                self.after(
                    20,
                    Event::Started { container: container.clone(), runtime_id: "r".into(), bindings: vec![], at },
                );
                if let Some(seconds) = fate.lives {
                    self.exit_in(20 + seconds * 1000, &container, fate.exit_code);
                }
            }
            Action::Stop { container } => {
                let process = self.processes.get_mut(&container).expect("stopped before started");
                process.stops += 1;
                assert_eq!(process.stops, 1, "a stop signal is sent once");
                if self.fates[&container].heeds_stop {
                    self.exit_in(50, &container, 143);
                }
            }
            Action::Kill { container } => {
                let process = self.processes.get_mut(&container).expect("killed before started");
                process.kills += 1;
                assert_eq!((process.stops, process.kills), (1, 1), "one kill, after a stop signal");
                self.exit_in(5, &container, 137);
            }
            Action::CheckHealth { container, purpose, check } => {
                let result = if self.fates[&container].healthy { Ok(()) } else { Err("sick".to_owned()) };
                self.after(100, Event::HealthChecked { container, purpose, check, result });
            }
            Action::Report(report) => {
                assert_eq!(self.stopped_reports, 0, "nothing comes after STOPPED");
                assert!(report.status >= self.told.0, "the task went backwards");
                self.told.0 = report.status;
                for container in report.containers {
                    let told = self.told.1.entry(container.name.clone()).or_default();
                    assert!(told.may_move_to(container.status), "{} went backwards", container.name);
                    *told = container.status;
                }
                self.stopped_reports += u32::from(report.status == TaskStatus::Stopped);
            }
            Action::Release => self.released += 1,
            Action::LookAgain { at } => self.look = Some(at),
        }
    }

    fn exit_in(&mut self, millis: u64, container: &str, exit_code: i32) {
        let at = self.now + Duration::from_millis(millis);
        let event = Event::Exited { container: container.into(), exit_code, oom_killed: false, at };
        self.coming.push((at, event));
    }

    /// The next thing in time; false when nothing will ever happen again.
    fn advance(&mut self) -> bool {
        self.coming.sort_by_key(|(at, _)| *at);
        let next = self.coming.first().map(|(at, _)| *at);
        let tick = self.look.is_some_and(|look| next.is_none_or(|next| look < next));
        if tick {
            self.now = self.now.max(self.look.unwrap());
            self.step(Event::Tick);
            return true;
        }
        if self.coming.is_empty() {
            return false;
        }
        let (at, event) = self.coming.remove(0);
        self.now = self.now.max(at);
        if let Event::Exited { container, .. } = &event {
            // A process ends once; what was arranged for it otherwise is void.
            if !std::mem::take(&mut self.processes.get_mut(container).unwrap().running) {
                return true;
            }
            let name = container.clone();
            self.coming.retain(|(_, event)| !matches!(event, Event::Exited { container, .. } if *container == name));
        }
        self.step(event);
        true
    }

    /// The agent dies and comes back: events on their way are lost, processes go on.
    fn restart_agent(&mut self) {
        let exits: Vec<_> = self.coming.drain(..).filter(|(_, event)| matches!(event, Event::Exited { .. })).collect();
        self.coming = exits;
        self.told = Default::default();
        (self.released, self.stopped_reports) = (0, 0);
        let mut found = Vec::new();
        for container in self.task.containers().iter().filter(|container| container.alive()) {
            let name = &container.spec.name;
            let process = self.processes.get_mut(name).filter(|process| process.running);
            found.push((
                name.clone(),
                match process {
                    Some(process) => {
                        process.kills = 0;
                        Found::Running { runtime_id: "r".into(), bindings: vec![], at: self.now }
                    }
                    None => Found::Nothing,
                },
            ));
        }
        self.step(Event::Recover(found));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_task_ends_in_order(
        containers in (1usize..5).prop_flat_map(|count| (0..count).map(container).collect::<Vec<_>>()),
        fates in prop::collection::vec(fate(), 5),
        stop_at in 0u64..100,
        crashes in prop::collection::vec(1usize..40, 0..3),
    ) {
        let fates = containers.iter().map(|spec| spec.name.clone()).zip(fates).collect();
        let task = Task::new(TaskSpec { containers }).unwrap();
        let told = Default::default();
        let mut world = World {
            now: Timestamp::EPOCH, task, fates, processes: BTreeMap::new(), coming: Vec::new(), look: None, told, released: 0, stopped_reports: 0,
        };
        world.step(Event::Begin);
        world.after(stop_at * 1000, Event::Stop);
        let stop = world.coming.last().cloned();
        let mut steps = 0;
        while world.advance() {
            steps += 1;
            prop_assert!(steps < 3000, "it never ends");
            if crashes.contains(&steps) {
                world.restart_agent();
                // The control plane asks again.
                world.coming.extend(stop.clone());
            }
        }
        prop_assert_eq!(world.task.status(), TaskStatus::Stopped);
        prop_assert_eq!(world.told.0, TaskStatus::Stopped, "the end is told");
        prop_assert_eq!(world.released, 1);
        prop_assert!(world.processes.values().all(|process| !process.running), "something still runs");
        prop_assert!(world.look.is_none(), "a stopped task has nothing to wait for");
        prop_assert!(world.told.1.values().all(|status| *status == ContainerStatus::Stopped));
    }
}
