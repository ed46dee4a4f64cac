//! The settings of an account.

mod world;

use api_ecs::*;
use world::{World, refused, text};

const ROOT: &str = "arn:aws:iam::123456789012:root";
const ANN: &str = "arn:aws:iam::123456789012:user/ann";

async fn put(world: &World, name: &str, value: &str, principal: Option<&str>) -> Result<Setting, Error> {
    let input =
        PutAccountSettingRequest { name: text(name), value: text(value), principal_arn: principal.map(str::to_owned) };
    Ok(world.ecs.put_account_setting(&world.caller, input).await?.setting.unwrap())
}

async fn list(world: &World, change: impl FnOnce(&mut ListAccountSettingsRequest)) -> ListAccountSettingsResponse {
    let mut input = ListAccountSettingsRequest::default();
    change(&mut input);
    world.ecs.list_account_settings(&world.caller, input).await.unwrap()
}

/// What counts for a principal.
async fn effective(world: &World, name: &str, principal: &str) -> String {
    let answer = list(world, |input| {
        input.name = text(name);
        input.principal_arn = text(principal);
        input.effective_settings = Some(true);
    });
    answer.await.settings.unwrap().remove(0).value.unwrap()
}

#[tokio::test]
async fn ones_own_word_counts_before_that_of_the_account() {
    let world = World::new().await;
    assert_eq!(effective(&world, "containerInsights", ANN).await, "disabled");
    let input = PutAccountSettingDefaultRequest { name: text("containerInsights"), value: text("enabled") };
    let set = world.ecs.put_account_setting_default(&world.caller, input).await.unwrap().setting.unwrap();
    assert_eq!((set.principal_arn.as_deref(), set.r#type.as_deref()), (Some(ROOT), Some("user")));
    assert_eq!(effective(&world, "containerInsights", ANN).await, "enabled");
    put(&world, "containerInsights", "enhanced", Some(ANN)).await.unwrap();
    assert_eq!(effective(&world, "containerInsights", ANN).await, "enhanced");
    assert_eq!(effective(&world, "containerInsights", ROOT).await, "enabled");

    // A new cluster begins with it.
    let input = CreateClusterRequest { cluster_name: text("new"), ..Default::default() };
    let cluster = world.ecs.create_cluster(&world.caller, input).await.unwrap().cluster.unwrap();
    assert_eq!(cluster.settings.unwrap()[0].value, text("enabled"));

    let input = DeleteAccountSettingRequest { name: text("containerInsights"), principal_arn: text(ANN) };
    let left = world.ecs.delete_account_setting(&world.caller, input).await.unwrap().setting.unwrap();
    assert_eq!(left.value, text("enabled"), "what the account says");
}

#[tokio::test]
async fn a_list_shows_what_was_set_or_what_counts() {
    let world = World::new().await;
    assert_eq!(list(&world, |_| {}).await.settings.unwrap(), []);
    put(&world, "awsvpcTrunking", "enabled", None).await.unwrap();
    let set = list(&world, |_| {}).await.settings.unwrap();
    assert_eq!(
        (set.len(), set[0].name.as_deref(), set[0].principal_arn.as_deref()),
        (1, Some("awsvpcTrunking"), Some(ROOT))
    );

    let first = list(&world, |input| input.effective_settings = Some(true)).await;
    assert_eq!(first.settings.unwrap().len(), 10);
    let token = first.next_token.expect("there are more than ten");
    let rest = list(&world, |input| {
        input.effective_settings = Some(true);
        input.next_token = Some(token);
    });
    let rest = rest.await;
    assert_eq!((rest.settings.unwrap().len(), rest.next_token), (1, None));
    let by_value = list(&world, |input| {
        input.name = text("awsvpcTrunking");
        input.value = text("disabled");
    });
    assert_eq!(by_value.await.settings.unwrap(), []);
}

#[tokio::test]
async fn each_request_is_checked() {
    let world = World::new().await;
    let invalid = "InvalidParameterException";
    refused(put(&world, "colour", "red", None).await, invalid, "Invalid account setting name: colour");
    for (name, value) in [
        ("containerInsights", "loud"),
        ("fargateTaskRetirementWaitPeriod", "3"),
        ("taskLongArnFormat", "disabled"),
        ("defaultLogDriverMode", "on"),
    ] {
        let refusal = format!("Invalid value for the account setting {name}: {value}");
        refused(put(&world, name, value, None).await, invalid, &refusal);
    }
    let managed = "The account setting guardDutyActivate is managed by AWS and cannot be changed.";
    refused(put(&world, "guardDutyActivate", "on", None).await, "ClientException", managed);
    let stranger = put(&world, "awsvpcTrunking", "enabled", Some("arn:aws:iam::999999999999:root")).await;
    refused(stranger, invalid, "The specified principalArn is not valid.");
    let input = ListAccountSettingsRequest { value: text("enabled"), ..Default::default() };
    let answer = world.ecs.list_account_settings(&world.caller, input).await;
    refused(answer, invalid, "You must specify an account setting name to use the value parameter.");
}

#[tokio::test]
async fn a_namespace_is_there_when_a_cluster_has_it() {
    let world = World::new().await;
    let list = async |name: &str| {
        let input = ListServicesByNamespaceRequest { namespace: text(name), ..Default::default() };
        world.ecs.list_services_by_namespace(&world.caller, input).await
    };
    refused(list("shop").await, "NamespaceNotFoundException", "The specified namespace wasn't found.");
    let input = CreateClusterRequest {
        cluster_name: text("c"),
        service_connect_defaults: Some(ClusterServiceConnectDefaultsRequest { namespace: text("shop") }),
        ..Default::default()
    };
    world.ecs.create_cluster(&world.caller, input).await.unwrap();
    assert_eq!(list("shop").await.unwrap().service_arns, Some(Vec::new()));
}
