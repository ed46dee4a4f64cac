//! Golden plans: a small world in text, and what the service does about it.
//!
//! A file of `tests/plans` is a story. Its lines change the world; after each `turn` follow, indented, the decisions that
//! the reconciler made. `UPDATE_EXPECT=1 cargo nextest run -p reconcilers` writes the decisions anew.

mod world;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use expect_test::expect_file;
use model::service::{CircuitBreaker, EarlySuccess, FailureThreshold, RevisionCleanup, StopType};
use model::{ContainerInstanceStatus, HealthStatus, RolloutState, StopCode, Task, TaskStatus};
use state::Snapshot;

use world::World;

/// How many turns `settle` waits for the world to come to rest.
const SETTLE_TURNS_MAX: u32 = 30;

struct Story {
    world: World,
    /// What the story calls a task, and its id.
    names: BTreeMap<String, String>,
    started: u32,
    text: String,
}

fn check(file: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/plans").join(file);
    let script = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut story = Story { world: World::new(), names: BTreeMap::new(), started: 0, text: String::new() };
    for line in script.lines().filter(|line| !line.starts_with(' ')) {
        story.text.push_str(line);
        story.text.push('\n');
        if !line.starts_with('#') {
            story.act(line);
        }
    }
    expect_file![path].assert_eq(&story.text);
}

impl Story {
    fn act(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let world = &mut self.world;
        match words[..] {
            [] => {}
            ["definition", revision, ref features @ ..] => world.define(&definition(number(revision), features)),
            ["service", ref settings @ ..] => {
                world.create_service(setting(settings, "desired"), setting(settings, "min"), setting(settings, "max"));
            }
            ["daemon", ref settings @ ..] => {
                world.create_daemon(setting(settings, "min"), setting(settings, "max"));
            }
            ["external", ref settings @ ..] => world.create_external(setting(settings, "desired")),
            ["task", "set", id, "revision", revision, "scale", percent] => {
                world.scale_task_set(id, number(revision), percent.parse().expect("a scale is a number"));
            }
            ["delete", "task", "set", id] => world.delete_task_set(id),
            ["standalone", id, "on", instance] => {
                let mut task = world::task(id, instance, &world.service().deployments[0], world.now);
                (task.group, task.started_by) = ("family:web".into(), String::new());
                world.put(&task);
                self.names.insert(id.to_owned(), id.to_owned());
            }
            ["pack", field] => {
                let mut service = world.service();
                let field = Some(field.to_owned());
                service.placement_strategy = vec![model::service::PlacementStrategy { kind: "binpack".into(), field }];
                world.put(&service);
            }
            ["spread", attribute] => {
                let mut service = world.service();
                let field = Some(attribute.to_owned());
                service.placement_strategy = vec![model::service::PlacementStrategy { kind: "spread".into(), field }];
                world.put(&service);
            }
            ["balance", "zones"] => {
                world.put(&model::Service { availability_zone_rebalancing: true, ..world.service() });
            }
            ["instance", id, ref features @ ..] => instance(world, id, features),
            ["running", ref tasks @ .., "on", instance] => {
                let mut service = world.service();
                service.deployments[0].rollout_state = RolloutState::Completed;
                world.put(&service);
                for id in tasks {
                    world.put(&world::task(id, instance, &service.deployments[0], world.now));
                    self.names.insert((*id).to_owned(), (*id).to_owned());
                }
            }
            ["desired", count] => world.scale(number(count)),
            ["deploy", revision] => world.deploy(number(revision)),
            ["grace", time] => {
                let mut service = world.service();
                service.health_check_grace_period_seconds = Some(duration(time).as_secs() as u32);
                world.put(&service);
            }
            ["breaker", ref wishes @ ..] => {
                let mut service = world.service();
                let breaker = circuit_breaker(wishes);
                service.deployment_configuration.circuit_breaker = Some(breaker);
                world.put(&service);
            }
            ["early", percent, cleanup] => {
                let mut service = world.service();
                let cleanup = if cleanup == "blocking" { RevisionCleanup::Blocking } else { RevisionCleanup::Deferred };
                let early = EarlySuccess { enable: true, healthy_percent: number(percent), cleanup };
                service.deployment_configuration.early_success = Some(early);
                world.put(&service);
            }
            ["bake", minutes] => {
                let mut service = world.service();
                service.deployment_configuration.bake_time_in_minutes = Some(number(minutes));
                world.put(&service);
            }
            ["tag", key, value] => {
                let mut service = world.service();
                service.tags.push(model::Tag { key: key.into(), value: value.into() });
                world.put(&service);
            }
            ["all", "fail", "to", "start"] => {
                let pending = |task: &&Arc<Task>| task.last_status == TaskStatus::Pending;
                world.live().iter().filter(pending).for_each(|task| world.fails_to_start(&task.id));
            }
            ["stop", "the", "deployment", kind] => {
                let mut service = world.service();
                let kind = if kind == "rollback" { StopType::Rollback } else { StopType::Abort };
                service.deployments[0].stop_requested = Some(kind);
                world.put(&service);
            }
            ["delete"] => world.delete_service(),
            ["wait", time] => world.wait(duration(time)),
            ["turn"] => self.turn(),
            ["settle"] => self.settle(),
            ["all", "run"] => self.all_run(),
            ["all", "stop"] => self.all_stop(),
            [task, ref what @ ..] => self.report(task, what),
        }
    }

