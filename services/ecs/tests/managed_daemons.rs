//! Managed daemons: one task on every instance of some capacity providers.

mod world;

use std::time::Duration;

use api_ecs::*;
use model::container_instance::IMAGE_PREPULL;
use model::{StopCode, TaskStatus};
use reconcilers::prepull;
use world::{World, failures, refused, tag, text, texts};

const GROUP: &str = "berth.auto-scaling-group";
const INVALID: &str = "InvalidParameterException";
const DAEMON: &str = "arn:aws:ecs:us-east-1:123456789012:daemon/default/logs";
const DEFINITION: &str = "arn:aws:ecs:us-east-1:123456789012:daemon-task-definition/logs";

struct Fleet {
    world: World,
    provider: String,
}

impl Fleet {
    /// A cluster with the provider `fleet`, so many instances in it and one in none, and the definition `logs:1`.
    async fn of(instances: usize) -> Fleet {
        let world = World::new().await;
        let input = CreateCapacityProviderRequest {
            name: text("fleet"),
            auto_scaling_group_provider: Some(AutoScalingGroupProvider {
                auto_scaling_group_arn: text("fleet"),
                ..Default::default()
            }),
            ..Default::default()
        };
        let made = world.ecs.create_capacity_provider(&world.caller, input).await.unwrap();
        let provider = made.capacity_provider.unwrap().capacity_provider_arn.unwrap();
        let input = PutClusterCapacityProvidersRequest {
            cluster: text("default"),
            capacity_providers: texts(&["fleet", "FARGATE"]),
            default_capacity_provider_strategy: Some(Vec::new()),
        };
        world.ecs.put_cluster_capacity_providers(&world.caller, input).await.unwrap();
        world.define("web").await;
        world.instance(2048, 4096).await;
        let fleet = Fleet { world, provider };
        for _ in 0..instances {
            fleet.grow(4096).await;
        }
        fleet.register(1000).await;
        fleet
    }

    async fn grow(&self, memory: i32) -> String {
        let capabilities = ["docker-remote-api.1.18", "logging-driver.json-file"];
        let capabilities = capabilities.map(|name| format!("com.amazonaws.ecs.capability.{name}"));
        let mut attributes: Vec<(&str, Option<&str>)> = capabilities.iter().map(|name| (name.as_str(), None)).collect();
        attributes.push((GROUP, Some("fleet")));
        self.world.instance_with(2048, memory, &attributes).await
    }

    async fn register(&self, memory: i32) -> String {
        let container = DaemonContainerDefinition {
            name: text("app"),
            image: text("logs:1"),
            memory: Some(memory),
            ..Default::default()
        };
        let input = RegisterDaemonTaskDefinitionRequest {
            family: text("logs"),
            container_definitions: Some(vec![container]),
            ..Default::default()
        };
        let made = self.world.ecs.register_daemon_task_definition(&self.world.caller, input).await.unwrap();
        made.daemon_task_definition_arn.unwrap()
    }

    async fn create(&self, change: impl FnOnce(&mut CreateDaemonRequest)) -> Result<CreateDaemonResponse, Error> {
        let mut input = CreateDaemonRequest {
            daemon_name: text("logs"),
            cluster_arn: text("default"),
            daemon_task_definition_arn: Some(format!("{DEFINITION}:1")),
            capacity_provider_arns: Some(vec![self.provider.clone()]),
            ..Default::default()
        };
        change(&mut input);
        self.world.ecs.create_daemon(&self.world.caller, input).await
    }

    async fn update(&self, change: impl FnOnce(&mut UpdateDaemonRequest)) -> Result<UpdateDaemonResponse, Error> {
        let mut input = UpdateDaemonRequest {
            daemon_arn: text(DAEMON),
            daemon_task_definition_arn: Some(format!("{DEFINITION}:2")),
            capacity_provider_arns: Some(vec![self.provider.clone()]),
            ..Default::default()
        };
        change(&mut input);
        self.world.ecs.update_daemon(&self.world.caller, input).await
    }

    /// What its agents report of the daemon's tasks: what is pending runs, and what is asked to stop stops.
    fn obey(&self) {
        for task in self.tasks() {
            let mut task = task.clone();
            if task.desired_status == TaskStatus::Stopped {
                task.stopped(StopCode::UserInitiated, "", self.world.now());
            } else if task.last_status == TaskStatus::Pending {
                task.last_status = TaskStatus::Running;
                task.started_at = Some(self.world.now());
            }
            self.world.put(&task);
        }
    }

