//! Whatever happens to a cluster, the scheduler with its kept indexes does what the simple one does.

mod cluster;
mod reference;

use cluster::{definition, instance, ledger, scope};
use model::task::LaunchType;
use model::{Attribute, ContainerInstance, ContainerInstanceStatus, CpuUnits, MemoryMib, PortReservation, Reservation};
use proptest::prelude::*;
use reference::Reference;
use scheduler::{Indexes, Launch, Request, Scheduler, Strategy as Placing};
use state::{Changes, Ledger, MemoryLedger, Snapshot};
use stdx::{Ids, Timestamp};

const EXPRESSIONS: &[&str] = &[
    "attribute:zone in [1, 2]",
    "attribute:disk == ssd",
    "attribute:disk !exists or attribute:zone =~ [13]",
    "agentVersion >= 1.50.0",
    "runningTasksCount <= 1",
    "task:group != service:b",
    "task:group == service:a or attribute:zone == 1",
    "ec2InstanceId in [i-0, i-1, i-2, i-3, i-4]",
    "registeredAt > 1970-01-01T00:00:02",
];

fn strategies() -> Vec<Vec<Placing>> {
    use Placing::{BinpackCpu, BinpackMemory, Random};
    let by = |attribute: &str| Placing::Spread(attribute.into());
    let host = || by("instanceId");
    vec![
        vec![],
        vec![host()],
        vec![by("zone")],
        vec![by("zone"), BinpackMemory],
        vec![by("zone"), host()],
        vec![by("zone"), by("disk"), BinpackCpu, BinpackMemory],
        vec![BinpackMemory],
        vec![BinpackCpu, by("zone")],
        vec![BinpackMemory, host()],
        vec![host(), BinpackCpu, by("disk")],
        vec![Random],
        vec![by("zone"), Random],
        vec![host(), BinpackMemory, Random],
        vec![by("nothing"), BinpackMemory, by("zone"), BinpackMemory],
    ]
}

/// A request, by numbers.
#[derive(Clone, Debug)]
struct Wish {
    group: usize,
    strategies: usize,
    expressions: Vec<usize>,
    needs: Option<usize>,
    distinct: bool,
    external: bool,
    size: (u32, u32),
    port: Option<u16>,
    gpus: u32,
    interfaces: u32,
}

impl Wish {
    fn request(&self) -> Request {
        let attribute = |name: &str, value: Option<&str>| Attribute { name: name.into(), value: value.map(Into::into) };
        let needs = [attribute("disk", None), attribute("disk", Some("ssd")), attribute("zone", Some("2"))];
        let protocol = if self.size.0.is_multiple_of(2) { Default::default() } else { model::resources::Protocol::Udp };
        Request {
            family: "web".into(),
            group: ["service:a", "service:b", "family:c"][self.group].into(),
            launch_type: if self.external { LaunchType::External } else { LaunchType::Ec2 },
            reservation: Reservation {
                cpu: CpuUnits(self.size.0),
                memory: MemoryMib(self.size.1),
                ports: self.port.map(|port| PortReservation { port, protocol }).into_iter().collect(),
                gpus: self.gpus,
                network_interfaces: self.interfaces,
            },
            requires_attributes: self.needs.map(|at| needs[at].clone()).into_iter().collect(),
            distinct_instance: self.distinct,
            member_of: self.expressions.iter().map(|at| EXPRESSIONS[*at].parse().unwrap()).collect(),
            strategies: strategies()[self.strategies].clone(),
            providers: Vec::new(),
        }
    }
}

fn rarely<T: Clone + std::fmt::Debug>(inner: impl Strategy<Value = T> + Clone) -> impl Strategy<Value = Option<T>> {
    prop::option::weighted(0.15, inner)
}

fn wish() -> impl Strategy<Value = Wish> {
    let asks =
        (0usize..3, 0usize..strategies().len(), prop::collection::vec(0..EXPRESSIONS.len(), 0..2), rarely(0usize..3));
    let takes = ((0u32..30, 0u32..30), rarely(prop::sample::select(vec![80u16, 81])), rarely(1u32..3), 0u32..2);
    (asks, prop::bool::weighted(0.15), prop::bool::weighted(0.1), takes).prop_map(
        |((group, strategies, expressions, needs), distinct, external, (size, port, gpus, interfaces))| Wish {
            group,
            strategies,
            expressions,
            needs,
            distinct,
            external,
            size,
            port,
            gpus: gpus.unwrap_or_default(),
            interfaces,
        },
    )
}