    fn report(&mut self, task: &str, what: &[&str]) {
        let id = self.names.get(task).unwrap_or_else(|| panic!("there is no task {task}")).clone();
        let world = &self.world;
        match what {
            ["runs"] => world.runs(&id),
            ["exits"] => world.exits(&id),
            ["fails", "to", "start"] => world.fails_to_start(&id),
            ["is", "protected", "for", time] => {
                let until = world.now + duration(time);
                world.report(&id, |task| task.protected_until = Some(until));
            }
            ["cannot", "pull"] => world.report(&id, |task| {
                let reason = "CannotPullContainerError: Error response from daemon: manifest unknown";
                task.stopped(StopCode::TaskFailedToStart, reason, world.now);
            }),
            ["stops"] => world.report(&id, |task| task.stopped(StopCode::UserInitiated, "", world.now)),
            ["is", "stopped", "by", "a", "user"] => {
                world.report(&id, |task| task.request_stop(StopCode::UserInitiated, "Task stopped by user", world.now));
            }
            ["is", "ready"] => world.readiness(&id, true),
            ["is", "not", "ready"] => world.readiness(&id, false),
            ["is", "sick"] => world.health(&id, HealthStatus::Unhealthy),
            ["is", "healthy"] => world.health(&id, HealthStatus::Healthy),
            _ => panic!("what does {task} do? {what:?}"),
        }
    }

    fn all_run(&mut self) {
        for task in self.world.live() {
            if task.last_status == TaskStatus::Pending && task.desired_status == TaskStatus::Running {
                self.world.runs(&task.id);
            }
        }
    }

    fn all_stop(&mut self) {
        for task in self.world.live() {
            if task.desired_status == TaskStatus::Stopped {
                self.world.report(&task.id, |task| task.stopped(StopCode::UserInitiated, "", self.world.now));
            }
        }
    }

    fn turn(&mut self) {
        let decisions = self.decisions();
        self.say(if decisions.is_empty() { vec!["nothing".to_owned()] } else { decisions });
    }

    /// Turns with agents that do as they are told, until nothing moves.
    fn settle(&mut self) {
        for number in 1..=SETTLE_TURNS_MAX {
            let decisions = self.decisions();
            let waits = decisions.iter().find_map(|line| line.strip_prefix("look again in ").map(duration));
            let before = self.world.snapshot().revision;
            self.all_stop();
            self.all_run();
            let is_calm = decisions.is_empty() && self.world.snapshot().revision == before;
            if is_calm {
                return;
            }
            if !decisions.is_empty() {
                self.say(vec![format!("{number}.")]);
                self.say(decisions);
            }
            if self.world.snapshot().revision == before {
                self.world.wait(waits.unwrap_or_default());
            }
        }
        panic!("the world does not come to rest:\n{}", self.text);
    }

    fn say(&mut self, lines: Vec<String>) {
        for line in lines {
            self.text.push_str(&format!("    {}\n", self.named(&line)));
        }
    }

    /// What a turn changes, in words; afterwards it is so.
    fn decisions(&mut self) -> Vec<String> {
        let before = self.world.snapshot();
        let plan = self.world.plan();
        self.world.commit(&plan).expect("nobody came in between");
        let after = self.world.snapshot();
        let mut decisions = self.of_tasks(&before, &after);
        decisions.extend(of_service(&before, &after));
        if let Some(at) = plan.look_again {
            decisions.push(format!("look again in {}s", at.since(self.world.now).as_secs()));
        }
        decisions
    }

    fn of_tasks(&mut self, before: &Snapshot, after: &Snapshot) -> Vec<String> {
        let mut started: Vec<&Arc<Task>> = Vec::new();
        let mut stopped: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for task in after.tasks.iter() {
            match before.tasks.get(&state::Record::name(&**task)) {
                None => started.push(task),
                Some(known) if known.desired_status != task.desired_status => {
                    stopped.entry(&task.stopped_reason).or_default().push(&task.id);
                }
                Some(_) => {}
            }
        }
        // Ids are random, so names are given in an order that a reader expects.
        started.sort_by_key(|task| (task.container_instance.clone(), task.id.clone()));
        for task in &started {
            self.started += 1;
            self.names.insert(format!("T{}", self.started), task.id.clone());
        }
        let mut by_instance: BTreeMap<(&str, u32), Vec<&str>> = BTreeMap::new();
        for task in started {
            by_instance.entry((&task.container_instance, task.revision)).or_default().push(&task.id);
        }
        let mut decisions = Vec::new();
        for ((instance, revision), ids) in by_instance {
            decisions.push(format!("start {} of web:{revision} on {instance}", ids.join(" ")));
        }
        for (reason, ids) in stopped {
            decisions.push(format!("stop {}: {reason}", ids.join(" ")));
        }
        decisions
    }

