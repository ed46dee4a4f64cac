//! The endpoint for containers, asked as a container of the bridge network asks: through an address that is not its own.

use std::time::Duration;

use agent::{ContainerInfo, MetadataListener, VolumeInfo};
use agent_api::payload::Task;
use agent_api::{FromAgent, IamRoleCredentialsMessage, RoleType, ToAgent};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::payloads::{INSTANCE, arn, keys, payload, task, task_of, web, with};
use crate::rig::{DEADLINE, Rig};

/// Status and body of one GET.
async fn get(port: u16, path: &str) -> (u16, Value) {
    ask(port, "GET", path, "").await
}

/// Status and body of one answer.
async fn ask(port: u16, method: &str, path: &str, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: 169.254.170.2\r\nConnection: close\r\n");
    let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::Null))
}

/// Asks until the answer is as wanted.
async fn get_until(port: u16, path: &str, wanted: impl Fn(u16, &Value) -> bool) -> Value {
    let asking = async {
        loop {
            let (status, body) = get(port, path).await;
            if wanted(status, &body) {
                return body;
            }
        }
    };
    tokio::time::timeout(DEADLINE, asking).await.unwrap_or_else(|_| panic!("{path} did not change"))
}

async fn listener() -> (MetadataListener, u16) {
    let info = |task: &str, index: usize| ContainerInfo {
        network_mode: "bridge".to_owned(),
        ipv4_addresses: vec![format!("172.17.0.{}", task.len() + index)],
        volumes: vec![VolumeInfo {
            name: Some("data".into()),
            source: "/srv/data".into(),
            destination: "/data".into(),
        }],
    };
    // Any address of the machine; the caller decides.
    let listener = MetadataListener::bind("0.0.0.0:0".parse().unwrap(), info).await.unwrap();
    let port = listener.address().unwrap().port();
    (listener, port)
}

