//! The cluster query language, on instances that differ.

use std::sync::Arc;

use model::container_instance::VersionInfo;
use model::{Attribute, ContainerInstance, ContainerInstanceStatus, Scope};
use proptest::prelude::*;
use scheduler::{Candidate, Expression};
use state::Snapshot;
use stdx::Timestamp;

fn instance() -> Arc<ContainerInstance> {
    let attribute = |name: &str, value: Option<&str>| Attribute { name: name.into(), value: value.map(Into::into) };
    Arc::new(ContainerInstance {
        scope: Scope::new("123456789012", "us-east-1"),
        cluster: "default".into(),
        id: "a".into(),
        status: ContainerInstanceStatus::Active,
        status_reason: None,
        ec2_instance_id: Some("i-0123".into()),
        agent_connected: true,
        version_info: VersionInfo { agent_version: "1.105.1".into(), ..Default::default() },
        registered: Default::default(),
        attributes: vec![
            attribute("ecs.instance-type", Some("t2.small")),
            attribute("ecs.availability-zone", Some("us-east-1c")),
            attribute("color", Some("dark blue")),
            attribute("disks", Some("10")),
            attribute("ecs.capability.efs", None),
        ],
        tags: Vec::new(),
        health: Vec::new(),
        registered_at: Timestamp::from_millis(1_700_000_000_000),
        version: 1,
    })
}

#[track_caller]
fn check(expression: &str, matches: bool) {
    let parsed: Expression = expression.parse().unwrap_or_else(|error| panic!("{error}"));
    let candidate = Candidate::new(&Snapshot::default(), &instance(), "");
    assert_eq!(parsed.matches(&candidate), matches, "{expression}");
    assert_eq!(parsed.to_string(), expression);
}

#[test]
fn what_the_user_guide_shows() {
    check("attribute:ecs.instance-type == t2.small", true);
    check("attribute:ecs.instance-type =~ t2.*", true);
    check("attribute:ecs.instance-type =~ g2.* and attribute:ecs.availability-zone != us-east-1d", false);
    check("attribute:ecs.instance-type == t2.small or attribute:ecs.availability-zone == us-east-1d", true);
    check("attribute:ecs.availability-zone in [us-east-1a, us-east-1b]", false);
    check("attribute:ecs.availability-zone in [us-east-1a, us-east-1c]", true);
    check("attribute:ecs.availability-zone not_in [us-east-1a]", true);
    check("not(attribute:color == red)", true);
    check("attribute:stack exists", false);
    check("attribute:stack !exists", true);
    check("attribute:ecs.capability.efs exists", true);
    check("ec2InstanceId == i-0123", true);
    check("agentConnected == true", true);
    check("runningTasksCount == 0", true);
}

#[test]
fn numbers_compare_as_numbers_and_words_as_words() {
    check("attribute:disks > 9", true);
    check("attribute:disks less_than_equal 10", true);
    check("attribute:disks < 9", false);
    check("attribute:color > dark", true);
    check("attribute:color == 'dark blue'", true);
    check("attribute:color matches \"dark ????\"", true);
    check("attribute:nothing > 1", false);
    check("attribute:nothing != 1", true);
    check("attribute:nothing !~ x*", true);
}

#[test]
fn and_binds_closer_than_or() {
    check("agentConnected == true or agentConnected == false and agentConnected == false", true);
    check("(agentConnected == true or agentConnected == false) and agentConnected == false", false);
    check("agentConnected == true && !(agentConnected == false) || agentConnected == false", true);
}

#[test]
fn nonsense_is_refused() {
    for text in [
        "",
        "attribute:",
        "attribute:a",
        "attribute:a ==",
        "attribute:a is b",
        "color == blue",
        "attribute:a == b c",
        "(attribute:a exists",
        "attribute:a in b",
        "attribute:a in [b",
        "attribute:a in []x",
        "attribute:a == 'open",
        "and attribute:a exists",
        "attribute:a exists or",
    ] {
        assert!(text.parse::<Expression>().is_err(), "{text}");
    }
    let deep = format!("{}attribute:a exists{}", "(".repeat(1000), ")".repeat(1000));
    assert!(deep.parse::<Expression>().is_err(), "too deep to be meant");
}

proptest! {
    #[test]
    fn no_text_panics(text in "(attribute:a|not|and|or|in|exists|==|!|~|\\(|\\)|\\[|\\]|,|'|\"|x| |ä){0,20}") {
        let _ = text.parse::<Expression>();
    }
}