    fn named(&self, line: &str) -> String {
        let mut line = line.to_owned();
        for (name, id) in &self.names {
            line = line.replace(id, name);
        }
        line
    }
}

fn of_service(before: &Snapshot, after: &Snapshot) -> Vec<String> {
    let name = "123456789012/us-east-1/default/web";
    let (Some(before), Some(after)) = (before.services.get(name), after.services.get(name)) else { return Vec::new() };
    let mut decisions = Vec::new();
    for old in &before.deployments {
        match after.deployments.iter().find(|one| one.id == old.id) {
            None => decisions.push(format!("deployment {} is gone", old.id)),
            Some(new) if new.rollout_state != old.rollout_state => {
                decisions.push(format!("deployment {} is {}", old.id, new.rollout_state.as_str()));
            }
            Some(_) => {}
        }
    }
    for new in &after.task_sets {
        if let Some(old) = before.task_sets.iter().find(|old| old.id == new.id && old.stability != new.stability) {
            decisions.push(format!("task set {} is {}", old.id, new.stability.as_str()));
        }
    }
    for old in before.task_sets.iter().filter(|old| after.task_sets.iter().all(|new| new.id != old.id)) {
        decisions.push(format!("task set {} is gone", old.id));
    }
    if after.is_daemon() && after.desired_count != before.desired_count {
        decisions.push(format!("desired count is {}", after.desired_count));
    }
    if after.status != before.status {
        decisions.push(format!("service is {}", after.status.as_str()));
    }
    let known: Vec<_> = before.events.iter().map(|event| &event.id).collect();
    let new = after.events.iter().filter(|event| !known.contains(&&event.id));
    let mut events: Vec<String> = new.map(|event| format!("say: {}", event.message)).collect();
    events.reverse();
    decisions.extend(events);
    decisions
}

fn definition(revision: u32, features: &[&str]) -> model::TaskDefinition {
    let mut definition = world::definition(revision);
    for feature in features {
        definition = match feature.split_once('=') {
            None if *feature == "checked" => world::with_check(definition),
            None if *feature == "asked" => world::with_readiness(definition),
            Some(("port", port)) => world::with_port(definition, port.parse().unwrap()),
            Some(("memory", memory)) => {
                definition.containers[0].memory = Some(model::MemoryMib(number(memory)));
                definition
            }
            Some(("requires", name)) => {
                definition.requires_attributes.push(model::Attribute { name: name.into(), value: None });
                definition
            }
            Some(("constraint", "distinctInstance")) => {
                let constraint =
                    model::task_definition::PlacementConstraint { kind: "distinctInstance".into(), expression: None };
                definition.placement_constraints.push(constraint);
                definition
            }
            _ => panic!("what is {feature}?"),
        };
    }
    definition
}

/// A new instance, or a change of one.
fn instance(world: &World, id: &str, features: &[&str]) {
    let mut instance = world.instance(id).unwrap_or_else(|| world::instance(id));
    for feature in features {
        match feature.split_once('=') {
            None => match *feature {
                "drains" => instance.status = ContainerInstanceStatus::Draining,
                "active" => instance.status = ContainerInstanceStatus::Active,
                "gone" => instance.status = ContainerInstanceStatus::Inactive,
                "disconnects" => instance.agent_connected = false,
                "connects" => instance.agent_connected = true,
                other => panic!("what is {other}?"),
            },
            Some(("memory", memory)) => instance.registered.memory = model::MemoryMib(number(memory)),
            Some(("has", name)) => instance.attributes.push(model::Attribute { name: name.into(), value: None }),
            Some(("lacks", name)) => instance.attributes.retain(|attribute| attribute.name != name),
            Some(("zone", zone)) => {
                let name = "ecs.availability-zone".into();
                instance.attributes.push(model::Attribute { name, value: Some(zone.into()) });
            }
            Some((other, _)) => panic!("what is {other}?"),
        }
    }
    world.put(&instance);
}

