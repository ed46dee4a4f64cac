//! Lists in pages.

mod world;

use std::collections::BTreeSet;

use api_ecs::*;
use world::{World, refused, text};

const INVALID: (&str, &str) = ("InvalidParameterException", "Invalid token.");

/// All pages of a list of tasks, and how many there were.
async fn all(world: &World, change: impl Fn(&mut ListTasksRequest)) -> (Vec<String>, usize) {
    let (mut arns, mut token, mut pages) = (Vec::new(), None, 0);
    loop {
        let answer = world
            .list(|input| {
                change(input);
                input.max_results = Some(3);
                input.next_token = token.take();
            })
            .await
            .unwrap();
        arns.extend(answer.task_arns.unwrap());
        pages += 1;
        match answer.next_token {
            Some(next) => token = Some(next),
            None => return (arns, pages),
        }
    }
}

#[tokio::test]
async fn every_filter_in_pages() {
    let (world, first) = World::ready().await;
    let second = world.instance(2048, 4096).await;
    world.define("job").await;
    world.service("s", 4).await.unwrap();
    world.reconcile("s");
    for _ in 0..5 {
        world.one().await;
        world.run(|input| input.task_definition = text("job")).await.unwrap();
    }
    world.run(|input| input.started_by = text("me")).await.unwrap();
    let everything: Vec<_> = world.snapshot().tasks.iter().cloned().collect();
    assert_eq!(everything.len(), 15);
    // Of every kind some have stopped, and some are asked to.
    for (number, task) in everything.iter().enumerate() {
        let mut task = (**task).clone();
        match number % 3 {
            0 => task.stopped(model::StopCode::UserInitiated, "", world.now()),
            1 => {}
            _ if number % 2 == 0 => task.request_stop(model::StopCode::UserInitiated, "", world.now()),
            _ => {}
        }
        world.put(&task);
    }
    let check = async |change: &dyn Fn(&mut ListTasksRequest), wanted: &dyn Fn(&model::Task) -> bool| {
        for desired in [model::TaskStatus::Running, model::TaskStatus::Stopped] {
            let expected: BTreeSet<String> = world
                .snapshot()
                .tasks
                .iter()
                .filter(|task| task.desired_status == desired && wanted(task))
                .map(|task| task.arn().to_string())
                .collect();
            assert!(!expected.is_empty());
            let (found, pages) = all(&world, |input| {
                change(input);
                input.desired_status = text(desired.as_str());
            })
            .await;
            assert_eq!(found.len(), expected.len(), "each once");
            assert_eq!(BTreeSet::from_iter(found), expected);
            assert_eq!(pages, expected.len().div_ceil(3), "full pages");
        }
    };
    check(&|_| {}, &|_| true).await;
    check(&|input| input.service_name = text("s"), &|task| task.service() == Some("s")).await;
    check(&|input| input.family = text("job"), &|task| task.family == "job").await;
    for instance in [&first, &second] {
        check(&|input| input.container_instance = text(instance), &|task| {
            task.container_instance_arn().to_string() == *instance
        })
        .await;
    }
    let mine = world.list(|input| input.started_by = text("me")).await.unwrap().task_arns.unwrap();
    assert_eq!(mine.len(), world.kept_of("me").len());
}

impl World {
    fn kept_of(&self, started_by: &str) -> Vec<String> {
        let snapshot = self.snapshot();
        let mine = snapshot
            .tasks
            .iter()
            .filter(|task| task.started_by == started_by && task.desired_status == model::TaskStatus::Running);
        mine.map(|task| task.arn().to_string()).collect()
    }
}

#[tokio::test]
async fn some_filters_exclude_each_other() {
    let (world, instance) = World::ready().await;
    world.service("s", 0).await.unwrap();
    let both = world.list(|input| {
        input.started_by = text("me");
        input.family = text("web");
    });
    refused(both.await, "InvalidParameterException", "cannot specify startedBy with other arguments");
    let both = world.list(|input| {
        input.service_name = text("s");
        input.container_instance = text(&instance);
    });
    refused(both.await, "InvalidParameterException", "cannot specify serviceName with other arguments");
    refused(
        world.list(|input| input.service_name = text("nope")).await,
        "ServiceNotFoundException",
        "Service not found.",
    );
}

