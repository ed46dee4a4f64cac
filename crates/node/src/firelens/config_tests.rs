//! Golden configurations.

use std::time::Duration;

use agent::plan::Identity;
use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::*;

fn plan(network: &str, router: Value, options: Value) -> std::sync::Arc<TaskPlan> {
    let logs = json!({ "LogConfig": { "Type": "awsfirelens", "Config": options } }).to_string();
    let task = json!({
        "arn": "arn:aws:ecs:us-east-1:000000000000:task/prod/0123456789abcdef0123456789abcdef",
        "taskClusterArn": "arn:aws:ecs:us-east-1:000000000000:cluster/prod",
        "family": "web", "version": "7", "desiredStatus": "RUNNING", "networkMode": network,
        "containers": [
            { "name": "router", "image": "r", "firelensConfiguration": router },
            { "name": "app", "image": "i", "dockerConfig": { "hostConfig": logs } },
            { "name": "mute", "image": "i" },
        ],
    });
    let task = serde_json::from_value(task).unwrap();
    let identity = Identity::new(&task, || "0".repeat(32));
    TaskPlan::new(task, identity, Duration::from_secs(30)).unwrap().0
}

fn check(network: &str, router: Value, options: Value, golden: Expect) {
    let plan = plan(network, router, options);
    golden.assert_eq(&Router::of(&plan, 0).unwrap().config().unwrap());
}

fn refused(router: Value, options: Value, expected: &str) {
    let found = Router::of(&plan("bridge", router, options), 0).and_then(|router| router.config());
    assert_eq!(found.unwrap_err().reason(), expected);
}

#[test]
fn fluentbit() {
    let options = json!({
        "Name": "kinesis_firehose", "region": "us-west-2", "delivery_stream": "s", "include-pattern": "fail",
        "exclude-pattern": "^GET", "log-driver-buffer-limit": "1000",
    });
    let router =
        json!({ "type": "fluentbit", "options": { "config-file-type": "file", "config-file-value": "/extra.conf" } });
    check(
        "bridge",
        router,
        options,
        expect![[r#"

        [INPUT]
            Name forward
            unix_path /var/run/fluent.sock

        [INPUT]
            Name forward
            Listen 0.0.0.0
            Port 24224

        [INPUT]
            Name tcp
            Tag firelens-healthcheck
            Listen 127.0.0.1
            Port 8877

        [FILTER]
            Name   grep
            Match app-firelens*
            Regex  log fail

        [FILTER]
            Name   grep
            Match app-firelens*
            Exclude log ^GET

        [FILTER]
            Name record_modifier
            Match *
            Record ecs_cluster prod
            Record ecs_task_arn arn:aws:ecs:us-east-1:000000000000:task/prod/0123456789abcdef0123456789abcdef
            Record ecs_task_definition web:7

        @INCLUDE /extra.conf

        [OUTPUT]
            Name null
            Match firelens-healthcheck

        [OUTPUT]
            Name kinesis_firehose
            Match app-firelens*
            delivery_stream s
            region us-west-2
    "#]],
    );
}

#[test]
fn fluentd() {
    let options = json!({ "@type": "file", "path": "/logs", "include-pattern": "fail", "exclude-pattern": "^GET" });
    let router =
        json!({ "type": "fluentd", "options": { "config-file-type": "file", "config-file-value": "/extra.conf" } });
    check(
        "bridge",
        router,
        options,
        expect![[r#"

        <source>
            @type unix
            path /var/run/fluent.sock
        </source>

        <source>
            @type forward
            bind 0.0.0.0
            port 24224
        </source>

        <filter app-firelens**>
            @type  grep
            <regexp>
                key log
                pattern fail
            </regexp>
        </filter>

        <filter app-firelens**>
            @type  grep
            <exclude>
                key log
                pattern ^GET
            </exclude>
        </filter>

        <filter **>
            @type record_transformer
            <record>
                ecs_cluster prod
                ecs_task_arn arn:aws:ecs:us-east-1:000000000000:task/prod/0123456789abcdef0123456789abcdef
                ecs_task_definition web:7
            </record>
        </filter>

        @include /extra.conf

        <match app-firelens**>
            @type file
            path /logs
        </match>
    "#]],
    );
}

#[test]
fn a_configuration_in_a_bucket_is_included_where_the_agent_puts_it() {
    let options = |kind: &str| {
        let s3 = json!({ "config-file-type": "s3", "config-file-value": "arn:aws:s3:::b/k", "enable-ecs-log-metadata": "false" });
        json!({ "type": kind, "options": s3 })
    };
    check(
        "host",
        options("fluentbit"),
        json!({}),
        expect![[r#"

        [INPUT]
            Name forward
            unix_path /var/run/fluent.sock

        @INCLUDE /fluent-bit/etc/external.conf
    "#]],
    );
    check(
        "host",
        options("fluentd"),
        json!({}),
        expect![[r#"

        <source>
            @type unix
            path /var/run/fluent.sock
        </source>

        @include /fluentd/etc/external.conf
    "#]],
    );
}

#[test]
fn in_the_machines_network_there_is_only_the_socket() {
    let router = json!({ "type": "fluentbit", "options": { "enable-ecs-log-metadata": "false" } });
    // Without options the output comes with the user's own configuration.
    check(
        "host",
        router,
        json!({}),
        expect![[r#"

        [INPUT]
            Name forward
            unix_path /var/run/fluent.sock
    "#]],
    );
}

#[test]
fn refusals_in_the_agents_words() {
    let fluentbit = || json!({ "type": "fluentbit" });
    refused(
        fluentbit(),
        json!({ "region": "r" }),
        "ResourceInitializationError: unable to generate firelens config file: unable to apply log options of container app to \
         firelens config: missing output key Name which is required for firelens configuration of type fluentbit",
    );
    refused(
        json!({ "type": "logstash" }),
        json!({}),
        "ResourceInitializationError: invalid firelens configuration type: logstash",
    );
    refused(
        json!({ "type": "fluentd", "options": { "config-file-type": "s3" } }),
        json!({}),
        "ResourceInitializationError: option config-file-type is specified but config-file-value is not specified",
    );
}
