//! What a container can ask about itself, at 169.254.170.2: each answer as the container got it, beside what the API shows.

use std::fs;

use serde_json::{Value, json};

use crate::world::{Task, named, text};
use crate::{Bench, Case, Page};

const PAGE: Page = Page::Guide("Amazon ECS task metadata endpoint version 4");
const V3: Page = Page::Guide("Amazon ECS task metadata endpoint version 3");

const URI: &str = "ECS_CONTAINER_METADATA_URI_V4";
const URI_V3: &str = "ECS_CONTAINER_METADATA_URI";

pub fn cases() -> Vec<Case> {
    let case = |name, feature, page, check| Case { name, feature, page, check };
    vec![
        case("metadata_endpoint", "the task metadata endpoint at 169.254.170.2", PAGE, metadata_endpoint),
        case("metadata_task", "`…/task`: the task, its containers, limits, zone and launch type", PAGE, metadata_task),
        case("metadata_v3", "version 3 of it, without what came with version 4", V3, metadata_v3),
    ]
}

/// A task whose container `web` asks these paths once everybody knows that it runs, and the answers in their order.
fn ask<'b>(bench: &'b Bench<'b>, settings: Value, more: Value, asks: &[(&str, &str)]) -> (Task<'b>, Vec<Value>) {
    ask_with(bench, settings, more, json!({}), asks)
}

fn ask_with<'b>(
    bench: &'b Bench<'b>,
    mut settings: Value,
    mut more: Value,
    run: Value,
    asks: &[(&str, &str)],
) -> (Task<'b>, Vec<Value>) {
    let folder = bench.folder();
    let go = folder.join("go");
    let _ = fs::remove_file(&go);
    let mut words = vec!["await", "/shared/go"];
    for (variable, path) in asks {
        words.extend(["fetch-env", variable, path, "say", ""]);
    }
    words.extend(["say", "that is all", "wait"]);
    settings["volumes"] = json!([{ "name": "shared", "host": { "sourcePath": folder } }]);
    more["name"] = json!("web");
    more["command"] = json!(words);
    more["mountPoints"] = json!([{ "sourceVolume": "shared", "containerPath": "/shared" }]);
    let definition = bench.register(settings, json!([more])).expect("it can be registered");
    let task = bench.start(&definition, run);
    task.running();
    fs::write(&go, "").expect("the folder is there");
    let said = task.output_when("web", |said| said.contains("that is all"));
    let answers: Vec<Value> = said.split("HTTP/1.").skip(1).map(body).collect();
    assert_eq!(answers.len(), asks.len(), "{said}");
    (task, answers)
}

/// Of an answer: its JSON, in which the log has kept every line.
fn body(answer: &str) -> Value {
    let start = answer.find("\r\n\r\n").map(|at| at + 4).or_else(|| answer.find("\n\n").map(|at| at + 2));
    let text = &answer[start.unwrap_or_else(|| panic!("no end of the head in {answer:?}"))..];
    let mut values = serde_json::Deserializer::from_str(text).into_iter();
    values.next().and_then(Result::ok).unwrap_or_else(|| panic!("no JSON in {answer:?}"))
}

fn metadata_endpoint(bench: &Bench<'_>) {
    let said = bench.says(json!({}), json!({}), &["env", URI, "fetch-env", URI, "/task"]);
    assert!(said.contains("200 OK") && said.contains(r#""Family":"metadata_endpoint""#), "{said}");
}

fn metadata_task(bench: &Bench<'_>) {
    let settings = json!({ "cpu": "256", "memory": "128" });
    let (task, answers) = ask(bench, settings, json!({}), &[(URI, "/task")]);
    let (inside, shown) = (&answers[0], task.describe());
    for (member, value) in [
        ("TaskARN", &shown["taskArn"]),
        ("Cluster", &shown["clusterArn"]),
        ("Family", &json!("metadata_task")),
        ("DesiredStatus", &json!("RUNNING")),
        ("KnownStatus", &json!("RUNNING")),
        ("AvailabilityZone", &shown["availabilityZone"]),
        ("LaunchType", &json!("EC2")),
        ("Limits", &json!({ "CPU": 0.25, "Memory": 128 })),
        ("ContainerInstanceARN", &shown["containerInstanceArn"]),
        ("FaultInjectionEnabled", &json!(false)),
    ] {
        assert_eq!(&inside[member], value, "{member} in {inside}");
    }
    let revision = text(&shown["taskDefinitionArn"]);
    assert!(revision.ends_with(&format!(":{}", text(&inside["Revision"]))), "{inside}");
    assert_eq!(inside["Containers"].as_array().expect("its containers").len(), 1);
    assert_eq!(inside["Containers"][0]["Name"], "web");
    assert!(inside.get("ServiceName").is_none(), "it is of no service: {inside}");
}

fn metadata_v3(bench: &Bench<'_>) {
    let (task, answers) = ask(bench, json!({}), json!({}), &[(URI_V3, "?"), (URI_V3, "/task"), (URI_V3, "/stats")]);
    let [container, of_task, stats] = answers.as_slice() else { panic!("three answers") };
    assert_eq!(container["DockerId"], named(&task.describe(), "web")["runtimeId"]);
    assert!(container.get("ContainerARN").is_none() && of_task.get("LaunchType").is_none(), "{container} {of_task}");
    assert_eq!(of_task["TaskARN"], task.describe()["taskArn"]);
    assert!(stats.get("network_rate_stats").is_none() && stats["memory_stats"]["usage"].is_u64(), "{stats}");
}