/// The id in a container's metadata paths, which only the machine learns.
fn metadata_id(rig: &Rig, task: &str, container: &str) -> String {
    let path = rig.folder().join(format!("state/tasks/{task}.json"));
    let record: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    record["identity"]["metadataIds"][container].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_container_that_asks_at_once_is_answered_when_its_start_is_known() {
    let rig = Rig::new().await;
    let (listener, port) = listener().await;
    let _agent = rig.start_serving(listener).await;
    let release = rig.machine.hold_starts();
    rig.control.send(&payload("p1", vec![task_of("t1", json!([web()]))]));
    rig.machine.called("start t1 web 0").await;
    let path = format!("/v4/{}", metadata_id(&rig, "t1", "web"));
    let mut asked = std::pin::pin!(get(port, &path));
    // It is asked, and has not answered when everything else that is ready has been done.
    let early = tokio::time::timeout(Duration::from_millis(50), asked.as_mut()).await;
    assert!(early.is_err(), "{early:?}");
    release.send_replace(true);
    let (status, web) = asked.await;
    assert_eq!((status, &web["DockerId"], &web["KnownStatus"]), (200, &json!("t1-web-0"), &json!("RUNNING")));
}

#[tokio::test]
async fn a_container_learns_about_itself_and_its_task() {
    let rig = Rig::new().await;
    let (listener, port) = listener().await;
    let _agent = rig.start_serving(listener).await;
    let side = json!({"name": "side", "image": "shop:2", "cpu": 10, "memory": 64});
    rig.control.send(&payload("p1", vec![task_of("t1", json!([web(), side]))]));
    rig.control.acked("p1").await;
    rig.control.reported("t1", 1).await;
    let id = metadata_id(&rig, "t1", "web");

    let (status, web) = get(port, &format!("/v4/{id}")).await;
    assert_eq!(status, 200);
    assert_eq!((&web["Name"], &web["Image"], &web["DockerId"]), (&json!("web"), &json!("shop:1"), &json!("t1-web-0")));
    assert_eq!((&web["DesiredStatus"], &web["KnownStatus"]), (&json!("RUNNING"), &json!("RUNNING")));
    assert_eq!(web["Networks"], json!([{"NetworkMode": "bridge", "IPv4Addresses": ["172.17.0.2"]}]));
    assert_eq!(web["Ports"][0]["ContainerPort"], 80);
    assert_eq!(web["Volumes"], json!([{"DockerName": "data", "Source": "/srv/data", "Destination": "/data"}]));
    assert!(web["DockerName"].as_str().unwrap().starts_with("ecs-fam-7-web-"), "{web}");
    assert_eq!(web["Labels"]["com.amazonaws.ecs.task-arn"], arn("t1"));

    for version in ["v3", "v4"] {
        let (status, task) = get(port, &format!("/{version}/{id}/task")).await;
        assert_eq!((status, &task["TaskARN"]), (200, &json!(arn("t1"))));
        assert_eq!(
            (&task["Family"], &task["Revision"], &task["KnownStatus"]),
            (&json!("fam"), &json!("7"), &json!("RUNNING"))
        );
        assert_eq!(task["Containers"][1]["Name"], "side");
        assert_eq!(task["Containers"][1]["Limits"], json!({"CPU": 10, "Memory": 64}));
        assert_eq!(task.get("LaunchType").is_some(), version == "v4");
    }

    let (status, stats) = get(port, &format!("/v4/{id}/stats")).await;
    assert_eq!((status, &stats["memory_stats"]["usage"]), (200, &json!(64 << 20)));
    assert_eq!(stats["cpu_stats"]["cpu_usage"]["total_usage"], 250_000_000);
    assert_eq!((&stats["id"], stats.get("network_rate_stats")), (&json!("t1-web-0"), None), "there is no rate yet");
    let (_, again) = get(port, &format!("/v4/{id}/stats")).await;
    assert_eq!(again["preread"], stats["read"], "the second question is answered with the first");
    assert!(again["network_rate_stats"]["rx_bytes_per_sec"].is_number(), "{again}");
    let (_, again) = get(port, &format!("/v3/{id}/stats")).await;
    assert_eq!((&again["id"], again.get("network_rate_stats")), (&json!("t1-web-0"), None), "version 3 has no rates");
    let (status, stats) = get(port, &format!("/v3/{id}/task/stats")).await;
    let named: Vec<&str> = stats.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!((status, named), (200, vec!["t1-side-0", "t1-web-0"]));

    rig.machine.exit("t1", "side", 3);
    let side = format!("/v4/{}", metadata_id(&rig, "t1", "side"));
    let ended = get_until(port, &side, |_, side| side["KnownStatus"] == "STOPPED").await;
    assert_eq!(ended["ExitCode"], 3);
    let (status, stats) = get(port, &format!("{side}/stats")).await;
    assert_eq!((status, stats), (200, json!({})), "it uses nothing any more");
}

#[tokio::test]
async fn a_stranger_learns_nothing() {
    let rig = Rig::new().await;
    let (listener, port) = listener().await;
    let _agent = rig.start_serving(listener).await;
    let keyed = Task { role_credentials: Some(keys("1b6e", "AKIDTASK")), ..task("t1") };
    rig.control.send(&payload("p1", vec![keyed]));
    rig.control.acked("p1").await;
    rig.control.reported("t1", 1).await;
    for path in [
        "/v4/t1",
        "/v4/t1/task",
        "/v4/web/stats",
        "/v3/1b6e",
        "/v3/x/task/stats",
        "/v4",
        "/v4/",
        "/",
        "/v2/credentials",
    ] {
        let (status, body) = get(port, path).await;
        assert_eq!(status, 404, "{path}");
        assert!(!body.to_string().contains("arn:") && !body.to_string().contains("AKID"), "{path}: {body}");
    }
    let (status, body) = get(port, "/v2/credentials/1b6f").await;
    assert_eq!((status, &body["code"]), (400, &json!("InvalidIdInRequest")));
}

#[tokio::test]
async fn keys_are_served_refreshed_and_end_with_their_task() {
    let rig = Rig::new().await;
    let (listener, port) = listener().await;
    let _agent = rig.start_serving(listener).await;
    let acked = async |message_id: &str, count: usize| {
        let is_it = |message: &&FromAgent| matches!(message, FromAgent::IamRoleCredentialsAck(ack) if ack.message_id == message_id);
        let all = |state: &crate::control_plane::State| {
            (state.from_agent.iter().filter(is_it).count() == count).then_some(())
        };
        rig.control.until("the keys' acknowledgement", all).await;
    };
    let with_keys = Task {
        role_credentials: Some(keys("task", "AKIDTASK")),
        execution_role_credentials: Some(keys("exec", "AKIDEXEC")),
        ..task("t1")
    };
    rig.control.send(&payload("p1", vec![with_keys]));
    acked("p1", 2).await;
    rig.control.acked("p1").await;
    rig.control.reported("t1", 1).await;
    let (status, body) = get(port, "/v2/credentials/task").await;
    assert_eq!(status, 200);
    assert_eq!((&body["AccessKeyId"], &body["Token"]), (&json!("AKIDTASK"), &json!("token")));
    assert_eq!(get(port, "/v2/credentials/exec").await.1["AccessKeyId"], "AKIDEXEC");

    let refresh = |message_id: &str, task: &str, key: &str| {
        ToAgent::IamRoleCredentials(IamRoleCredentialsMessage {
            message_id: message_id.to_owned(),
            task_arn: arn(task),
            task_cluster_arn: None,
            role_type: RoleType::TaskApplication,
            role_credentials: keys("task", key),
        })
    };
    rig.control.send(&refresh("r1", "t9", "AKIDFOREIGN"));
    rig.control.send(&refresh("r2", "t1", "AKIDNEW"));
    acked("r2", 1).await;
    acked("r1", 0).await;
    assert_eq!(get(port, "/v2/credentials/task").await.1["AccessKeyId"], "AKIDNEW");

    let record = std::fs::read_to_string(rig.folder().join("state/tasks/t1.json")).unwrap();
    assert!(!record.contains("AKID") && !record.contains("hush"), "keys never reach a disk");
    rig.machine.exit("t1", "web", 0);
    rig.control.reported("t1", 2).await;
    get_until(port, "/v2/credentials/task", |status, _| status == 400).await;
    assert_eq!(get(port, "/v2/credentials/exec").await.0, 400);
}

#[tokio::test]
async fn unused_roles_are_no_reason_to_refuse() {
    let rig = Rig::new().await;
    let _agent = rig.start().await;
    let unknown =
        with(json!({}), json!({"messageId": "r1", "taskArn": arn("t1"), "roleType": "Other", "roleCredentials": {}}));
    rig.control.send_text(json!({"type": "IAMRoleCredentialsMessage", "message": unknown}).to_string());
    rig.control.deliver(vec![task("t1")]);
    rig.control.reported("t1", 1).await;
    let acks = |message: &FromAgent| matches!(message, FromAgent::IamRoleCredentialsAck(_));
    assert!(!rig.control.lock().from_agent.iter().any(acks));
}

#[tokio::test]
async fn a_container_protects_its_task() {
    let rig = Rig::new().await;
    let (listener, port) = listener().await;
    let _agent = rig.start_serving(listener).await;
    rig.control.send(&payload("p1", vec![task_of("t1", json!([web()])), task_of("standalone", json!([web()]))]));
    rig.control.acked("p1").await;
    rig.control.reported("t1", 1).await;
    rig.control.reported("standalone", 1).await;
    let state = |task: &str| format!("/api/{}/task-protection/v1/state", metadata_id(&rig, task, "web"));
    let path = state("t1");

    let unprotected = json!({"protection": {"TaskArn": arn("t1"), "ProtectionEnabled": false, "ExpirationDate": null}});
    assert_eq!(get(port, &path).await, (200, unprotected));
    let (status, body) = ask(port, "PUT", &path, r#"{"ProtectionEnabled":true,"ExpiresInMinutes":60}"#).await;
    assert_eq!((status, &body["protection"]["ProtectionEnabled"]), (200, &json!(true)), "{body}");
    assert_eq!(body["protection"]["ExpirationDate"], "2026-11-22T21:52:09.000Z");
    let asked = rig.control.lock().protection[0].clone();
    assert_eq!((asked.tasks, asked.expires_in_minutes), (Some(vec![arn("t1")]), Some(60)));
    assert_eq!(get(port, &path).await.1["protection"]["ProtectionEnabled"], true);

    for (body, message) in [
        ("{}", "Invalid request: does not contain 'ProtectionEnabled' field"),
        (r#"{"protectionEnabled":true}"#, "UpdateTaskProtection: failed to decode request"),
        ("true", "UpdateTaskProtection: failed to decode request"),
        (r#"{"ProtectionEnabled":true,"ExpiresInMinutes":0}"#, "expiresInMinutes must be between 1 and 2880."),
    ] {
        let (status, answer) = ask(port, "PUT", &path, body).await;
        assert_eq!((status, &answer["error"]["Message"]), (400, &json!(message)), "{body}");
        assert_eq!(answer["error"]["Code"], "InvalidParameterException");
    }
    let (status, answer) = ask(port, "PUT", &state("standalone"), r#"{"ProtectionEnabled":true}"#).await;
    assert_eq!((status, &answer["failure"]["Reason"]), (200, &json!("TASK_NOT_VALID")));
    assert_eq!(get(port, "/api/nobody/task-protection/v1/state").await.0, 404);
    rig.control.change(|state| state.down = true);
    let (status, answer) = get(port, &path).await;
    assert_eq!((status, &answer["error"]["Code"]), (500, &json!("ServerException")));
}

#[tokio::test]
async fn a_container_learns_tags_and_what_it_was_given() {
    let rig = Rig::new().await;
    let (listener, port) = listener().await;
    let _agent = rig.start_serving(listener).await;
    let gpu = |id: &str, containers: Value| json!({"type": "gpu", "name": id, "containers": containers, "content": {}});
    let given = json!([
        gpu("GPU-1", json!(["web"])),
        gpu("GPU-2", json!(["side"])),
        {"type": "elastic-inference", "name": "dev", "containers": ["web"], "content": {"encoding": "base64", "value": "eyJ9"}},
    ]);
    let side = json!({"name": "side", "image": "shop:2"});
    let task = Task { associations: serde_json::from_value(given).unwrap(), ..task_of("t1", json!([web(), side])) };
    rig.control.send(&payload("p1", vec![task]));
    rig.control.acked("p1").await;
    rig.control.reported("t1", 1).await;
    let id = metadata_id(&rig, "t1", "web");

    for version in ["v3", "v4"] {
        let of_kind = async |rest: &str| get(port, &format!("/{version}/{id}/associations/{rest}")).await;
        assert_eq!(of_kind("gpu").await, (200, json!({"Associations": ["GPU-1"]})));
        assert_eq!(of_kind("none").await, (200, json!({"Associations": []})));
        assert_eq!((of_kind("gpu/GPU-2").await.0, of_kind("elastic-inference/dev").await.0), (404, 200));
    }

    let path = format!("/v4/{id}/taskWithTags");
    let (status, plain) = get(port, &path).await;
    assert_eq!((status, &plain["TaskARN"]), (200, &json!(arn("t1"))));
    assert_eq!((plain.get("TaskTags"), plain.get("Errors")), (None, None), "there are none");
    rig.control.change(|state| {
        state.tags.insert(arn("t1"), [("team".to_owned(), "shop".to_owned())].into());
        state.tags.insert(INSTANCE.to_owned(), [("rack".to_owned(), "7".to_owned())].into());
    });
    let (_, tagged) = get(port, &path).await;
    assert_eq!(
        (&tagged["TaskTags"], &tagged["ContainerInstanceTags"]),
        (&json!({"team": "shop"}), &json!({"rack": "7"}))
    );
    rig.control.change(|state| state.down = true);
    let (status, without) = get(port, &path).await;
    assert_eq!((status, &without["Family"], without.get("TaskTags")), (200, &json!("fam"), None));
    assert_eq!(without["Errors"][1]["ErrorField"], "TaskTags");
    assert_eq!(without["Errors"][1]["ResourceARN"], arn("t1"));
}

#[tokio::test]
async fn who_is_not_known_is_told_so_in_the_official_agents_words() {
    let rig = Rig::new().await;
    let (listener, port) = listener().await;
    let _agent = rig.start_serving(listener).await;
    for (path, said) in [
        ("/v4/x", "V4 container metadata handler: unable to get container ID from request: unable to get docker ID"),
        ("/v3/x", "V3 container metadata handler: unable to get container ID from request: unable to get docker ID"),
        ("/v4/x/task", "V4 task metadata handler: unable to get task arn from request: unable to get task Arn"),
        ("/v4/x/taskWithTags", "V4 task metadata handler: unable to get task arn from request: unable to get task Arn"),
        ("/v4/x/stats", "V4 container stats handler: unable to get task arn from request: unable to get task Arn"),
        ("/v4/x/task/stats", "V4 task stats handler: unable to get task arn from request: unable to get task Arn"),
    ] {
        assert_eq!(get(port, path).await, (404, json!(format!("{said} from v3 endpoint ID: x"))), "{path}");
    }
    let (status, body) = get(port, "/v1/credentials?id=none").await;
    assert_eq!((status, &body["code"]), (400, &json!("InvalidIdInRequest")));
}
