//! Probes that the agent makes itself, for images without a shell: asked for by docker labels.

use serde_json::{Value, json};

use crate::world::{Task, named, text};
use crate::{Bench, Case, Page};

const GUIDE: Page = Page::Berth("guides/health.md");

const WELL: &str = "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n";
const SICK: &str = "HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";

pub fn cases() -> Vec<Case> {
    let case = |name, feature, check| Case { name, feature, page: GUIDE, check };
    vec![
        case(
            "probe_http",
            "`berth.health.http`: container and task become HEALTHY without a shell in the image",
            probe_http,
        ),
        case(
            "probe_http_fails",
            "an answer above 399 makes them UNHEALTHY, and the container says what was heard",
            probe_http_fails,
        ),
        case("probe_tcp", "`berth.health.tcp`: a connection is enough", probe_tcp),
        case(
            "probe_inside",
            "a probe asks within the container's own network, and needs no port mapping",
            probe_inside,
        ),
        case("readiness", "`berth.ready.tcp`: a task that is not ready is no sick one", readiness),
        case("probe_labels_invalid", "labels that make no sense are refused", probe_labels_invalid),
    ]
}

fn serving<'b>(bench: &'b Bench<'b>, labels: Value, words: &[&str]) -> Task<'b> {
    bench.does(json!({}), json!({ "dockerLabels": labels }), words)
}

fn probe_http(bench: &Bench<'_>) {
    let labels = json!({ "berth.health.http": "8080/healthz", "berth.health.interval": "5" });
    let task = serving(bench, labels, &["serve", "8080", WELL]);
    let shown = task.when("is HEALTHY", |task| task["healthStatus"] == "HEALTHY");
    assert_eq!(named(&shown, "web")["healthStatus"], "HEALTHY");
}

fn probe_http_fails(bench: &Bench<'_>) {
    let labels =
        json!({ "berth.health.http": "8080/healthz", "berth.health.interval": "5", "berth.health.retries": "1" });
    let task = serving(bench, labels, &["serve", "8080", SICK]);
    let shown = task.when("is UNHEALTHY", |task| task["healthStatus"] == "UNHEALTHY");
    assert_eq!(shown["lastStatus"], "RUNNING", "it is the service that replaces a sick task: {shown}");
    let shown = task.when("says what was heard", |task| !text(&named(task, "web")["reason"]).is_empty());
    assert!(text(&named(&shown, "web")["reason"]).contains("GET :8080/healthz answered 503"), "{shown}");
}

fn probe_tcp(bench: &Bench<'_>) {
    let labels = json!({ "berth.health.tcp": "8080", "berth.health.interval": "5" });
    let task = serving(bench, labels, &["serve", "8080", "whatever"]);
    task.when("is HEALTHY", |task| task["healthStatus"] == "HEALTHY");
}

fn probe_inside(bench: &Bench<'_>) {
    // Two tasks, each with its own port 8080; the machine's is nobody's.
    let labels = |retries: &str| json!({ "berth.health.tcp": "8080", "berth.health.interval": "5", "berth.health.retries": retries });
    let listens = serving(bench, labels("3"), &["serve", "8080", "whatever"]);
    let silent = serving(bench, labels("1"), &["wait"]);
    listens.when("is HEALTHY", |task| task["healthStatus"] == "HEALTHY");
    silent.when("is UNHEALTHY", |task| task["healthStatus"] == "UNHEALTHY");
}

fn readiness(bench: &Bench<'_>) {
    let labels = json!({ "berth.ready.tcp": "8080", "berth.ready.interval": "5", "berth.ready.retries": "1" });
    let task = serving(bench, labels, &["wait"]);
    task.running();
    let shown = task.when("says what was heard", |task| text(&named(task, "web")["reason"]).contains(":8080"));
    assert_eq!((&shown["lastStatus"], &shown["healthStatus"]), (&json!("RUNNING"), &json!("UNKNOWN")), "{shown}");
}

fn probe_labels_invalid(bench: &Bench<'_>) {
    for labels in [
        json!({ "berth.health.http": "no port" }),
        json!({ "berth.health.http": "80/", "berth.health.tcp": "80" }),
        json!({ "berth.health.interval": "5" }),
        json!({ "berth.ready.tcp": "80", "berth.ready.retries": "0" }),
        json!({ "berth.health.nonsense": "80" }),
    ] {
        let refused = bench.refused(json!({}), json!([{ "name": "web", "dockerLabels": labels }]));
        assert!(refused.is_of_the_client(), "{labels}: {refused:?}");
    }
}