    fn fail(&self) {
        for mut task in self.tasks().into_iter().filter(|task| task.last_status == TaskStatus::Pending) {
            task.stopped(StopCode::TaskFailedToStart, "CannotPullContainerError", self.world.now());
            self.world.put(&task);
        }
    }

    /// Turns, with agents that obey and time that goes on, until nothing moves any more.
    fn settle(&self) {
        for _ in 0..60 {
            self.world.tend("logs");
            self.obey();
            self.world.wait(Duration::from_secs(11));
        }
        self.world.tend("logs");
    }

    fn tasks(&self) -> Vec<model::Task> {
        let snapshot = self.world.snapshot();
        snapshot
            .tasks
            .by("service", "123456789012/us-east-1/default/daemon:logs")
            .map(|task| (**task).clone())
            .collect()
    }

    /// The revisions of their definitions, by how many tasks are meant to run of each.
    fn revisions(&self) -> (usize, usize) {
        let tasks = self.tasks();
        let of = |revision| {
            tasks.iter().filter(|one| one.revision == revision && one.desired_status == TaskStatus::Running).count()
        };
        (of(1), of(2))
    }

    async fn deployment(&self) -> DaemonDeployment {
        let daemon = self.describe().await.unwrap();
        let input =
            DescribeDaemonDeploymentsRequest { daemon_deployment_arns: Some(vec![daemon.deployment_arn.unwrap()]) };
        let answer = self.world.ecs.describe_daemon_deployments(&self.world.caller, input).await.unwrap();
        answer.daemon_deployments.unwrap().remove(0)
    }

    async fn describe(&self) -> Result<DaemonDetail, Error> {
        let input = DescribeDaemonRequest { daemon_arn: text(DAEMON) };
        Ok(self.world.ecs.describe_daemon(&self.world.caller, input).await?.daemon.unwrap())
    }
}

#[tokio::test]
async fn from_its_creation_to_its_end() {
    let fleet = Fleet::of(2).await;
    let world = &fleet.world;
    let made = fleet.create(|input| {
        input.client_token = text("t1");
        input.tags = Some(vec![tag("team", "a")]);
        input.propagate_tags = text("DAEMON");
        input.enable_ecs_managed_tags = Some(true);
    });
    let made = made.await.unwrap();
    assert_eq!((made.daemon_arn.as_deref(), made.status.as_deref()), (Some(DAEMON), Some("ACTIVE")));
    assert_eq!(fleet.deployment().await.status, text("PENDING"));
    fleet.world.tend("logs");
    let tasks = fleet.tasks();
    assert_eq!(tasks.len(), 2, "one on each instance of the provider, and on no other");
    assert_eq!((tasks[0].group.as_str(), tasks[0].capacity_provider.as_deref()), ("daemon:logs", Some("fleet")));
    assert_eq!(tasks[0].task_definition_arn().to_string(), format!("{DEFINITION}:1"));
    let tags: Vec<&str> = tasks[0].tags.iter().map(|tag| tag.key.as_str()).collect();
    assert_eq!(tags, ["team", "aws:ecs:clusterName", "aws:ecs:daemonName"]);
    assert_eq!(fleet.deployment().await.status, text("IN_PROGRESS"));
    fleet.settle();
    let deployment = fleet.deployment().await;
    assert_eq!(deployment.status, text("SUCCESSFUL"));
    assert_eq!(deployment.target_daemon_revision.unwrap().total_running_instance_count, Some(2));
    assert_eq!(deployment.circuit_breaker.unwrap().status, text("MONITORING_COMPLETE"));

    // A new instance gets its task, and one that dies is replaced.
    fleet.grow(4096).await;
    fleet.settle();
    assert_eq!(fleet.tasks().len(), 3);
    let mut dead = fleet.tasks().remove(0);
    dead.stopped(StopCode::EssentialContainerExited, "Essential container in task exited", world.now());
    world.put(&dead);
    fleet.settle();
    assert_eq!(fleet.revisions(), (3, 0));

    let shown = fleet.describe().await.unwrap();
    let revision = &shown.current_revisions.as_ref().unwrap()[0];
    assert_eq!(revision.total_running_count, Some(3));
    assert_eq!(revision.capacity_providers.as_ref().unwrap()[0].arn, Some(fleet.provider.clone()));
    let input = DescribeDaemonRevisionsRequest {
        daemon_revision_arns: Some(vec![revision.arn.clone().unwrap(), format!("{}x", revision.arn.clone().unwrap())]),
    };
    let answer = world.ecs.describe_daemon_revisions(&world.caller, input).await.unwrap();
    let described = answer.daemon_revisions.unwrap().remove(0);
    assert_eq!(described.daemon_task_definition_arn, Some(format!("{DEFINITION}:1")));
    assert_eq!((described.propagate_tags, described.enable_ecs_managed_tags), (text("DAEMON"), Some(true)));
    assert_eq!(failures(answer.failures)[0].1, "MISSING");
    let input = ListTasksRequest { daemon_name: text("logs"), ..Default::default() };
    assert_eq!(world.ecs.list_tasks(&world.caller, input).await.unwrap().task_arns.unwrap().len(), 3);
    for providers in [None, Some(vec![fleet.provider.clone()])] {
        let input = ListDaemonsRequest { capacity_provider_arns: providers, ..Default::default() };
        let all = world.ecs.list_daemons(&world.caller, input).await.unwrap().daemon_summaries_list.unwrap();
        assert_eq!(all[0].daemon_arn.as_deref(), Some(DAEMON));
    }
    let input = ListDaemonsRequest { capacity_provider_arns: texts(&["other"]), ..Default::default() };
    assert_eq!(world.ecs.list_daemons(&world.caller, input).await.unwrap().daemon_summaries_list, Some(Vec::new()));

    let input = DeleteDaemonRequest { daemon_arn: text(DAEMON) };
    let deleted = world.ecs.delete_daemon(&world.caller, input.clone()).await.unwrap();
    assert_eq!(deleted.status, text("DELETE_IN_PROGRESS"));
    refused(world.ecs.delete_daemon(&world.caller, input).await, "DaemonNotActiveException", "Daemon was not ACTIVE.");
    fleet.settle();
    assert_eq!(fleet.tasks().len(), 0);
    refused(fleet.describe().await, "DaemonNotFoundException", "Daemon not found.");
    let input =
        DescribeDaemonDeploymentsRequest { daemon_deployment_arns: Some(vec![deleted.deployment_arn.unwrap()]) };
    let last = world.ecs.describe_daemon_deployments(&world.caller, input).await.unwrap().daemon_deployments.unwrap();
    assert_eq!(last[0].status, text("SUCCESSFUL"), "what ended it is remembered");
}

