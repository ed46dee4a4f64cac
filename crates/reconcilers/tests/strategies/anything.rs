//! Whatever happens: production traffic adds up to all of it, and one of the colours has its tasks.

use std::sync::Arc;
use std::time::Duration;

use model::lifecycle::{DeploymentStrategy, HookAction, HookStage, LifecycleStage, Router};
use model::service::{CircuitBreaker, DeploymentConfiguration, StopType};
use model::{ContainerInstanceStatus, Deployment, HealthStatus, RolloutState, Service, Task, TaskStatus, Weight};
use proptest::prelude::*;
use reconcilers::alarms::AlarmState;
use reconcilers::service::blue_green::hooks::HookAnswer;
use state::Snapshot;

use crate::story::{Story, canary, configuration, function, linear, pause, with_alarms};

const INSTANCES: [&str; 2] = ["a", "b"];
/// A calm world comes to rest within so many turns.
const CALM_TURNS_MAX: u32 = 400;

#[derive(Clone, Debug)]
enum Event {
    Reconcile,
    /// The agents do what they were told.
    Obey,
    Wait(u32),
    Scale(u32),
    Deploy(u32),
    Stop(StopType),
    Traffic,
    Pause(HookAction),
    Answer(HookAnswer),
    Alarm(AlarmState),
    Task(usize, Fate),
    Drain(usize, bool),
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Runs,
    Exits,
    FailsToStart,
    GetsSick,
    IsStoppedByUser,
}

fn event() -> impl Strategy<Value = Event> {
    let fate = prop::sample::select(vec![
        Fate::Runs,
        Fate::Runs,
        Fate::Exits,
        Fate::FailsToStart,
        Fate::GetsSick,
        Fate::IsStoppedByUser,
    ]);
    let answer = prop::sample::select(vec![
        HookAnswer::Succeeded,
        HookAnswer::Succeeded,
        HookAnswer::Failed,
        HookAnswer::InProgress { call_back_delay: None, details: None },
    ]);
    let state = prop::sample::select(vec![AlarmState::Alarm, AlarmState::Ok, AlarmState::InsufficientData]);
    prop_oneof![
        12 => Just(Event::Reconcile),
        8 => Just(Event::Obey),
        4 => prop::sample::select(vec![1, 11, 61, 301, 3601]).prop_map(Event::Wait),
        1 => (0u32..5).prop_map(Event::Scale),
        1 => (1u32..4).prop_map(Event::Deploy),
        1 => prop::sample::select(vec![StopType::Rollback, StopType::Abort]).prop_map(Event::Stop),
        4 => Just(Event::Traffic),
        3 => prop::sample::select(vec![HookAction::Continue, HookAction::Continue, HookAction::Rollback]).prop_map(Event::Pause),
        3 => answer.prop_map(Event::Answer),
        1 => state.prop_map(Event::Alarm),
        4 => (any::<prop::sample::Index>(), fate).prop_map(|(task, fate)| Event::Task(task.index(64), fate)),
        1 => (0..INSTANCES.len(), any::<bool>()).prop_map(|(instance, drains)| Event::Drain(instance, drains)),
    ]
}

fn strategy() -> impl Strategy<Value = DeploymentStrategy> {
    prop::sample::select(vec![
        DeploymentStrategy::BlueGreen,
        linear(33.3, 1),
        linear(100.0, 0),
        canary(5.0, 1),
        canary(100.0, 0),
    ])
}

fn configured(strategy: DeploymentStrategy, hooks: u8, rollback: bool) -> DeploymentConfiguration {
    let stages = [HookStage::PreScaleUp, HookStage::PostScaleUp, HookStage::PreProductionTrafficShift];
    let lifecycle_hooks = match hooks {
        0 => Vec::new(),
        1 => vec![pause(&stages)],
        _ => vec![pause(&stages[..1]), function(&HookStage::ALL)],
    };
    DeploymentConfiguration {
        lifecycle_hooks,
        circuit_breaker: Some(CircuitBreaker::new(true, rollback)),
        ..with_alarms(configuration(strategy), rollback)
    }
}

