//! A deployment as a text: each line is what was decided before the world moved again.

use std::sync::Arc;
use std::time::Duration;

use expect_test::Expect;
use model::lifecycle::{
    CanaryConfiguration, DeploymentStrategy, HookAction, HookStage, HookTarget, Lifecycle, LifecycleHook,
    LifecycleStage, LinearConfiguration, Router, Weight,
};
use model::service::{DeploymentAlarms, DeploymentConfiguration};
use model::{Deployment, RolloutState, Service, Task, TaskStatus};
use reconcilers::service::blue_green::hooks::{self, HookAnswer};
use state::Snapshot;

use crate::world::{self, World};

/// A history that is not at its end by then will never be.
const STEPS_MAX: u32 = 200;
pub const DESIRED: u32 = 3;
pub const BAKE_MINUTES: u32 = 5;

pub struct Story {
    pub world: World,
    pub text: Vec<String>,
    /// Tasks of this revision end when they should start.
    pub broken: Option<u32>,
    /// Whoever routes the traffic is at work.
    pub shifts: bool,
    seen: Option<(LifecycleStage, f64, f64)>,
}

pub fn percent(percent: f64) -> Weight {
    Weight::from_percent(percent).expect("a multiple of 0.1")
}

pub fn linear(step: f64, minutes: u32) -> DeploymentStrategy {
    DeploymentStrategy::Linear(LinearConfiguration { step: percent(step), step_bake_time_in_minutes: minutes })
}

pub fn canary(canary: f64, minutes: u32) -> DeploymentStrategy {
    DeploymentStrategy::Canary(CanaryConfiguration { canary: percent(canary), canary_bake_time_in_minutes: minutes })
}

pub fn configuration(strategy: DeploymentStrategy) -> DeploymentConfiguration {
    DeploymentConfiguration { strategy, bake_time_in_minutes: Some(BAKE_MINUTES), ..Default::default() }
}

pub fn with_alarms(mut configuration: DeploymentConfiguration, rollback: bool) -> DeploymentConfiguration {
    configuration.alarms =
        Some(DeploymentAlarms { names: vec!["errors".into(), "latency".into()], enable: true, rollback });
    configuration
}

pub fn pause(stages: &[HookStage]) -> LifecycleHook {
    hook(HookTarget::Pause, stages)
}

pub fn function(stages: &[HookStage]) -> LifecycleHook {
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:check".to_owned();
    hook(HookTarget::AwsLambda { arn, role_arn: "arn:aws:iam::123456789012:role/hooks".into() }, stages)
}

fn hook(target: HookTarget, stages: &[HookStage]) -> LifecycleHook {
    LifecycleHook {
        target,
        stages: stages.to_vec(),
        details: None,
        timeout_in_minutes: 60,
        timeout_action: HookAction::Rollback,
    }
}

impl Story {
    /// A service whose first deployment has not begun.
    pub fn new(configuration: DeploymentConfiguration, router: Router) -> Story {
        let mut world = World::new();
        for revision in [1, 2, 3] {
            world.define(&world::definition(revision));
        }
        for id in ["a", "b"] {
            world.put(&world::instance(id));
        }
        world.router = router;
        world.create_configured(DESIRED, configuration);
        Story { world, text: Vec::new(), broken: None, shifts: true, seen: None }
    }

    /// The first revision serves, and the second is to.
    pub fn deployed(configuration: DeploymentConfiguration, router: Router) -> Story {
        let mut story = Story::new(configuration, router);
        story.world.deploy(1);
        while story.go_on().is_paused() {
            story.world.continue_deployment(HookAction::Continue);
        }
        assert_eq!(story.primary().rollout_state, RolloutState::Completed, "{}", story.text.join("\n"));
        story.begin(2);
        story
    }

    /// The same where functions are asked, and agree to the first revision.
    pub fn deployed_with_answers(configuration: DeploymentConfiguration, router: Router) -> Story {
        let mut story = Story::new(configuration, router);
        story.world.deploy(1);
        while story.go_on().is_paused() {
            story.world.continue_deployment(HookAction::Continue);
            story.answer(HookAnswer::Succeeded);
        }
        assert_eq!(story.primary().rollout_state, RolloutState::Completed, "{}", story.text.join("\n"));
        story.begin(2);
        story
    }

    /// As whoever calls functions does, with every call that is open.
    pub fn answer(&self, said: HookAnswer) {
        let now = self.world.now;
        self.world.change_lifecycle(|lifecycle| {
            lifecycle.runs.iter_mut().for_each(|run| hooks::answer(run, said.clone(), now));
        });
    }

    pub fn begin(&mut self, revision: u32) -> &mut Self {
        self.world.deploy(revision);
        self.text.clear();
        self.seen = None;
        self
    }

    /// Until nothing happens any more, or somebody is asked.
    pub fn go_on(&mut self) -> &mut Self {
        self.until(|_| false)
    }

    pub fn until_stage(&mut self, stage: LifecycleStage) -> &mut Self {
        self.until(|story| story.stage() == Some(stage));
        assert_eq!(self.stage(), Some(stage), "{}", self.text.join("\n"));
        self
    }