#[tokio::test]
async fn a_revision_comes_in_batches_and_bakes() {
    let fleet = Fleet::of(4).await;
    fleet.create(|_| {}).await.unwrap();
    fleet.settle();
    fleet.register(500).await;
    let updated = fleet.update(|input| {
        input.deployment_configuration = Some(DaemonDeploymentConfiguration {
            drain_percent: Some(50.0),
            bake_time_in_minutes: Some(5),
            ..Default::default()
        });
    });
    updated.await.unwrap();
    let world = &fleet.world;
    let mut steps = Vec::new();
    for _ in 0..20 {
        world.tend("logs");
        steps.push(fleet.revisions());
        fleet.obey();
        world.wait(Duration::from_secs(5));
    }
    steps.dedup();
    assert_eq!(steps, [(2, 0), (2, 2), (0, 2), (0, 4)], "two at a time, the old one first");
    let old = world.snapshot().tasks.iter().find(|task| !task.is_live()).cloned().unwrap();
    assert_eq!(old.stop_code, Some(StopCode::ServiceSchedulerInitiated));
    assert!(old.stopped_reason.starts_with("Scaling activity initiated by (daemon-deployment "), "{old:?}");
    assert_eq!(fleet.deployment().await.status, text("IN_PROGRESS"), "it bakes");
    assert_eq!(fleet.deployment().await.source_daemon_revisions.unwrap().len(), 1);
    world.wait(Duration::from_secs(300));
    world.tend("logs");
    assert_eq!(fleet.deployment().await.status, text("SUCCESSFUL"));
    let input = ListDaemonDeploymentsRequest { daemon_arn: text(DAEMON), ..Default::default() };
    let all = world.ecs.list_daemon_deployments(&world.caller, input).await.unwrap().daemon_deployments.unwrap();
    assert_eq!(all.len(), 2);
    assert!(all[0].created_at > all[1].created_at, "the newest first");
}

