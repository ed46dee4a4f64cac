//! The cluster query language, on instances that differ.

use std::sync::Arc;

use model::container_instance::VersionInfo;
use model::{Attribute, ContainerInstance, ContainerInstanceStatus, Reservation, Scope};
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
        disconnected_at: None,
        served_by: None,
        version_info: VersionInfo { agent_version: "1.105.1".into(), ..Default::default() },
        registered: Default::default(),
        attributes: vec![
            attribute("ecs.instance-type", Some("t2.small")),
            attribute("ecs.availability-zone", Some("us-east-1c")),
            attribute("color", Some("dark blue")),
            attribute("disks", Some("10")),
            attribute("word", Some("and")),
            attribute("ecs.capability.efs", None),
        ],
        tags: Vec::new(),
        health: Vec::new(),
        // 2023-11-14T22:13:20.500Z
        registered_at: Timestamp::from_millis(1_700_000_000_500),
        version: 1,
    })
}

/// With a task of `service:web` and one of `family:db`.
fn candidate() -> Candidate {
    let mut candidate = Candidate::new(&Snapshot::default(), &instance());
    for group in ["service:web", "family:db"] {
        candidate.load.plan(&Reservation::default(), group);
    }
    candidate.load.tasks_running = 2;
    candidate
}

#[track_caller]
fn check(expression: &str, matches: bool) {
    let parsed: Expression = expression.parse().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(parsed.matches(&candidate()), matches, "{expression}");
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
    check("runningTasksCount == 2", true);
    check("task:group == service:web", true);
    check("not(task:group == database)", true);
}

/// Each operator in each spelling, on the attribute `disks`, which is 10.
#[test]
fn every_operator_in_both_spellings() {
    for (sign, word, argument, matches) in [
        ("==", "equals", "10", true),
        ("==", "equals", "1", false),
        ("!=", "not_equals", "1", true),
        ("!=", "not_equals", "10", false),
        (">", "greater_than", "9", true),
        (">", "greater_than", "10", false),
        (">=", "greater_than_equal", "10", true),
        (">=", "greater_than_equal", "11", false),
        ("<", "less_than", "11", true),
        ("<", "less_than", "10", false),
        ("<=", "less_than_equal", "10", true),
        ("<=", "less_than_equal", "9", false),
        ("exists", "EXISTS", "", true),
        ("!exists", "not_exists", "", false),
        ("in", "IN", "[9, 10]", true),
        ("in", "IN", "[9]", false),
        ("!in", "not_in", "[9]", true),
        ("!in", "not_in", "[9,10]", false),
        ("=~", "matches", "1.", true),
        ("=~", "matches", "1", false),
        ("!~", "not_matches", "1", true),
        ("!~", "not_matches", "1.", false),
    ] {
        check(&format!("attribute:disks {sign} {argument}"), matches);
        check(&format!("attribute:disks {word} {argument}"), matches);
        if !sign.starts_with(char::is_alphabetic) {
            check(&format!("attribute:disks{sign}{argument}"), matches);
        }
    }
}

#[test]
fn what_is_not_there_is_unlike_everything() {
    for (test, matches) in [
        ("== 1", false),
        ("!= 1", true),
        ("> 1", false),
        ("<= 1", false),
        ("in [1]", false),
        ("!in [1]", true),
        ("=~ .*", false),
        ("!~ .*", true),
        ("exists", false),
        ("!exists", true),
    ] {
        check(&format!("attribute:nothing {test}"), matches);
    }
}

#[test]
fn numbers_compare_as_numbers_and_words_as_words() {
    check("attribute:disks > 9", true);
    check("attribute:color > dark", true);
    check("attribute:color == 'dark blue'", true);
    check("attribute:color in [\"dark blue\"]", true);
    check("attribute:word == and and attribute:word == \"and\"", true);
}

#[test]
fn patterns_are_regular_expressions_of_the_whole_value() {
    check("attribute:ecs.instance-type =~ t2", false);
    check("attribute:ecs.instance-type =~ (t2|m4)\\.(small|large)", true);
    check("not(attribute:ecs.instance-type =~ t[23]\\..*)", false);
    check("(attribute:ecs.instance-type =~ m.*) or (attribute:ecs.instance-type =~ (t2)\\.small)", true);
    check("attribute:color matches \"dark .{4}\"", true);
    check("attribute:ecs.availability-zone =~ us-east-1[a-c] and agentConnected == true", true);
    check("ec2InstanceId =~ i-[0-9]+", true);
    check("ec2InstanceId not_in [i-1, i-2]", true);
}

#[test]
fn versions_compare_part_by_part() {
    for (test, matches) in [
        ("== 1.105.1", true),
        ("== 1.105", false),
        ("> 1.99.0", true),
        (">= 1.105.1", true),
        ("< 1.105.2", true),
        ("< 1.105.1.1", true),
        ("<= 1.105.0", false),
        ("!= 1.105.1", false),
        ("greater_than 1.105", true),
        ("less_than 2.0-rc1", true),
    ] {
        check(&format!("agentVersion {test}"), matches);
    }
    let mut unsaid = candidate();
    Arc::make_mut(&mut unsaid.instance).version_info.agent_version = String::new();
    assert!(!"agentVersion >= 0.0".parse::<Expression>().unwrap().matches(&unsaid));
    assert!("agentVersion != 1.0".parse::<Expression>().unwrap().matches(&unsaid));
}