#[tokio::test]
async fn a_page_survives_what_happens_between() {
    let (world, _) = World::ready().await;
    for _ in 0..4 {
        world.one().await;
    }
    let first = world.list(|input| input.max_results = Some(2)).await.unwrap();
    let seen = first.task_arns.unwrap();
    let last_seen = (*world.kept(&seen[1])).clone();
    let mut changes = state::Changes::new();
    changes.delete(&world.snapshot(), &last_seen);
    world.ledger.commit_now(&changes).unwrap();
    let second = world
        .list(|input| {
            input.max_results = Some(2);
            input.next_token = first.next_token;
        })
        .await
        .unwrap();
    let rest = second.task_arns.unwrap();
    assert_eq!(rest.len(), 2);
    assert!(rest.iter().all(|arn| !seen.contains(arn)));
    assert_eq!(second.next_token, None);
}

#[tokio::test]
async fn a_token_is_good_for_its_own_list_only() {
    let (world, _) = World::ready().await;
    world.one().await;
    world.one().await;
    let token = world.list(|input| input.max_results = Some(1)).await.unwrap().next_token.unwrap();
    let with = |change: fn(&mut ListTasksRequest)| {
        world.list(move |input| {
            input.next_token = text(&token.clone());
            change(input);
        })
    };
    for nonsense in ["x", "%%%", "AAAA", "aGVsbG8gd29ybGQ"] {
        let answer = world.list(|input| input.next_token = text(nonsense)).await;
        refused(answer, INVALID.0, INVALID.1);
    }
    refused(with(|input| input.family = text("web")).await, INVALID.0, INVALID.1);

    let other = ListServicesRequest { max_results: Some(1), ..Default::default() };
    for name in ["a", "b"] {
        world.service(name, 0).await.unwrap();
    }
    let foreign = world.ecs.list_services(&world.caller, other).await.unwrap().next_token;
    refused(world.list(|input| input.next_token = foreign).await, INVALID.0, INVALID.1);
    for size in [0, 101, -1] {
        let answer = world.list(|input| input.max_results = Some(size)).await;
        refused(answer, "InvalidParameterException", "maxResults must be between 1 and 100.");
    }
}

#[tokio::test]
async fn the_other_lists() {
    let (world, _) = World::ready().await;
    world.instance(1024, 1024).await;
    for name in ["a", "b", "c"] {
        world.cluster(name).await;
        world.define(name).await;
        world.define(name).await;
        world.service(name, 0).await.unwrap();
    }
    let (ecs, caller) = (&world.ecs, &world.caller);
    macro_rules! pages {
        ($operation:ident, $input:ident, $items:ident, $base:expr) => {{
            let (mut items, mut token) = (Vec::new(), None);
            loop {
                let input = $input { max_results: Some(2), next_token: token, ..$base };
                let answer = ecs.$operation(caller, input).await.unwrap();
                let page = answer.$items.unwrap();
                assert!(page.len() <= 2);
                items.extend(page);
                match answer.next_token {
                    Some(next) => token = Some(next),
                    None => break items,
                }
            }
        }};
    }
    let ends =
        |arns: Vec<String>| arns.iter().map(|arn| arn.rsplit('/').next().unwrap().to_owned()).collect::<Vec<_>>();
    #[expect(clippy::needless_update, reason = "the same words for every list")]
    let clusters = pages!(list_clusters, ListClustersRequest, cluster_arns, ListClustersRequest::default());
    assert_eq!(ends(clusters), ["a", "b", "c", "default"]);
    let services = pages!(list_services, ListServicesRequest, service_arns, ListServicesRequest::default());
    assert_eq!(ends(services), ["a", "b", "c"]);
    let instances = pages!(
        list_container_instances,
        ListContainerInstancesRequest,
        container_instance_arns,
        ListContainerInstancesRequest::default()
    );
    assert_eq!(instances.len(), 2);
    let families = pages!(
        list_task_definition_families,
        ListTaskDefinitionFamiliesRequest,
        families,
        ListTaskDefinitionFamiliesRequest::default()
    );
    assert_eq!(families, ["a", "b", "c", "web"]);
    let definitions = |sort: &'static str| ListTaskDefinitionsRequest { sort: text(sort), ..Default::default() };
    let up = pages!(list_task_definitions, ListTaskDefinitionsRequest, task_definition_arns, definitions("ASC"));
    assert_eq!(ends(up), ["a:1", "a:2", "b:1", "b:2", "c:1", "c:2", "web:1"]);
    let down = pages!(list_task_definitions, ListTaskDefinitionsRequest, task_definition_arns, definitions("DESC"));
    assert_eq!(ends(down), ["web:1", "c:2", "c:1", "b:2", "b:1", "a:2", "a:1"]);
    let attributes = pages!(list_attributes, ListAttributesRequest, attributes, ListAttributesRequest::default());
    assert_eq!(attributes.len(), 6, "two capabilities and the zone of each instance");
}