/// `rollback`, `cumulative`, and `count`, `bounded` or `unbounded` with a number.
fn circuit_breaker(wishes: &[&str]) -> CircuitBreaker {
    let mut breaker = CircuitBreaker::new(true, false);
    let mut wishes = wishes.iter();
    while let Some(wish) = wishes.next() {
        let mut value = || number(wishes.next().expect("a number"));
        match *wish {
            "rollback" => breaker.rollback = true,
            "cumulative" => breaker.reset_on_healthy_task = false,
            "count" => breaker.threshold = Some(FailureThreshold::Count(value())),
            "bounded" => breaker.threshold = Some(FailureThreshold::BoundedPercent(value())),
            "unbounded" => breaker.threshold = Some(FailureThreshold::UnboundedPercent(value())),
            other => panic!("a circuit breaker has no {other}"),
        }
    }
    breaker
}

fn number(text: &str) -> u32 {
    text.parse().unwrap_or_else(|_| panic!("{text} is no number"))
}

fn setting(settings: &[&str], name: &str) -> u32 {
    let found = settings.iter().find_map(|one| one.strip_prefix(name)?.strip_prefix('='));
    number(found.unwrap_or_else(|| panic!("the service needs {name}=")))
}

/// `5s`, `2m`, `7h`
fn duration(text: &str) -> Duration {
    let (count, unit) = text.split_at(text.len() - 1);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        other => panic!("what is {other}?"),
    };
    Duration::from_secs(u64::from(number(count)) * seconds)
}

macro_rules! stories {
    ($($story:ident)*) => {
        $(
            #[test]
            fn $story() {
                check(concat!(stringify!($story), ".txt"));
            }
        )*

        #[test]
        fn every_file_is_a_test() {
            let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
            for file in fs::read_dir(folder).unwrap() {
                let file = file.unwrap().file_name();
                let story = file.to_str().unwrap().strip_suffix(".txt").expect("plans are .txt files");
                assert!([$(stringify!($story)),*].contains(&story), "{story} is not in the list");
            }
        }
    };
}

stories! {
    first_start
    one_task_dies
    one_task_is_stopped_by_a_user
    one_task_sick
    one_task_sick_and_no_room
    all_tasks_sick
    scale_up_and_down
    rolling_100_200
    rolling_100_150
    rolling_50_100
    rolling_0_100
    rolling_one_task_stalls
    rolling_waits_for_health
    rolling_waits_for_readiness
    rolling_gives_up_who_is_never_ready
    readiness_is_waited_for_as_the_owner_says
    readiness_is_waited_for_without_end
    who_was_ready_once_is_not_given_up
    task_set_gives_up_who_is_never_ready
    daemon_gives_up_who_is_never_ready
    one_task_not_ready
    those_not_ready_leave_first
    those_not_ready_make_room
    a_protected_task_that_is_not_ready_does_no_work
    rolling_succeeds_early
    rolling_bakes_before_its_early_success
    rolling_bad_revision
    scale_in_around_a_protected_task
    rolling_around_a_protected_task
    rolling_in_place_around_a_protected_task
    scale_in_keeps_zones_even
    scale_in_of_a_packed_service
    sick_in_its_grace_period
    breaker_rolls_back
    breaker_has_nothing_to_go_back_to
    breaker_counts_from_the_last_good_task
    breaker_counts_every_failure
    breaker_counts_sick_tasks_one_after_the_other
    breaker_after_two_failures
    breaker_of_a_percentage
    breaker_fails_fast
    breaker_does_not_fail_fast
    rolling_twice
    instance_drains
    instance_drains_and_no_other
    instance_disconnects
    instance_gone
    no_instance_fits
    no_instance_fits_for_hours
    no_instances
    ports_are_in_use
    one_task_per_instance
    spread_by_zone
    zones_are_evened_out
    zones_are_evened_out_one_by_one
    zones_wait_for_health
    zones_around_protected_tasks
    zones_without_room
    zones_that_no_task_may_have
    zones_where_tasks_fail
    zones_in_a_deployment
    zones_and_scale_in
    zones_leave_no_room_to_move
    failing_to_start
    crashing
    many_fail_at_once
    deletion
    deletion_without_tasks
    zero_desired
    definition_is_gone
    daemon_on_each_instance
    daemon_where_attributes_fit
    daemon_leaves_last
    daemon_leaves_an_instance_when_it_may
    daemon_breaker_rolls_back
    daemon_deployment_is_aborted
    daemon_deployment_is_rolled_back
    daemon_dies_and_is_sick
    daemon_rolls_0_100
    daemon_rolls_50_100
    daemon_rolls_100_150
    daemon_rolls_where_one_fits
    daemon_stays_where_the_new_one_does_not_fit
    daemon_rolls_around_a_protected_task
    daemon_fails_on_one_instance
    daemon_has_no_room
    daemon_is_deleted
    task_sets_side_by_side
    task_sets_want_the_same_room
    task_set_scales_in_around_a_protected_task
    task_set_on_a_draining_instance
    task_set_drains_around_a_protected_task
    task_set_one_task_sick
    task_set_has_no_room
    task_set_fails_to_start
}
