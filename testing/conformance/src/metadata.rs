//! What a container can ask about itself, at 169.254.170.2: each answer as the container got it, beside what the API shows.

use std::fs;

use api_ecs::operations::TagResource;
use serde_json::{Value, json};

use crate::world::{Task, host_port, named, text};
use crate::{Bench, Case, IMAGE, Page};

const PAGE: Page = Page::Guide("Amazon ECS task metadata endpoint version 4");
const V3: Page = Page::Guide("Amazon ECS task metadata endpoint version 3");

const URI: &str = "ECS_CONTAINER_METADATA_URI_V4";
const URI_V3: &str = "ECS_CONTAINER_METADATA_URI";

pub fn cases() -> Vec<Case> {
    let case = |name, feature, page, check| Case { name, feature, page, check };
    vec![
        case("metadata_endpoint", "the task metadata endpoint at 169.254.170.2", PAGE, metadata_endpoint),
        case(
            "metadata_container",
            "`${ECS_CONTAINER_METADATA_URI_V4}`: ids, image, labels, limits, ports, volumes, networks and log options of the container",
            PAGE,
            metadata_container,
        ),
        case("metadata_task", "`…/task`: the task, its containers, limits, zone and launch type", PAGE, metadata_task),
        case("metadata_v3", "version 3 of it, without what came with version 4", V3, metadata_v3),
        case("metadata_tags", "`…/taskWithTags`: the tags of the task and of its instance", PAGE, metadata_tags),
        case(
            "metadata_stats",
            "`…/stats` and `…/task/stats`: CPU, memory with its limit, processes and networks, in Docker's words, with rates",
            PAGE,
            metadata_stats,
        ),
        case("metadata_stranger", "an id that is not one's own is told so, and nothing else", PAGE, metadata_stranger),
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

fn metadata_container(bench: &Bench<'_>) {
    let more = json!({
        "cpu": 64,
        "dockerLabels": { "owner": "us" },
        "portMappings": [{ "containerPort": 8080 }],
        "logConfiguration": { "logDriver": "json-file", "options": { "max-file": "2" } },
    });
    let (task, answers) = ask(bench, json!({}), more, &[(URI, "?")]);
    let (inside, shown) = (&answers[0], task.describe());
    let web = named(&shown, "web");
    for (member, value) in [
        ("DockerId", &web["runtimeId"]),
        ("Name", &json!("web")),
        ("Image", &json!(IMAGE)),
        ("ImageID", &web["imageDigest"]),
        ("ContainerARN", &web["containerArn"]),
        ("DesiredStatus", &json!("RUNNING")),
        ("KnownStatus", &json!("RUNNING")),
        ("Type", &json!("NORMAL")),
        ("Limits", &json!({ "CPU": 64, "Memory": 32 })),
        ("LogDriver", &json!("json-file")),
        ("LogOptions", &json!({ "max-file": "2" })),
    ] {
        assert_eq!(&inside[member], value, "{member} in {inside}");
    }
    assert_eq!(inside["Labels"]["owner"], "us");
    assert_eq!(inside["Labels"]["com.amazonaws.ecs.task-arn"], shown["taskArn"]);
    assert!(text(&inside["DockerName"]).starts_with("ecs-metadata_container-"), "{inside}");
    assert_eq!(inside["Ports"][0]["ContainerPort"], 8080);
    assert_eq!(inside["Ports"][0]["HostPort"], host_port(&shown, "web", 8080));
    assert_eq!(inside["Networks"][0]["NetworkMode"], "bridge");
    let address = text(&inside["Networks"][0]["IPv4Addresses"][0]);
    assert!(address.parse::<std::net::Ipv4Addr>().is_ok(), "{inside}");
    let volume = &inside["Volumes"][0];
    assert_eq!((&volume["Source"], &volume["Destination"]), (&json!(bench.folder()), &json!("/shared")));
    for time in ["CreatedAt", "StartedAt"] {
        assert!(text(&inside[time]).starts_with("20"), "{time} in {inside}");
    }
    assert!(inside.get("ExitCode").is_none() && inside.get("FinishedAt").is_none(), "it runs: {inside}");
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

fn metadata_tags(bench: &Bench<'_>) {
    let (first, _) = ask(bench, json!({}), json!({}), &[(URI, "/task")]);
    let instance = first.describe()["containerInstanceArn"].clone();
    let tag = json!([{ "key": "rack", "value": "7" }]);
    bench.call::<TagResource>(json!({ "resourceArn": instance, "tags": tag })).expect("it can have tags");
    let run = json!({ "tags": [{ "key": "team", "value": "shop" }] });
    let asks = [(URI, "/taskWithTags"), (URI, "/task")];
    let (_task, answers) = ask_with(bench, json!({}), json!({}), run, &asks);
    assert_eq!(answers[0]["TaskTags"], json!({ "team": "shop" }), "{}", answers[0]);
    assert_eq!(answers[0]["ContainerInstanceTags"]["rack"], "7", "{}", answers[0]);
    assert!(answers[1].get("TaskTags").is_none(), "only who asks for them gets them: {}", answers[1]);
}

fn metadata_stats(bench: &Bench<'_>) {
    let asks = [(URI, "/stats"), (URI, "/stats"), (URI, "/task/stats")];
    let (task, answers) = ask(bench, json!({}), json!({}), &asks);
    let id = text(&named(&task.describe(), "web")["runtimeId"]);
    let [first, second, of_task] = answers.as_slice() else { panic!("three answers") };
    assert_eq!((&first["id"], &of_task[&id]["id"]), (&json!(id), &json!(id)), "{of_task}");
    let above_zero = |value: &Value| value.as_u64().is_some_and(|value| value > 0);
    for path in ["/cpu_stats/cpu_usage/total_usage", "/cpu_stats/system_cpu_usage", "/cpu_stats/online_cpus"] {
        assert!(first.pointer(path).is_some_and(above_zero), "{path} in {first}");
    }
    assert_eq!(first["memory_stats"]["limit"], 32 << 20, "the container's own");
    assert!(above_zero(&first["memory_stats"]["usage"]) && first["memory_stats"]["stats"].is_object(), "{first}");
    assert!(above_zero(&first["pids_stats"]["current"]), "{first}");
    assert!(first["networks"]["eth0"]["rx_bytes"].is_u64() && first["networks"].get("lo").is_none(), "{first}");
    assert!(first.get("network_rate_stats").is_none(), "nothing to compare with: {first}");
    assert!(second["network_rate_stats"]["rx_bytes_per_sec"].is_number(), "{second}");
    assert_eq!(second["preread"], first["read"], "{second}");
    assert!(above_zero(&second["precpu_stats"]["cpu_usage"]["total_usage"]), "{second}");
}

fn metadata_stranger(bench: &Bench<'_>) {
    let said = bench.says(json!({}), json!({}), &["fetch", "169.254.170.2", "80", "/v4/nobody/task"]);
    let words = "V4 task metadata handler: unable to get task arn from request: unable to get task Arn from v3 endpoint ID: nobody";
    assert!(said.contains("404") && said.contains(words), "{said}");
}