#[tokio::test]
async fn images_of_a_revision_are_awaited_on_every_instance() {
    let fleet = Fleet::of(3).await;
    let world = &fleet.world;
    fleet.create(|_| {}).await.unwrap();
    fleet.settle();
    let instances: Vec<String> = fleet.tasks().iter().map(|task| task.container_instance_arn().to_string()).collect();
    // The last one's agent knows nothing of it.
    for arn in &instances[..2] {
        world.change_instance(arn, |one| {
            one.attributes.push(model::Attribute { name: IMAGE_PREPULL.to_owned(), value: None });
        });
    }
    let named = || {
        let snapshot = world.snapshot();
        let daemon = snapshot.daemons.iter().next().cloned().unwrap();
        let Some(coming) = prepull::of_managed_daemon(&snapshot, &daemon) else { return 0 };
        let indexes = reconcilers::Indexes::default();
        prepull::instances(&snapshot, &indexes, &coming, world.now(), &mut stdx::Ids::from_seed(1)).len()
    };
    assert_eq!(named(), 0, "nothing new has begun");
    fleet.register(500).await;
    fleet.update(|_| {}).await.unwrap();
    assert_eq!(named(), 2);
}

#[tokio::test]
async fn a_deployment_that_keeps_failing_goes_back() {
    let fleet = Fleet::of(2).await;
    fleet.create(|_| {}).await.unwrap();
    fleet.settle();
    fleet.register(500).await;
    fleet.update(|_| {}).await.unwrap();
    let world = &fleet.world;
    world.tend("logs");
    fleet.obey();
    for _ in 0..3 {
        world.tend("logs");
        fleet.fail();
        world.wait(Duration::from_secs(1));
    }
    world.tend("logs");
    let deployment = fleet.deployment().await;
    assert_eq!(deployment.status, text("ROLLBACK_IN_PROGRESS"));
    let breaker = deployment.circuit_breaker.unwrap();
    assert_eq!((breaker.status, breaker.failure_count, breaker.threshold), (text("TRIGGERED"), Some(3), Some(3)));
    let back = deployment.rollback.unwrap().rollback_target_daemon_revision_arn;
    fleet.settle();
    assert_eq!(fleet.deployment().await.status, text("ROLLBACK_SUCCESSFUL"));
    assert_eq!(fleet.revisions(), (2, 0));
    assert_eq!(fleet.describe().await.unwrap().current_revisions.unwrap()[0].arn, back);
    // The first one ever has nothing to go back to.
    let fleet = Fleet::of(1).await;
    fleet.create(|_| {}).await.unwrap();
    for _ in 0..3 {
        fleet.world.tend("logs");
        fleet.fail();
    }
    fleet.world.tend("logs");
    let deployment = fleet.deployment().await;
    assert_eq!((deployment.status, deployment.rollback), (text("STOPPED"), None));
    assert!(deployment.status_reason.unwrap().contains("circuit breaker"));
}

#[tokio::test]
async fn it_comes_first_and_its_room_is_kept() {
    let fleet = Fleet::of(1).await;
    let world = &fleet.world;
    fleet.create(|_| {}).await.unwrap();
    // 4096 MiB less 1000 for the daemon, which has not started yet.
    let run = world.run(|input| {
        input.count = Some(10);
        input.placement_constraints = Some(vec![PlacementConstraint {
            r#type: text("memberOf"),
            expression: text("attribute:berth.auto-scaling-group == fleet"),
        }]);
    });
    let first = run.await.unwrap();
    let run = world.run(|input| {
        input.count = Some(10);
        input.overrides = Some(TaskOverride {
            container_overrides: Some(vec![ContainerOverride {
                name: text("app"),
                memory: Some(1000),
                memory_reservation: Some(1000),
                ..Default::default()
            }]),
            ..Default::default()
        });
        input.placement_constraints = Some(vec![PlacementConstraint {
            r#type: text("memberOf"),
            expression: text("attribute:berth.auto-scaling-group == fleet"),
        }]);
    });
    let second = run.await.unwrap();
    // 10 of 128 MiB leave 2816; 1000 are kept, so one of 1000 more fits.
    assert_eq!((first.tasks.unwrap().len(), second.tasks.unwrap().len()), (10, 1));
    world.tend("logs");
    assert_eq!(fleet.tasks().len(), 1, "its room was there");
    // One that is too large for an instance says so.
    let fleet = Fleet::of(0).await;
    fleet.grow(512).await;
    fleet.create(|_| {}).await.unwrap();
    fleet.world.tend("logs");
    let reason = fleet.deployment().await.status_reason.unwrap();
    assert!(reason.contains("has insufficient memory available"), "{reason}");
}

