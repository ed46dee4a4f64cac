//! Custom attributes of container instances.

mod world;

use api_ecs::*;
use world::{World, refused, text};

fn attribute(name: &str, value: Option<&str>, target: &str) -> Attribute {
    Attribute {
        name: text(name),
        value: value.map(str::to_owned),
        target_type: text("container-instance"),
        target_id: text(target),
    }
}

async fn put(world: &World, attributes: Vec<Attribute>) -> Result<PutAttributesResponse, Error> {
    let input = PutAttributesRequest { attributes: Some(attributes), ..Default::default() };
    world.ecs.put_attributes(&world.caller, input).await
}

async fn delete(world: &World, attributes: Vec<Attribute>) -> Result<DeleteAttributesResponse, Error> {
    let input = DeleteAttributesRequest { attributes: Some(attributes), ..Default::default() };
    world.ecs.delete_attributes(&world.caller, input).await
}

/// Name and value of the custom attributes, as they are listed.
async fn listed(world: &World) -> Vec<(String, Option<String>, String)> {
    let input = ListAttributesRequest { target_type: text("container-instance"), ..Default::default() };
    let answer = world.ecs.list_attributes(&world.caller, input).await.unwrap();
    let custom = answer.attributes.unwrap().into_iter().filter(|one| !one.name.as_ref().unwrap().contains("ecs."));
    custom.map(|one| (one.name.unwrap(), one.value, one.target_id.unwrap())).collect()
}

#[tokio::test]
async fn what_is_put_is_listed_placed_by_and_deleted() {
    let (world, instance) = World::ready().await;
    let version = world.snapshot().container_instances.iter().next().unwrap().version;
    let id = instance.rsplit('/').next().unwrap();
    let answer = put(&world, vec![attribute("stack", Some("prod"), id), attribute("ssd", None, &instance)]).await;
    let shown = answer.unwrap().attributes.unwrap();
    assert_eq!((&shown[0].value, &shown[0].target_id), (&text("prod"), &Some(instance.clone())));
    let row = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned), instance.clone());
    assert_eq!(listed(&world).await, [row("ssd", None), row("stack", Some("prod"))]);

    let on_stack = |value: &str| {
        let expression = format!("attribute:stack == {value}");
        move |input: &mut RunTaskRequest| {
            let constraint = PlacementConstraint { r#type: text("memberOf"), expression: Some(expression) };
            input.placement_constraints = Some(vec![constraint]);
        }
    };
    assert_eq!(world.run(on_stack("prod")).await.unwrap().tasks.unwrap().len(), 1);
    put(&world, vec![attribute("stack", Some("test"), &instance)]).await.unwrap();
    assert_eq!(world.reasons(on_stack("prod")).await, ["MemberOf placement constraint unsatisfied."]);

    // The same again changes nothing, and neither does deleting what is not there.
    let known = world.snapshot().container_instances.iter().next().unwrap().version;
    assert_eq!(known, version + 2);
    put(&world, vec![attribute("stack", Some("test"), &instance)]).await.unwrap();
    delete(&world, vec![attribute("nope", None, &instance)]).await.unwrap();
    assert_eq!(world.snapshot().container_instances.iter().next().unwrap().version, known);

    delete(&world, vec![attribute("stack", None, id), attribute("ssd", None, id)]).await.unwrap();
    assert_eq!(listed(&world).await, []);
}

#[tokio::test]
async fn what_may_not_be_put() {
    let (world, instance) = World::ready().await;
    let check = async |code: &str, message: &str, attributes: Vec<Attribute>| {
        refused(put(&world, attributes).await, code, message);
    };
    let invalid = "InvalidParameterException";
    let count = "The number of attributes must be between 1 and 10.";
    check(invalid, count, vec![]).await;
    check(invalid, count, vec![attribute("a", None, &instance); 11]).await;
    check(invalid, "Attribute names cannot be empty.", vec![attribute("", None, &instance)]).await;
    let reserved = "The attribute 'ecs.os-type' is set by Amazon ECS and cannot be changed.";
    check(invalid, reserved, vec![attribute("ecs.os-type", Some("x"), &instance)]).await;
    refused(delete(&world, vec![attribute("ecs.os-type", None, &instance)]).await, invalid, reserved);
    check(invalid, "The targetId of an attribute cannot be empty.", vec![attribute("a", None, "")]).await;
    let missing = "The specified target nope was not found.";
    check("TargetNotFoundException", missing, vec![attribute("a", None, "nope")]).await;
    for name in ["a b", "é", &"x".repeat(129)] {
        let error = put(&world, vec![attribute(name, None, &instance)]).await.unwrap_err();
        assert!(error.message.starts_with("Invalid attribute name"), "{}", error.message);
    }
    for value in ["", " x", "x ", "a;b", &"x".repeat(129)] {
        let error = put(&world, vec![attribute("a", Some(value), &instance)]).await.unwrap_err();
        assert!(error.message.starts_with("Invalid value of attribute 'a'"), "{}", error.message);
    }
    let ten: Vec<_> = (0..10).map(|n| attribute(&format!("a{n}"), Some("v: @x/y\\z.-_"), &instance)).collect();
    put(&world, ten).await.unwrap();
    let many = format!("{instance} would have more than 10 custom attributes.");
    check("AttributeLimitExceededException", &many, vec![attribute("one-more", None, &instance)]).await;
    put(&world, vec![attribute("a0", Some("other"), &instance)]).await.unwrap();
    assert_eq!(listed(&world).await.len(), 10);
}

#[tokio::test]
async fn there_is_no_update_of_an_agent() {
    let (world, instance) = World::ready().await;
    let update = async |instance: &str| {
        let input = UpdateContainerAgentRequest { container_instance: text(instance), ..Default::default() };
        world.ecs.update_container_agent(&world.caller, input).await
    };
    refused(update("nope").await, "ClientException", "Referenced container instance not found.");
    let unknown = format!("The agent version of container instance {instance} is not known.");
    refused(update(&instance).await, "MissingVersionException", &unknown);
    world.change_instance(&instance, |instance| instance.version_info.agent_version = "1.105.1".into());
    let newest = "There is no update available for the container agent 1.105.1.";
    refused(update(&instance).await, "NoUpdateAvailableException", newest);
}
