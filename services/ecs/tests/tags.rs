//! Tags, on everything that can have them.

mod world;

use api_ecs::*;
use world::{World, refused, tag, text, texts};

async fn put(world: &World, arn: &str, tags: Vec<Tag>) -> Result<(), Error> {
    let input = TagResourceRequest { resource_arn: text(arn), tags: Some(tags) };
    world.ecs.tag_resource(&world.caller, input).await.map(drop)
}

async fn list(world: &World, arn: &str) -> Result<Vec<Tag>, Error> {
    let input = ListTagsForResourceRequest { resource_arn: text(arn) };
    Ok(world.ecs.list_tags_for_resource(&world.caller, input).await?.tags.unwrap())
}

/// One of each kind.
async fn arns(world: &World, instance: String) -> [String; 5] {
    let service = world.service("s", 0).await.unwrap().service_arn.unwrap();
    let definition = "arn:aws:ecs:us-east-1:123456789012:task-definition/web:1".to_owned();
    let cluster = "arn:aws:ecs:us-east-1:123456789012:cluster/default".to_owned();
    [cluster, definition, world.one().await, service, instance]
}

#[tokio::test]
async fn everything_can_be_tagged() {
    let (world, instance) = World::ready().await;
    for arn in arns(&world, instance).await {
        assert_eq!(list(&world, &arn).await.unwrap(), []);
        put(&world, &arn, vec![tag("a", "1"), tag("b", "2")]).await.unwrap();
        put(&world, &arn, vec![tag("b", "3"), tag("c", "")]).await.unwrap();
        assert_eq!(list(&world, &arn).await.unwrap(), [tag("a", "1"), tag("b", "3"), tag("c", "")]);
        let input = UntagResourceRequest { resource_arn: text(&arn), tag_keys: texts(&["a", "c", "nope"]) };
        world.ecs.untag_resource(&world.caller, input).await.unwrap();
        assert_eq!(list(&world, &arn).await.unwrap(), [tag("b", "3")]);
    }
}

#[tokio::test]
async fn tags_that_are_refused() {
    let (world, instance) = World::ready().await;
    let [cluster, ..] = arns(&world, instance).await;
    let length = "Tag key must have length between 1 and 128, tag value length at most 256.";
    for bad in [tag("", "x"), tag(&"k".repeat(129), "x"), tag("k", &"v".repeat(257))] {
        refused(put(&world, &cluster, vec![bad]).await, "InvalidParameterException", length);
    }
    let reserved = "Invalid tag key: tag keys cannot start with 'aws:'";
    refused(put(&world, &cluster, vec![tag("AWS:x", "y")]).await, "InvalidParameterException", reserved);
    let many = (0..51).map(|number| tag(&format!("k{number}"), "")).collect();
    refused(put(&world, &cluster, many).await, "ClientException", "The number of tags exceeds the limit of 50.");
    let fifty = (0..50).map(|number| tag(&format!("k{number}"), "")).collect();
    put(&world, &cluster, fifty).await.unwrap();
    let one_more = put(&world, &cluster, vec![tag("one-more", "")]).await;
    refused(one_more, "ClientException", "The number of tags exceeds the limit of 50.");
}

#[tokio::test]
async fn what_does_not_exist_has_no_tags() {
    let world = World::new().await;
    let arn = |rest: &str| format!("arn:aws:ecs:us-east-1:123456789012:{rest}");
    refused(list(&world, &arn("cluster/nope")).await, "ClusterNotFoundException", "Cluster not found.");
    refused(list(&world, &arn("service/default/s")).await, "ServiceNotFoundException", "Service not found.");
    let invalid = "InvalidParameterException";
    refused(list(&world, &arn("task/default/t")).await, invalid, "The specified task does not exist.");
    refused(
        list(&world, &arn("container-instance/default/i")).await,
        invalid,
        "The specified container instance does not exist.",
    );
    refused(
        list(&world, &arn("task-definition/web:1")).await,
        invalid,
        "The specified task definition does not exist.",
    );
    let malformed = "The specified ARN is not valid. Check the ARN and try again.";
    for bad in ["nonsense", "arn:aws:s3:::bucket", &arn("cluster/"), &arn("elephant/e")] {
        refused(list(&world, bad).await, invalid, malformed);
    }
    refused(list(&world, "").await, invalid, "The resource ARN cannot be empty.");
}
