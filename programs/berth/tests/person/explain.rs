//! `berth explain`

use super::berth::{complains, prints};
use super::world::{World, id, short};

#[tokio::test]
async fn a_task_by_any_of_its_names() {
    let world = World::with_instance(axum::Router::new()).await;
    world.family("web", &[]).await;
    let task = world.task("default", "web").await;
    world.runs(&task, 32768).await;
    world.stops(&task, Some(127), "").await;
    let text = prints(&world.url, &format!("explain {task}")).await;
    assert!(text.starts_with(&format!("task {}: STOPPED\n", short(&task))), "{text}");
    assert!(text.contains("\nWhy\n  Essential container in task exited.\n  Container app: exit code 127,"), "{text}");
    assert!(text.contains("\nNext\n  Check `command` and `entryPoint`"), "{text}");
    for name in [id(&task), short(&task)] {
        assert_eq!(prints(&world.url, &format!("explain {name}")).await, text);
    }
}

#[tokio::test]
async fn a_service_and_an_instance() {
    let world = World::with_instance(axum::Router::new()).await;
    world.family("web", &[]).await;
    world.service("site", "web", 2).await;
    let failed = world.task_of_service("site", "web").await;
    world.stops(&failed, None, "CannotPullContainerError: no such image").await;
    let text = prints(&world.url, "explain site").await;
    assert!(text.starts_with("service site: ACTIVE\n"), "{text}");
    assert!(text.contains("2 wanted, 0 running, 0 pending"), "{text}");
    assert!(text.contains(&format!("Task {} stopped", short(&failed))), "{text}");
    assert!(text.contains("`berth image ls`"), "{text}");
    assert!(text.contains("Of 1 instance, 1 would take one more task now."), "{text}");

    let instance = world.instance("default").await;
    let text = prints(&world.url, &format!("explain {}", short(&instance))).await;
    assert!(text.starts_with(&format!("container instance {}: ACTIVE\n", short(&instance))), "{text}");
    assert!(text.contains("0 of 2048 units reserved (0%)"), "{text}");
    world.change_instance(&instance, |instance| instance.agent_connected = false);
    let text = prints(&world.url, &format!("explain {instance}")).await;
    assert!(text.contains("Its agent is not connected"), "{text}");
    world.change_instance(&instance, |instance| instance.status = model::ContainerInstanceStatus::Inactive);
    let text = prints(&world.url, &format!("explain {}", id(&instance))).await;
    assert!(text.contains("It was deregistered."), "{text}");
}

#[tokio::test]
async fn it_is_found_in_another_cluster() {
    let world = World::new().await;
    world.cluster("blue").await;
    world.instance("blue").await;
    world.family("web", &[]).await;
    let task = world.task("blue", "web").await;
    // There is no cluster `default`, and nobody has named one.
    let text = prints(&world.url, &format!("explain {}", short(&task))).await;
    assert!(text.starts_with(&format!("task {}: PENDING\n", short(&task))), "{text}");
    let family = prints(&world.url, "explain web:1").await;
    assert!(family.starts_with("task definition web:1: ACTIVE\n"), "{family}");
    // Nobody has named `blue`, and there is no `default`.
    assert!(!family.contains("would take"), "{family}");
    let family = prints(&world.url, "explain web:1 --cluster blue").await;
    assert!(family.contains("Of 1 instance, 1 would take one more task now."), "{family}");
    let complaint = complains(&world.url, "explain nothing").await;
    assert!(
        complaint.starts_with("berth: there is no task, service, container instance or task definition called nothing")
    );
    let complaint = complains(&world.url, "explain --cluster green nothing").await;
    assert!(complaint.contains("Say which one with --cluster: blue."), "{complaint}");
}

#[tokio::test]
async fn what_keeps_a_task_off_each_instance() {
    let world = World::with_instance(axum::Router::new()).await;
    let (far, full) = (world.instance("default").await, world.instance("default").await);
    world.change_instance(&far, |instance| instance.agent_connected = false);
    world.change_instance(&full, |instance| instance.registered.memory = model::MemoryMib(50));
    world.family("web", &[]).await;
    let text = prints(&world.url, "explain web:1").await;
    assert!(text.contains("Of 3 instances, 1 would take one more task now."), "{text}");
    assert!(text.contains("in all: 1 AGENT, 1 RESOURCE:MEMORY"), "{text}");
    assert!(text.contains(&format!("{}: the agent of the instance is not connected", short(&far))), "{text}");
    assert!(text.contains(&format!("{}: 64 MiB of memory wanted, 50 MiB free", short(&full))), "{text}");
}
