//! Messages as they were seen on the wire between the official agent and a control plane.

use agent_api::payload::{DesiredStatus, Payload};
use agent_api::{Decoded, FromAgent, RoleType, ToAgent, tcs};

fn to_agent(text: &str) -> ToAgent {
    ToAgent::decode(text).unwrap().known().unwrap()
}

/// Decodes, encodes, and compares as JSON values.
fn round_trip(text: &str) -> ToAgent {
    let message = to_agent(text);
    let again: serde_json::Value = serde_json::from_str(&message.encode()).unwrap();
    assert_eq!(again, serde_json::from_str::<serde_json::Value>(text).unwrap());
    message
}

fn payload(text: &str) -> Payload {
    match to_agent(text) {
        ToAgent::Payload(payload) => payload,
        other => panic!("not a payload: {other:?}"),
    }
}

const FULL: &str = r#"{"type":"PayloadMessage","message":{"clusterArn":"ARN:cluster/default","containerInstanceArn":"ARN:container-instance/default/0eb3",
 "messageId":"d0699345-960d-4844-ad9e-746bd5a11dfd","generatedAt":1795384329148,"seqNum":2,"tasks":[{
  "arn":"ARN:task/default/db902c0b9c9b44bfaeb80dc7c141ecd0","taskClusterArn":"ARN:cluster/default","family":"fam","version":"1",
  "desiredStatus":"RUNNING","networkMode":"bridge","launchType":"EC2","group":"family:fam","taskDefinitionAccountId":"123456789012",
  "overrides":"{}","volumes":[],"containers":[{
    "name":"web","image":"busybox:local","command":["/bin/sleep","30"],"cpu":10,"memory":64,"essential":true,
    "environment":{"A":"b"},"overrides":"{}","links":[],"mountPoints":[],"volumesFrom":[],
    "portMappings":[{"containerPort":80,"hostPort":0,"protocol":"tcp"}],
    "containerArn":"ARN:container/default/986a/ca9cd2b3",
    "dockerConfig":{"config":"{}","hostConfig":"{\"NetworkMode\":\"bridge\",\"CapAdd\":[],\"CapDrop\":[]}","version":"1.17"}}]}]}}"#;

#[test]
fn the_full_payload_reads() {
    let payload = payload(FULL);
    assert_eq!((payload.seq_num, payload.generated_at), (Some(2), 1_795_384_329_148));
    let task = &payload.tasks[0];
    assert_eq!(
        (task.family.as_str(), task.version.as_str(), task.desired_status),
        ("fam", "1", DesiredStatus::Running)
    );
    let container = &task.containers[0];
    assert!(container.essential);
    assert_eq!(container.environment["A"], "b");
    assert_eq!(container.port_mappings[0].host_port, Some(0));
    let docker = container.docker_config.as_ref().unwrap();
    assert_eq!(docker.host_config().unwrap().network_mode.as_deref(), Some("bridge"));
    assert!(docker.container_config().unwrap().healthcheck.is_none());
}

#[test]
fn a_payload_survives_a_round_trip() {
    let first = to_agent(FULL);
    assert_eq!(to_agent(&first.encode()), first);
}