#[tokio::test]
async fn it_leaves_a_draining_instance_last() {
    let fleet = Fleet::of(1).await;
    let world = &fleet.world;
    fleet.create(|_| {}).await.unwrap();
    fleet.settle();
    let instance = fleet.tasks()[0].container_instance_arn().to_string();
    let input = StartTaskRequest {
        task_definition: text("web"),
        container_instances: Some(vec![instance.clone()]),
        ..Default::default()
    };
    let other = world.ecs.start_task(&world.caller, input).await.unwrap().tasks.unwrap().remove(0);
    world.change_instance(&instance, |one| one.status = model::ContainerInstanceStatus::Draining);
    fleet.settle();
    assert_eq!(fleet.tasks().len(), 1, "somebody is left to serve");
    let snapshot = world.snapshot();
    let id = other.task_arn.as_deref().unwrap().rsplit('/').next().unwrap();
    let mut other = (**snapshot.tasks.get(&format!("123456789012/us-east-1/default/{id}")).unwrap()).clone();
    other.stopped(StopCode::UserInitiated, "", world.now());
    world.put(&other);
    fleet.settle();
    assert_eq!(fleet.tasks().len(), 0);
}

#[tokio::test]
async fn it_leaves_an_instance_that_is_of_its_providers_no_more() {
    let fleet = Fleet::of(1).await;
    let world = &fleet.world;
    fleet.create(|_| {}).await.unwrap();
    fleet.settle();
    let task = fleet.tasks().remove(0);
    world.change_instance(&task.container_instance_arn().to_string(), |one| {
        one.attributes.retain(|attribute| attribute.name != GROUP);
    });
    fleet.settle();
    let left = world.snapshot().tasks.iter().find(|one| one.id == task.id).cloned().unwrap();
    assert_eq!(left.stop_code, Some(StopCode::ServiceSchedulerInitiated));
    assert_eq!(left.stopped_reason, "The container instance is of no capacity provider of the daemon");
}