#[test]
fn dates_compare_in_seconds() {
    for (test, matches) in [
        ("== 2023-11-14T22:13:20+00:00", true),
        ("== 2023-11-14T22:13:20Z", true),
        ("== 2023-11-14T22:13:20", true),
        ("== 2023-11-14T23:13:20+01:00", true),
        ("== 2023-11-14T20:43:20-01:30", true),
        ("> 2023-11-14", true),
        ("< 2023-11-15", true),
        ("<= 2023-11-14T22:13:20Z", true),
        ("> 2023-11-14T22:13:20Z", false),
        ("> 2024-02-29", false),
    ] {
        check(&format!("registeredAt {test}"), matches);
    }
}

#[test]
fn of_several_groups_one_is_enough() {
    for (test, matches) in [
        ("== family:db", true),
        ("== service:other", false),
        ("!= service:other", true),
        ("!= family:db", false),
        ("in [service:other, family:db]", true),
        ("!in [service:other]", true),
        ("!in [family:db]", false),
        ("=~ service:.*", true),
        ("=~ daemon:.*", false),
        ("!~ service:.*", false),
    ] {
        check(&format!("task:group {test}"), matches);
    }
}

#[test]
fn and_binds_closer_than_or() {
    check("agentConnected == true or agentConnected == false and agentConnected == false", true);
    check("(agentConnected == true or agentConnected == false) and agentConnected == false", false);
    check("agentConnected == true && !(agentConnected == false) || agentConnected == false", true);
    check("agentConnected==true&&!(agentConnected==false)||agentConnected==false", true);
    check("NOT agentConnected == false AND agentConnected == true", true);
}

#[test]
fn each_mistake_is_named() {
    for (text, why) in [
        ("", "a subject is expected at its end"),
        ("attribute:", "'attribute:' is no subject of the cluster query language"),
        ("color == blue", "'color' is no subject of the cluster query language"),
        ("task:family == x", "'task:family' is no subject of the cluster query language"),
        ("attribute:a", "an operator is expected at its end"),
        ("attribute:a (", "an operator is expected at '('"),
        ("attribute:a is b", "'is' is no operator of the cluster query language"),
        ("attribute:a = b", "'=' is no operator of the cluster query language"),
        ("attribute:a ==", "a value is expected at its end"),
        ("attribute:a == (", "a value is expected at '('"),
        ("attribute:a == b c", "`and`, `or` or the end is expected at 'c'"),
        ("attribute:a exists or", "a subject is expected at its end"),
        ("and attribute:a exists", "'and' is no subject of the cluster query language"),
        ("(attribute:a exists", "a closing parenthesis is expected at its end"),
        ("attribute:a in b", "a list as [a, b] is expected at 'b'"),
        ("attribute:a in [b", "a comma or a closing bracket is expected at its end"),
        ("attribute:a in []x", "a value is expected at ']x'"),
        ("attribute:a == 'open", "a quotation mark is not closed"),
        ("attribute:a =~ 'open", "a quotation mark is not closed"),
        ("attribute:a =~", "a regular expression is expected at its end"),
        ("attribute:a =~ )", "a regular expression is expected at ')'"),
        ("attribute:a =~ *", "'*' is no regular expression, or too large a one"),
        ("attribute:a =~ 'a)|(b'", "'a)|(b' is no regular expression, or too large a one"),
        ("attribute:a =~ (a{1000}){1000}", "'(a{1000}){1000}' is no regular expression, or too large a one"),
        ("agentVersion > new", "'new' is no version, as 1.105.1"),
        ("agentVersion in [1.0]", "agentVersion cannot be compared with in"),
        ("agentVersion exists", "agentVersion cannot be compared with exists"),
        ("agentConnected > true", "agentConnected cannot be compared with greater_than"),
        ("ec2InstanceId exists", "ec2InstanceId cannot be compared with exists"),
        ("task:group <= x", "task:group cannot be compared with less_than_equal"),
        ("registeredAt =~ 2018.*", "registeredAt cannot be compared with matches"),
        ("registeredAt > yesterday", "'yesterday' is no date, as 2018-06-18T22:28:28+00:00"),
        ("registeredAt > 2023-02-29", "'2023-02-29' is no date, as 2018-06-18T22:28:28+00:00"),
        ("registeredAt > 2023-01-01T24:00:00", "'2023-01-01T24:00:00' is no date, as 2018-06-18T22:28:28+00:00"),
        ("runningTasksCount > few", "'few' is no number of tasks"),
        ("runningTasksCount !in [1]", "runningTasksCount cannot be compared with not_in"),
    ] {
        let error = text.parse::<Expression>().expect_err(text).to_string();
        assert_eq!(error, format!("Invalid expression: {text}: {why}"));
    }
    let deep = format!("{}attribute:a exists{}", "(".repeat(900), ")".repeat(900));
    let error = deep.parse::<Expression>().unwrap_err().to_string();
    assert!(error.ends_with("parentheses and `not` are nested too deeply"), "{error}");
    let long = format!("attribute:a == {}", "a".repeat(2000));
    let error = long.parse::<Expression>().unwrap_err().to_string();
    assert!(error.ends_with("it has more than 2000 characters"), "{error}");
}

proptest! {
    #[test]
    fn no_text_panics(text in "(attribute:a|not|and|or|in|exists|registeredAt|2018-06-18|==|!|~|\\(|\\)|\\[|\\]|,|'|\"|x| |ä){0,20}") {
        let _ = text.parse::<Expression>();
    }
}