#[test]
fn the_smallest_task_reads_and_nulls_are_defaults() {
    let text = r#"{"type":"PayloadMessage","message":{"messageId":"m","clusterArn":"c","containerInstanceArn":"i","tasks":[
      {"arn":"ARN:task/default/32f8","desiredStatus":"RUNNING","volumes":null,"cpu":0.5,"futureField":{"x":1},
       "containers":[{"name":"m","image":"busybox:local","command":null,"entryPoint":null,"environment":null,"essential":null,"memory":null}]}]}}"#;
    let payload = payload(text);
    let container = &payload.tasks[0].containers[0];
    assert!(!container.essential, "an absent or null essential means false");
    assert!(container.command.is_empty() && container.environment.is_empty());
    assert_eq!(payload.tasks[0].other["futureField"]["x"], 1);
    assert!(ToAgent::Payload(payload).encode().contains(r#""cpu":0.5"#));
}

#[test]
fn integers_are_written_as_integers_and_read_strictly() {
    let text = ToAgent::Payload(payload(FULL)).encode();
    assert!(text.contains(r#""memory":64,"#) && text.contains(r#""seqNum":2,"#), "{text}");
    assert!(ToAgent::decode(&FULL.replace("\"memory\":64", "\"memory\":64.0")).is_err());
    assert!(ToAgent::decode(&FULL.replace("\"seqNum\":2", "\"seqNum\":\"2\"")).is_err());
}

#[test]
fn messages_survive_a_round_trip() {
    for text in [
        r#"{"type":"HeartbeatMessage","message":{"messageId":"h-1","healthy":true}}"#,
        r#"{"type":"HeartbeatMessage","message":{"healthy":true}}"#,
        r#"{"type":"TaskManifestMessage","message":{"messageId":"man-1","clusterArn":"ARN:cluster/default","containerInstanceArn":"ARN:ci",
           "generatedAt":1795384562902,"timeline":33,"tasks":[{"taskArn":"ARN:task/default/1457","taskClusterArn":"ARN:cluster/default","desiredStatus":"RUNNING"}]}}"#,
        r#"{"type":"TaskStopVerificationAck","message":{"messageId":"man-1","generatedAt":1795384562917,
           "stopTasks":[{"taskArn":"ARN:task/default/ca9d","taskClusterArn":"ARN:cluster/default","desiredStatus":"STOPPED"}]}}"#,
        r#"{"type":"StageUpdateMessage","message":{"messageId":"u","clusterArn":"c","containerInstanceArn":"i","updateInfo":{"location":"l","signature":"s"}}}"#,
        r#"{"type":"AttachTaskNetworkInterfacesMessage","message":{"messageId":"a","clusterArn":"c","containerInstanceArn":"i","taskArn":"t","taskClusterArn":"c",
           "generatedAt":1,"waitTimeoutMs":300000,"elasticNetworkInterfaces":[{"attachmentArn":"at","ec2Id":"eni-1","macAddress":"02:00:00:00:00:01",
           "ipv4Addresses":[{"privateAddress":"10.0.0.5","primary":true}],"subnetGatewayIpv4Address":"10.0.0.1/24","domainNameServers":["10.0.0.2"]}]}}"#,
        r#"{"type":"ConfirmAttachmentMessage","message":{"messageId":"a","clusterArn":"c","containerInstanceArn":"i","taskArn":"t","taskClusterArn":"c",
           "generatedAt":1,"waitTimeoutMs":2,"attachment":{"attachmentArn":"at","attachmentType":"EBS","attachmentProperties":[{"name":"n","value":"v"}]}}}"#,
        r#"{"type":"ErrorMessage","message":{"message":"x"}}"#,
        r#"{"type":"CloseMessage","message":{}}"#,
    ] {
        round_trip(text);
    }
    let credentials = round_trip(
        r#"{"type":"IAMRoleCredentialsMessage","message":{"messageId":"m","taskArn":"t","taskClusterArn":"c","roleType":"TaskExecution",
           "roleCredentials":{"credentialsId":"id","roleArn":"r","accessKeyId":"a","secretAccessKey":"s3cret","sessionToken":"t0ken","expiration":"2026-11-23T00:00:00Z"}}}"#,
    );
    let ToAgent::IamRoleCredentials(message) = &credentials else { panic!("{credentials:?}") };
    assert_eq!(message.role_type, RoleType::TaskExecution);
    let shown = format!("{credentials:?}");
    assert!(!shown.contains("s3cret") && !shown.contains("t0ken"), "{shown}");
}

#[test]
fn what_the_agent_says_reads_as_it_was_seen() {
    for text in [
        r#"{"type":"AckRequest","message":{"cluster":"ARN:cluster/default","containerInstance":"ARN:ci","messageId":"man-1"}}"#,
        r#"{"type":"NackRequest","message":{"cluster":"c","containerInstance":"i","messageId":"u","reason":"Updates are disabled"}}"#,
        r#"{"type":"HeartbeatAckRequest","message":{"messageId":"h-1"}}"#,
        r#"{"type":"HeartbeatAckRequest","message":{}}"#,
        r#"{"type":"IAMRoleCredentialsAckRequest","message":{"messageId":"m","credentialsId":"id","expiration":"2026-11-23T00:00:00Z"}}"#,
        r#"{"type":"TaskStopVerificationMessage","message":{"messageId":"man-1","stopCandidates":[{"taskArn":"ARN:task/default/ca9d","taskClusterArn":"ARN:cluster/default","desiredStatus":"STOPPED"}]}}"#,
    ] {
        let message = FromAgent::decode(text).unwrap().known().unwrap();
        assert_eq!(message.encode(), text);
    }
}