struct Run {
    story: Story,
}

impl Run {
    fn take(&mut self, event: &Event) {
        let story = &mut self.story;
        match event {
            Event::Reconcile => return self.reconcile(),
            Event::Obey => obey(story),
            Event::Wait(seconds) => story.world.wait(Duration::from_secs((*seconds).into())),
            Event::Scale(count) => story.world.scale(*count),
            Event::Deploy(revision) => story.world.deploy(*revision),
            // StopServiceDeployment lets a way back go on.
            Event::Stop(_) if story.primary().is_rollback() => {}
            Event::Stop(how) => story.world.stop_deployment(*how),
            Event::Traffic => story.world.shift_traffic(),
            Event::Pause(action) => story.world.continue_deployment(*action),
            Event::Answer(answer) => story.answer(answer.clone()),
            Event::Alarm(state) => drop(story.world.alarms.insert("errors".into(), *state)),
            Event::Task(number, fate) => meet(story, *number, *fate),
            Event::Drain(number, drains) => drain(story, INSTANCES[*number], *drains),
        }
        adds_up(&self.story.service());
    }

    /// One turn, with everything that must hold of it.
    fn reconcile(&mut self) {
        let world = &mut self.story.world;
        let (before, service_before) = (world.snapshot(), world.service());
        let plan = world.plan();
        world.commit(&plan).expect("nobody came in between");
        let after = world.snapshot();
        let service = world.service();
        adds_up(&service);
        one_colour_stays_whole(&before, &service_before, &after);
        traffic_goes_where_tasks_are(&before, &service_before, &service);
        if plan.look_again != Some(world.now) {
            let second = world.plan();
            let more: Vec<_> = second.changes.ops().map(|op| op.key()).collect();
            assert!(more.is_empty(), "the second look wants more: {more:?}");
        }
    }

    /// The weather is fine, and everybody says yes: the service gets to where it wants to be.
    fn calm_down(&mut self) {
        INSTANCES.iter().for_each(|id| drain(&self.story, id, false));
        self.story.world.alarms.clear();
        let mut tried_again = false;
        for _ in 0..CALM_TURNS_MAX {
            self.reconcile();
            obey(&self.story);
            self.story.world.shift_traffic();
            self.story.world.continue_deployment(HookAction::Continue);
            self.story.answer(HookAnswer::Succeeded);
            let plan = self.story.world.plan();
            match (plan.changes.is_empty(), plan.look_again) {
                (true, None) if self.story.primary().rollout_state == RolloutState::Failed => {
                    assert!(!tried_again, "it fails in fine weather");
                    tried_again = true;
                    self.story.world.deploy(1);
                }
                (true, None) => return,
                (true, Some(at)) => self.story.world.now = at,
                (false, _) => {}
            }
        }
        panic!("the service does not come to rest: {:?}", self.story.service());
    }
}

fn obey(story: &Story) {
    for task in story.world.live() {
        match (task.desired_status, task.last_status) {
            (TaskStatus::Stopped, _) => story.world.exits(&task.id),
            (_, TaskStatus::Pending) => story.world.runs(&task.id),
            _ => {}
        }
    }
}

fn meet(story: &Story, number: usize, fate: Fate) {
    let live = story.world.live();
    if live.is_empty() {
        return;
    }
    let task = &live[number % live.len()];
    let runs = task.last_status == TaskStatus::Running;
    match fate {
        Fate::Runs if !runs => story.world.runs(&task.id),
        Fate::Exits if runs => story.world.exits(&task.id),
        Fate::FailsToStart if !runs => story.world.fails_to_start(&task.id),
        Fate::GetsSick if runs => story.world.health(&task.id, HealthStatus::Unhealthy),
        Fate::IsStoppedByUser => {
            let stop = |task: &mut Task| task.request_stop(model::StopCode::UserInitiated, "", story.world.now);
            story.world.report(&task.id, stop);
        }
        _ => {}
    }
}

