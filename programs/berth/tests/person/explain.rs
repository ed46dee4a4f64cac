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
    let complaint = complains(&world.url, "explain nothing").await;
    assert!(
        complaint.starts_with("berth: there is no task, service, container instance or task definition called nothing")
    );
    let complaint = complains(&world.url, "explain --cluster green nothing").await;
    assert!(complaint.contains("Say which one with --cluster: blue."), "{complaint}");
}