#[test]
fn unknown_types_are_kept_apart_and_broken_text_is_an_error() {
    let text = r#"{"type":"TeleportMessage","message":{"to":"mars"}}"#;
    assert_eq!(ToAgent::decode(text).unwrap(), Decoded::Unknown { message_type: "TeleportMessage".into() });
    for text in [
        "",
        "{}",
        "[]",
        r#"{"type":1,"message":{}}"#,
        r#"{"type":"AckRequest","message":{}}"#,
        r#"{"type":"AckRequest","message":[]}"#,
    ] {
        assert!(FromAgent::decode(text).is_err(), "{text}");
    }
}

#[test]
fn health_reads_as_it_was_seen() {
    let text = r#"{"type":"PublishHealthRequest","message":{"metadata":{"cluster":"c","containerInstance":"i","messageId":"m","fin":true},"tasks":[{"taskArn":"ARN:task","taskDefinitionFamily":"fam","taskDefinitionVersion":"1","containers":[{"containerName":"app","healthStatus":"HEALTHY","statusSince":1795384978.083},{"containerName":"bad","healthStatus":"UNHEALTHY","statusSince":1795384978.19}]}],"timestamp":1795384979.5}}"#;
    let message = tcs::FromAgent::decode(text).unwrap().known().unwrap();
    assert_eq!(message.encode(), text);
}

#[test]
fn probes_travel_as_extras() {
    let down = r#"{"name":"web","cpu":0,"memory":0,"essential":true,"berth":{"probes":{"health":{"ask":{"http":{"port":80,"path":"/healthz"}},"interval":30,"timeout":5,"retries":3,"startPeriod":0},"ready":{"ask":{"grpc":{"port":50051,"service":"shop"}},"interval":5,"timeout":2,"retries":1,"startPeriod":9}}}}"#;
    let container: agent_api::payload::Container = serde_json::from_str(down).unwrap();
    assert_eq!(serde_json::to_string(&container).unwrap(), down);
    let up = r#"{"type":"PublishHealthRequest","message":{"metadata":{"cluster":"c","containerInstance":"i","messageId":"m","fin":true},"tasks":[{"taskArn":"ARN:task","taskDefinitionFamily":"fam","taskDefinitionVersion":"1","containers":[{"containerName":"app","healthStatus":"UNHEALTHY","statusSince":1795384978.083,"berth":{"ready":false,"healthSays":"GET :80/healthz answered 503","readySays":"TCP :80 did not answer within 5s"}}]}]}}"#;
    assert_eq!(tcs::FromAgent::decode(up).unwrap().known().unwrap().encode(), up);
}

#[test]
fn metrics_read_as_they_were_seen() {
    let text = r#"{"type":"PublishMetricsRequest","message":{"metadata":{"cluster":"c","containerInstance":"i","messageId":"m","idle":false,"fin":true},"taskMetrics":[{"taskArn":"t","taskDefinitionFamily":"f","taskDefinitionVersion":"1","containerMetrics":[{"containerName":"web","cpuStatsSet":{"min":0.5,"max":1.5,"sum":2.0,"sampleCount":2},"memoryStatsSet":{"min":1.0,"max":1.0,"sum":2.0,"sampleCount":2},"networkStatsSet":{"rxBytes":{"min":1,"max":2,"sum":3,"sampleCount":2,"overflowMin":0,"overflowMax":0,"overflowSum":0}},"restartStatsSet":{"restartCount":0}}]}],"timestamp":1795384979.5}}"#;
    let message = tcs::FromAgent::decode(text).unwrap().known().unwrap();
    assert_eq!(message.encode(), text);
    let idle = r#"{"type":"PublishMetricsRequest","message":{"metadata":{"cluster":"c","containerInstance":"i","messageId":"m","idle":true,"fin":true},"timestamp":1.25}}"#;
    assert_eq!(tcs::FromAgent::decode(idle).unwrap().known().unwrap().encode(), idle);
    for text in [
        r#"{"type":"AckPublishHealth","message":{"message":"x"}}"#,
        r#"{"type":"HeartbeatMessage","message":{"healthy":true}}"#,
    ] {
        assert_eq!(tcs::ToAgent::decode(text).unwrap().known().unwrap().encode(), text);
    }
}

#[test]
fn a_pull_in_advance_is_a_message_of_our_own() {
    round_trip(
        r#"{"type":"BerthPrepullMessage","message":{"deployment":"ecs-svc/1","images":[{"image":"web:2"},
          {"image":"123456789012.dkr.ecr.us-east-1.amazonaws.com/web:2","digest":"sha256:5e1f","registryAuthentication":
            {"type":"ecr","ecrAuthData":{"region":"us-east-1","registryId":"123456789012","useExecutionRole":false}}}]}}"#,
    );
}