fn drain(story: &Story, id: &str, drains: bool) {
    let mut instance = story.world.instance(id).expect("it stays");
    instance.status = if drains { ContainerInstanceStatus::Draining } else { ContainerInstanceStatus::Active };
    story.world.put(&instance);
}

/// All production traffic goes somewhere, and nowhere else.
fn adds_up(service: &Service) {
    let Some(primary) = service.primary().filter(|one| one.lifecycle.is_some()) else { return };
    let weights = |one: &Deployment| service.weights(one).map_or(0.0, |(production, _)| production.percent());
    // When the one before has ended, all of it is with the newest.
    let total: f64 = service.deployments.iter().map(weights).sum();
    assert_eq!(total, 100.0, "{:?}", primary.lifecycle);
}

fn working(snapshot: &Snapshot, deployment: &Deployment) -> usize {
    let tasks = snapshot.tasks.by("service", "123456789012/us-east-1/default/web");
    let works = |task: &&Arc<Task>| {
        deployment.has(task)
            && task.desired_status == TaskStatus::Running
            && task.last_status == TaskStatus::Running
            && task.health != HealthStatus::Unhealthy
    };
    tasks.filter(works).count()
}

/// No turn takes its tasks from the only colour that had them.
fn one_colour_stays_whole(before: &Snapshot, service: &Service, after: &Snapshot) {
    let desired = service.desired_count as usize;
    let counts =
        |snapshot: &Snapshot| -> Vec<usize> { service.deployments.iter().map(|one| working(snapshot, one)).collect() };
    let (had, has) = (counts(before), counts(after));
    if had.iter().any(|count| *count >= desired) {
        assert!(
            has.iter().any(|count| *count >= desired),
            "of {desired}: {had:?}, then {has:?}: {:?}",
            service.primary()
        );
    }
}

/// A step goes only to a colour that has its tasks; back it always goes.
fn traffic_goes_where_tasks_are(snapshot: &Snapshot, before: &Service, after: &Service) {
    let (Some(old), Some(new)) = (before.primary(), after.primary()) else { return };
    let share = |service: &Service, one: &Deployment| service.weights(one).map_or(Weight::NONE, |(all, _)| all);
    if old.id == new.id && !new.is_rollback() && share(after, new) > share(before, old) {
        assert!(working(snapshot, new) >= after.desired_count as usize, "traffic goes to what is not there");
    }
    let stage = |one: &Deployment| one.stage();
    if old.id == new.id && stage(old) != stage(new) && stage(new) == Some(LifecycleStage::CleanUp) && !new.is_rollback()
    {
        assert!(working(snapshot, new) >= after.desired_count as usize, "blue ends before green stands");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn one_colour_serves_and_the_service_gets_where_it_wants_to_be(
        strategy in strategy(),
        router in prop::sample::select(vec![Router::Nobody, Router::LoadBalancer]),
        hooks in 0u8..3,
        rollback in any::<bool>(),
        begins_with in prop::option::of(1u32..3),
        events in prop::collection::vec(event(), 0..80),
    ) {
        let mut run = Run { story: Story::new(configured(strategy, hooks, rollback), router) };
        run.story.world.deploy(1);
        if let Some(revision) = begins_with {
            run.calm_down();
            run.story.world.deploy(revision);
        }
        for event in &events {
            run.take(event);
        }
        run.calm_down();
        let service = run.story.service();
        let primary = service.primary().expect("there is one");
        prop_assert_eq!(service.deployments.len(), 1);
        prop_assert_eq!(primary.rollout_state, RolloutState::Completed);
        let live = run.story.world.live();
        prop_assert_eq!(live.len(), service.desired_count as usize);
        prop_assert!(live.iter().all(|task| primary.has(task) && task.last_status == TaskStatus::Running));
    }
}