#[derive(Clone, Debug)]
enum Step {
    /// So many of each, with room for daemons; then it is committed, or forgotten.
    Round {
        wishes: Vec<(Wish, usize)>,
        daemons: Vec<Wish>,
        commits: bool,
    },
    /// Each instance in turn is asked by its number.
    On {
        wish: Wish,
        instance: usize,
        commits: bool,
    },
    Run(usize),
    Stop(usize),
    Instance {
        number: usize,
        change: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let wishes = prop::collection::vec((wish(), 1usize..8), 1..4);
    let daemons = prop::collection::vec(wish(), 0..2);
    prop_oneof![
        4 => (wishes, daemons, any::<bool>()).prop_map(|(wishes, daemons, commits)| Step::Round { wishes, daemons, commits }),
        1 => (wish(), 0usize..12, any::<bool>()).prop_map(|(wish, instance, commits)| Step::On { wish, instance, commits }),
        1 => any::<prop::sample::Index>().prop_map(|index| Step::Run(index.index(1000))),
        2 => any::<prop::sample::Index>().prop_map(|index| Step::Stop(index.index(1000))),
        2 => (0usize..12, 0usize..10).prop_map(|(number, change)| Step::Instance { number, change }),
    ]
}

/// The instance of that number, and every number is another.
fn made(number: usize) -> ContainerInstance {
    let (cpu, memory) = [(100, 100), (60, 120), (200, 50)][number % 3];
    let mut made = instance(&format!("{number:02}"), ["1", "2", "3"][number % 3], cpu, memory);
    let attribute = |name: &str, value: Option<&str>| Attribute { name: name.into(), value: value.map(Into::into) };
    match number % 4 {
        0 => made.attributes.push(attribute("disk", Some("ssd"))),
        1 => made.attributes.push(attribute("disk", None)),
        _ => {}
    }
    if number == 7 {
        made.attributes.push(attribute("ecs.capability.external", None));
    }
    made.ec2_instance_id = Some(format!("i-{number}"));
    made.registered_at = Timestamp::from_millis(number as i64 * 500);
    made.version_info.agent_version = ["1.40.0", "1.105.1"][number % 2].into();
    made.registered.ports_tcp.extend([22, 81].into_iter().take(number % 3));
    made.registered.gpus.extend((0..number % 3).map(|gpu| format!("gpu-{gpu}")));
    made.registered.network_interfaces = [None, Some(2)][number % 2];
    made
}

struct Case {
    ledger: MemoryLedger,
    indexes: Indexes,
    ids: Ids,
    seed: u64,
}

impl Case {
    fn snapshot(&self) -> Snapshot {
        (*self.ledger.snapshot()).clone()
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Round { wishes, daemons, commits } => self.round(wishes, daemons, *commits),
            Step::On { wish, instance, commits } => self.on(wish, *instance, *commits),
            Step::Run(number) => {
                self.task(*number, |task| task.last_status = model::TaskStatus::Running);
                Ok(())
            }
            Step::Stop(number) => {
                self.task(*number, |task| task.last_status = model::TaskStatus::Stopped);
                Ok(())
            }
            Step::Instance { number, change } => {
                self.change(*number, *change);
                Ok(())
            }
        }
    }

    fn round(&mut self, wishes: &[(Wish, usize)], daemons: &[Wish], commits: bool) -> Result<(), TestCaseError> {
        let snapshot = self.snapshot();
        self.seed += 1;
        let mut simple = Reference::new(&snapshot, &scope(), "default", self.seed);
        let indexes = std::mem::take(&mut self.indexes);
        let mut scheduler = Scheduler::new(&indexes, &snapshot, &scope(), "default", self.seed);
        for daemon in daemons {
            simple.kept.push(daemon.request());
            scheduler.keep_room_for(daemon.request());
        }
        let mut changes = Changes::new();
        for (wish, count) in wishes {
            let request = wish.request();
            for _ in 0..*count {
                let placement = scheduler.place(&request);
                let chosen = placement.as_ref().map(|placement| placement.instance.id.clone());
                prop_assert_eq!(&chosen, &simple.place(&request), "{:?}", request);
                match placement {
                    Some(placement) => self.launch(&placement, &request, &snapshot, &mut changes),
                    None => {
                        prop_assert_eq!(scheduler.explain(&request).rejections.len(), simple.candidates.len());
                        break;
                    }
                }
            }
            let refused = simple.candidates.iter().filter(|candidate| !simple.fits(candidate, &request));
            let refused: Vec<String> = refused.map(|candidate| candidate.instance.id.clone()).collect();
            let explained = scheduler.explain(&request).rejections;
            prop_assert_eq!(explained.iter().map(|one| one.instance.id.clone()).collect::<Vec<_>>(), refused);
        }
        drop(scheduler);
        self.indexes = indexes;
        self.finish(&changes, commits)
    }

    fn on(&mut self, wish: &Wish, number: usize, commits: bool) -> Result<(), TestCaseError> {
        let snapshot = self.snapshot();
        let request = wish.request();
        let id = format!("{number:02}");
        let mut simple = Reference::new(&snapshot, &scope(), "default", self.seed);
        let indexes = std::mem::take(&mut self.indexes);
        let mut scheduler = Scheduler::new(&indexes, &snapshot, &scope(), "default", self.seed);
        let mut changes = Changes::new();
        let placed = scheduler.place_on(&id, &request);
        prop_assert_eq!(placed.is_ok(), simple.place_on(&id, &request));
        if let Ok(placement) = placed {
            self.launch(&placement, &request, &snapshot, &mut changes);
        }
        drop(scheduler);
        self.indexes = indexes;
        self.finish(&changes, commits)
    }

