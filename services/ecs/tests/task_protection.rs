//! Task scale-in protection: who can have it, for how long, and what is said of the others.

mod world;

use std::time::Duration;

use api_ecs::*;
use world::{World, failures, refused, text, texts};

/// The service `s` with `count` running tasks; gives their ARNs.
async fn service(world: &World, count: i32) -> Vec<String> {
    world.service("s", count).await.unwrap();
    world.reconcile("s");
    let tasks = world.list(|input| input.service_name = text("s")).await.unwrap().task_arns.unwrap();
    for task in &tasks {
        world.report(task, "RUNNING", |_| {}).await;
    }
    tasks
}

async fn protect(
    world: &World,
    tasks: &[&str],
    enabled: bool,
    minutes: Option<i32>,
) -> Result<UpdateTaskProtectionResponse, Error> {
    let input = UpdateTaskProtectionRequest {
        cluster: text("default"),
        tasks: texts(tasks),
        protection_enabled: Some(enabled),
        expires_in_minutes: minutes,
    };
    world.ecs.update_task_protection(&world.caller, input).await
}

async fn get(world: &World, tasks: &[&str]) -> GetTaskProtectionResponse {
    let input = GetTaskProtectionRequest { cluster: text("default"), tasks: texts(tasks) };
    world.ecs.get_task_protection(&world.caller, input).await.unwrap()
}

#[tokio::test]
async fn it_lasts_two_hours_or_as_long_as_was_asked() {
    let (world, _) = World::ready().await;
    let tasks = service(&world, 1).await;
    let task = tasks[0].as_str();
    let shown = get(&world, &[task]).await.protected_tasks.unwrap().remove(0);
    assert_eq!((shown.protection_enabled, shown.expiration_date), (Some(false), None));

    let shown = protect(&world, &[task], true, None).await.unwrap().protected_tasks.unwrap().remove(0);
    let until = world.now() + Duration::from_secs(120 * 60);
    assert_eq!((shown.protection_enabled, shown.expiration_date), (Some(true), Some(until)));
    assert_eq!(shown.task_arn.as_deref(), Some(task));
    // Each call begins anew.
    let shown = protect(&world, &[task], true, Some(1)).await.unwrap().protected_tasks.unwrap().remove(0);
    assert_eq!(shown.expiration_date, Some(world.now() + Duration::from_secs(60)));
    world.wait(Duration::from_secs(59));
    assert_eq!(get(&world, &[task]).await.protected_tasks.unwrap()[0].protection_enabled, Some(true));
    world.wait(Duration::from_secs(1));
    let shown = get(&world, &[task]).await.protected_tasks.unwrap().remove(0);
    assert_eq!((shown.protection_enabled, shown.expiration_date), (Some(false), None));

    protect(&world, &[task], true, Some(2880)).await.unwrap();
    let shown = protect(&world, &[task], false, None).await.unwrap().protected_tasks.unwrap().remove(0);
    assert_eq!((shown.protection_enabled, shown.expiration_date), (Some(false), None));
    for minutes in [0, -1, 2881, i32::MIN] {
        let refusal = "expiresInMinutes must be between 1 and 2880.";
        refused(protect(&world, &[task], true, Some(minutes)).await, "InvalidParameterException", refusal);
    }
}

#[tokio::test]
async fn only_running_tasks_of_services_have_it() {
    let (world, _) = World::ready().await;
    let tasks = service(&world, 2).await;
    let standalone = world.one().await;
    let stop = StopTaskRequest { task: text(&tasks[1]), ..Default::default() };
    world.ecs.stop_task(&world.caller, stop).await.unwrap();
    let answer = protect(&world, &[&tasks[0], &tasks[1], &standalone, "nobody"], true, None).await.unwrap();
    assert_eq!(answer.protected_tasks.unwrap().len(), 1);
    let nobody = "arn:aws:ecs:us-east-1:123456789012:task/default/nobody";
    let expected = [
        (tasks[1].clone(), "TASK_NOT_VALID".to_owned()),
        (standalone.clone(), "TASK_NOT_VALID".to_owned()),
        (nobody.to_owned(), "MISSING".to_owned()),
    ];
    assert_eq!(failures(answer.failures), expected);
    let answer = get(&world, &[&standalone, nobody]).await;
    let expected = [(standalone, "TASK_NOT_VALID".to_owned()), (nobody.to_owned(), "MISSING".to_owned())];
    assert_eq!(failures(answer.failures), expected);

    refused(protect(&world, &[], true, None).await, "InvalidParameterException", "Tasks cannot be empty.");
    let many = "Tasks cannot have more than 10 elements.";
    refused(protect(&world, &["x"; 11], true, None).await, "InvalidParameterException", many);
    let input = GetTaskProtectionRequest { cluster: text("gone"), tasks: texts(&["x"]) };
    let answer = world.ecs.get_task_protection(&world.caller, input).await;
    refused(answer, "ClusterNotFoundException", "Cluster not found.");
}

#[tokio::test]
async fn a_deployment_that_waits_for_one_task_is_not_held_up_by_another() {
    let (world, _) = World::ready().await;
    let tasks = service(&world, 2).await;
    world.reconcile("s");
    protect(&world, &[&tasks[0]], true, None).await.unwrap();
    // Nothing is deployed: whoever wants to may be protected.
    protect(&world, &[&tasks[1]], true, None).await.unwrap();
    protect(&world, &[&tasks[1]], false, None).await.unwrap();
    let input = UpdateServiceRequest { service: text("s"), force_new_deployment: Some(true), ..Default::default() };
    world.ecs.update_service(&world.caller, input).await.unwrap();
    let answer = protect(&world, &[&tasks[0], &tasks[1]], true, Some(240)).await.unwrap();
    assert_eq!(answer.protected_tasks.unwrap()[0].task_arn, text(&tasks[0]), "it keeps what it has");
    assert_eq!(failures(answer.failures), [(tasks[1].clone(), "DEPLOYMENT_BLOCKED".to_owned())]);
    let new: Vec<String> = {
        world.reconcile("s");
        let all = world.list(|input| input.service_name = text("s")).await.unwrap().task_arns.unwrap();
        all.into_iter().filter(|task| !tasks.contains(task)).collect()
    };
    let answer = protect(&world, &[&new[0]], true, None).await.unwrap();
    assert_eq!(answer.protected_tasks.unwrap().len(), 1, "a task of the new deployment holds up nobody");
}