    pub fn until(&mut self, reached: impl Fn(&Story) -> bool) -> &mut Self {
        for _ in 0..STEPS_MAX {
            if reached(self) || !self.step() {
                return self;
            }
        }
        panic!("it does not come to its end:\n{}", self.text.join("\n"));
    }

    /// The scheduler acts until it has nothing more to do, and then the world does its part. False at the end.
    pub fn step(&mut self) -> bool {
        let mut acted = false;
        let look_again = loop {
            let before = self.world.snapshot();
            let plan = self.world.plan();
            if plan.changes.is_empty() {
                break plan.look_again;
            }
            self.world.commit(&plan).expect("nobody came in between");
            self.write_down(&before);
            acted = true;
        };
        if self.is_paused() {
            return false;
        }
        let moved = self.world_does_its_part();
        match look_again {
            _ if moved => self.world.wait(Duration::from_secs(10)),
            Some(at) => {
                let waited = at.since(self.world.now).as_secs();
                if waited >= 60 {
                    self.text.push(format!("wait {} minutes", waited / 60));
                }
                self.world.now = at;
            }
            None => {}
        }
        acted || moved || look_again.is_some()
    }

    fn write_down(&mut self, before: &Snapshot) {
        let mut words: Vec<String> = Vec::new();
        let now = self.seen();
        if let Some((stage, production, test)) = now {
            if self.seen.map(|seen| seen.0) != Some(stage) {
                words.push(stage.as_str().into());
            }
            if self.seen.map(|seen| seen.1) != Some(production) {
                words.push(format!("production {production}"));
            }
            if self.seen.map(|seen| seen.2) != Some(test) {
                words.push(format!("test {test}"));
            }
        }
        self.seen = now;
        for revision in [1, 2, 3] {
            let (mut started, mut stopped) = (0, 0);
            for task in self.world.snapshot().tasks.iter().filter(|task| task.revision == revision) {
                match before.tasks.get(&state::Record::name(&**task)) {
                    None => started += 1,
                    Some(known) if known.desired_status != task.desired_status => stopped += 1,
                    Some(_) => {}
                }
            }
            for (what, count) in [("start", started), ("stop", stopped)] {
                if count > 0 {
                    words.push(format!("{what} {count} of {revision}"));
                }
            }
        }
        let primary = self.primary();
        if primary.rollout_state == RolloutState::Failed {
            words.push(format!("failed: {}", primary.rollout_state_reason));
        } else if primary.is_rollback() && before_primary(before).is_some_and(|one| one.id != primary.id) {
            words.push(primary.rollout_state_reason.clone());
        } else if primary.rollout_state == RolloutState::Completed {
            words.push("completed".into());
        }
        if let Some(run) = self.lifecycle().and_then(|one| one.runs.iter().find(|run| run.is_open()).cloned()) {
            words.push(format!("{} at {}", run.status.as_str(), run.stage.as_str()));
        }
        if !words.is_empty() && self.text.last() != Some(&words.join(", ")) {
            self.text.push(words.join(", "));
        }
    }

    fn seen(&self) -> Option<(LifecycleStage, f64, f64)> {
        let lifecycle = self.lifecycle()?;
        Some((lifecycle.stage, lifecycle.production.desired.percent(), lifecycle.test.desired.percent()))
    }

    fn world_does_its_part(&mut self) -> bool {
        let mut moved = false;
        for task in self.world.live() {
            match (task.desired_status, task.last_status) {
                (TaskStatus::Stopped, _) => self.world.exits(&task.id),
                (_, TaskStatus::Pending) if self.broken == Some(task.revision) => self.world.fails_to_start(&task.id),
                (_, TaskStatus::Pending) => self.world.runs(&task.id),
                _ => continue,
            }
            moved = true;
        }
        if self.shifts && self.lifecycle().is_some_and(|one| !one.production.is_applied() || !one.test.is_applied()) {
            self.world.shift_traffic();
            moved = true;
        }
        moved
    }

    #[track_caller]
    pub fn check(&mut self, expected: Expect) -> &mut Self {
        expected.assert_eq(&self.text.join("\n"));
        self
    }

    pub fn service(&self) -> Service {
        self.world.service()
    }

    pub fn primary(&self) -> Deployment {
        self.service().primary().expect("there is one").clone()
    }

    pub fn lifecycle(&self) -> Option<Lifecycle> {
        let primary = self.primary();
        primary.lifecycle.filter(|_| primary.rollout_state != RolloutState::Completed).map(|one| *one)
    }

    pub fn stage(&self) -> Option<LifecycleStage> {
        self.lifecycle().map(|lifecycle| lifecycle.stage)
    }

    pub fn is_paused(&self) -> bool {
        let is_open = |lifecycle: Lifecycle| lifecycle.runs.iter().any(|run| run.is_open());
        self.lifecycle().is_some_and(is_open)
    }

    pub fn running(&self, revision: u32) -> usize {
        let live = self.world.live();
        let runs = |task: &&Arc<Task>| task.shown_status() == TaskStatus::Running && task.revision == revision;
        live.iter().filter(runs).count()
    }
}

fn before_primary(before: &Snapshot) -> Option<Deployment> {
    let service = before.services.get("123456789012/us-east-1/default/web")?;
    service.primary().cloned()
}