    fn launch(
        &mut self,
        placement: &scheduler::Placement,
        request: &Request,
        snapshot: &Snapshot,
        changes: &mut Changes,
    ) {
        let launch = Launch {
            definition: &definition(0, 0, &[]),
            request,
            cluster: "default",
            launch_type: request.launch_type,
            started_by: String::new(),
            overrides: None,
            tags: Vec::new(),
            execute_command_enabled: false,
        };
        launch.record(placement, snapshot, changes, &mut self.ids, Timestamp::EPOCH);
    }

    /// No instance may have given more than it has, nor a port twice.
    fn finish(&mut self, changes: &Changes, commits: bool) -> Result<(), TestCaseError> {
        if !commits {
            return Ok(());
        }
        self.ledger.commit_now(changes).unwrap();
        let snapshot = self.snapshot();
        for instance in snapshot.container_instances.iter() {
            let (all, load) = (&instance.registered, snapshot.load(instance));
            prop_assert!(load.cpu <= all.cpu && load.memory <= all.memory && load.gpus <= all.gpus.len() as u32);
            prop_assert!(all.network_interfaces.is_none_or(|all| load.network_interfaces <= all));
            prop_assert!(load.ports.values().all(|count| *count == 1));
        }
        Ok(())
    }

    fn task(&mut self, number: usize, change: impl Fn(&mut model::Task)) {
        let snapshot = self.snapshot();
        let live: Vec<_> = snapshot.tasks.iter().filter(|task| task.is_live()).collect();
        if live.is_empty() {
            return;
        }
        let mut task = model::Task::clone(live[number % live.len()]);
        change(&mut task);
        let mut changes = Changes::new();
        changes.put(&snapshot, &task);
        self.ledger.commit_now(&changes).unwrap();
    }

    fn change(&mut self, number: usize, change: usize) {
        let snapshot = self.snapshot();
        let known = snapshot.container_instances.get(&format!("{}/default/{number:02}", scope()));
        let mut instance = known.map_or_else(|| made(number), |known| ContainerInstance::clone(known));
        let mut changes = Changes::new();
        match change {
            0 => instance.status = ContainerInstanceStatus::Draining,
            1 => instance.status = ContainerInstanceStatus::Active,
            2 => instance.agent_connected = !instance.agent_connected,
            3 => instance.attributes.retain(|attribute| attribute.name != "disk"),
            4 => instance.attributes.push(Attribute { name: "disk".into(), value: Some("hdd".into()) }),
            5 => instance.status = ContainerInstanceStatus::Inactive,
            6 => instance.version_info.agent_version = "1.60.0".into(),
            8 => instance.attributes.retain(|attribute| attribute.name != "berth.disk-pressure"),
            9 => instance.attributes.push(Attribute { name: "berth.disk-pressure".into(), value: Some("true".into()) }),
            _ => {
                if known.is_some() {
                    changes.delete(&snapshot, &instance);
                    self.ledger.commit_now(&changes).unwrap();
                }
                return;
            }
        }
        changes.put(&snapshot, &instance);
        self.ledger.commit_now(&changes).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_indexes_change_nothing(count in 0usize..12, steps in prop::collection::vec(step(), 1..16), seed in 0u64..1000) {
        let instances: Vec<_> = (0..count).map(made).collect();
        let mut case = Case { ledger: ledger(&instances), indexes: Indexes::default(), ids: Ids::from_seed(seed.into()), seed };
        for step in &steps {
            case.step(step)?;
        }
    }

    /// Many small tasks of few kinds: so the groups get orders of their own, and lose them.
    #[test]
    fn the_orders_of_groups_change_nothing(
        count in 1usize..12,
        steps in prop::collection::vec(step(), 1..24),
        kinds in prop::collection::vec(prop::sample::select(vec![0usize, 1, 4, 8, 9, 12]), 3),
        seed in 0u64..1000,
    ) {
        let instances: Vec<_> = (0..count).map(made).collect();
        let mut case = Case { ledger: ledger(&instances), indexes: Indexes::default(), ids: Ids::from_seed(seed.into()), seed };
        for mut step in steps {
            if let Step::Round { wishes, .. } = &mut step {
                for (wish, count) in wishes {
                    let (size, strategies) = ((wish.size.0 / 10, wish.size.1 / 10), kinds[wish.group]);
                    *wish = Wish { size, strategies, expressions: vec![], needs: None, external: false, port: None, ..wish.clone() };
                    *count *= 5;
                }
            }
            case.step(&step)?;
        }
    }
}