#[tokio::test]
async fn daemon_task_definitions_are_a_kind_of_their_own() {
    let fleet = Fleet::of(1).await;
    let (world, ecs) = (&fleet.world, &fleet.world.ecs);
    fleet.register(500).await;
    let describe = async |name: &str| {
        let input = DescribeDaemonTaskDefinitionRequest { daemon_task_definition: text(name) };
        Ok::<_, Error>(ecs.describe_daemon_task_definition(&world.caller, input).await?.daemon_task_definition.unwrap())
    };
    let newest = describe("logs").await.unwrap();
    assert_eq!((newest.family.as_deref(), newest.revision), (Some("logs"), Some(2)));
    assert_eq!(newest.container_definitions.unwrap()[0].memory, Some(500));
    assert_eq!(describe(&format!("{DEFINITION}:1")).await.unwrap().revision, Some(1));
    refused(describe("web").await, "ClientException", "Unable to describe daemon task definition.");
    // Nobody else sees them.
    let shown =
        ecs.list_task_definitions(&world.caller, Default::default()).await.unwrap().task_definition_arns.unwrap();
    assert_eq!(shown.len(), 1, "{shown:?}");
    let families = ecs.list_task_definition_families(&world.caller, Default::default()).await.unwrap().families;
    assert_eq!(families, texts(&["web"]));
    let run = world.run(|input| input.task_definition = Some(format!("{DEFINITION}:1"))).await;
    refused(run, "ClientException", "TaskDefinition not found.");
    let run = world.run(|input| input.group = text("daemon:logs")).await;
    refused(run, INVALID, "Invalid namespace for group.");

    let list = async |input: ListDaemonTaskDefinitionsRequest| {
        let answer = ecs.list_daemon_task_definitions(&world.caller, input).await.unwrap();
        let arns = answer.daemon_task_definitions.unwrap().into_iter();
        arns.map(|one| one.arn.unwrap().rsplit('/').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list(Default::default()).await, ["logs:1", "logs:2"]);
    let last = ListDaemonTaskDefinitionsRequest { revision: text("LAST_REGISTERED"), ..Default::default() };
    assert_eq!(list(last).await, ["logs:2"]);
    let none = ListDaemonTaskDefinitionsRequest { family: text("log"), ..Default::default() };
    assert_eq!(list(none).await, [""; 0]);
    fleet.create(|_| {}).await.unwrap();
    for (name, left) in [("logs:1", Some("DELETE_IN_PROGRESS")), ("logs:2", None)] {
        let input = DeleteDaemonTaskDefinitionRequest { daemon_task_definition: text(name) };
        ecs.delete_daemon_task_definition(&world.caller, input).await.unwrap();
        let status = describe(name).await.ok().and_then(|one| one.status);
        assert_eq!(status.as_deref(), left, "{name}");
    }
    world.tend("logs");
    assert_eq!(fleet.tasks().len(), 1, "its daemons go on");
    let error = fleet.update(|input| input.daemon_task_definition_arn = Some(format!("{DEFINITION}:1"))).await;
    refused(error, INVALID, "The daemon task definition is not in ACTIVE status.");
}

#[tokio::test]
async fn each_request_is_checked() {
    let fleet = Fleet::of(1).await;
    let world = &fleet.world;
    let error = fleet.create(|input| input.capacity_provider_arns = texts(&["FARGATE"])).await;
    let refusal = "A daemon on the capacity provider FARGATE is not supported by this version of Berth.";
    refused(error, "UnsupportedFeatureException", refusal);
    let error = fleet.create(|input| input.capacity_provider_arns = Some(Vec::new())).await;
    refused(error, INVALID, "Capacity provider ARNs cannot be empty.");
    let error = fleet.create(|input| input.daemon_task_definition_arn = text("web:1")).await;
    refused(error, "ClientException", "Daemon task definition not found.");
    let error = fleet.create(|input| input.cluster_arn = text("nowhere")).await;
    refused(error, "ClusterNotFoundException", "Cluster not found.");
    let alarms = DaemonAlarmConfiguration { alarm_names: texts(&["a"]), enable: Some(true) };
    let error = fleet
        .create(|input| {
            let configuration = DaemonDeploymentConfiguration { alarms: Some(alarms), ..Default::default() };
            input.deployment_configuration = Some(configuration);
        })
        .await;
    let refusal = "deploymentConfiguration.alarms of a daemon is not supported by this version of Berth.";
    refused(error, "UnsupportedFeatureException", refusal);
    let error = fleet
        .create(|input| {
            let configuration =
                DaemonDeploymentConfiguration { bake_time_in_minutes: Some(1441), ..Default::default() };
            input.deployment_configuration = Some(configuration);
        })
        .await;
    refused(error, INVALID, "bakeTimeInMinutes must be between 0 and 1440.");

    let first = fleet.create(|input| input.client_token = text("t")).await.unwrap();
    assert_eq!(
        fleet.create(|input| input.client_token = text("t")).await.unwrap(),
        first,
        "the same request once more"
    );
    refused(fleet.create(|_| {}).await, INVALID, "Creation of daemon was not idempotent.");
    let input = DeleteClusterRequest { cluster: text("default") };
    let in_use = "The Cluster cannot be deleted while Daemons are active.";
    refused(world.ecs.delete_cluster(&world.caller, input).await, "ClusterContainsServicesException", in_use);
    let input = PutClusterCapacityProvidersRequest {
        cluster: text("default"),
        capacity_providers: Some(Vec::new()),
        default_capacity_provider_strategy: Some(Vec::new()),
    };
    let in_use = "The specified capacity provider is in use and cannot be removed.";
    let error = world.ecs.put_cluster_capacity_providers(&world.caller, input).await;
    refused(error, "ResourceInUseException", in_use);
    let input = TagResourceRequest { resource_arn: text(DAEMON), tags: Some(vec![tag("a", "b")]) };
    world.ecs.tag_resource(&world.caller, input).await.unwrap();
    let input = ListTagsForResourceRequest { resource_arn: text(DAEMON) };
    assert_eq!(world.ecs.list_tags_for_resource(&world.caller, input).await.unwrap().tags.unwrap().len(), 1);
}

#[tokio::test]
async fn whether_it_is_critical_is_shown() {
    let fleet = Fleet::of(1).await;
    let shown = async || {
        let daemon = fleet.world.snapshot().daemons.iter().next().unwrap().clone();
        let arns = Some(vec![daemon.revision_arn(&daemon.revision).to_string()]);
        let input = DescribeDaemonRevisionsRequest { daemon_revision_arns: arns };
        let answer = fleet.world.ecs.describe_daemon_revisions(&fleet.world.caller, input).await.unwrap();
        answer.daemon_revisions.unwrap()[0].critical
    };
    fleet.create(|_| {}).await.unwrap();
    assert_eq!(shown().await, Some(true), "as on AWS, where nothing is said");
    fleet.register(1000).await;
    fleet.update(|input| input.critical = Some(false)).await.unwrap();
    assert_eq!(shown().await, Some(false));
    fleet.update(|_| {}).await.unwrap();
    assert_eq!(shown().await, Some(false), "it stays");
}
