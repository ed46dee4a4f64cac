//! What `berth up` says when it is ready.

use std::path::Path;
use std::time::Duration;

use model::TaskStatus;
use state::Snapshot;

use super::demo::Demo;

pub struct Summary<'a> {
    pub url: &'a str,
    pub data_dir: &'a Path,
    pub region: &'a str,
    pub ready: Duration,
    pub demo: Option<&'a Demo>,
    pub snapshot: &'a Snapshot,
}

pub fn text(summary: &Summary<'_>) -> String {
    let Summary { url, data_dir, region, ready, demo, snapshot } = summary;
    let host = url.trim_start_matches("http://");
    let mut text = format!("Berth {} is up, in {:.2} s.\n\n", env!("CARGO_PKG_VERSION"), ready.as_secs_f64());
    let mut line = |name: &str, value: &str| text.push_str(&format!("  {name:<10} {value}\n"));
    line("API", &format!("{url}  (region {region}, any keys)"));
    if let Some(demo) = demo {
        match &demo.trouble {
            None => line("Sample", &format!("{}  (service {})", demo.url, demo.service)),
            Some(trouble) => line("Sample", &format!("{}  does not answer yet: {trouble}", demo.url)),
        }
    }
    line("Registry", &format!("{host}  (docker push {host}/NAME:TAG)"));
    for instance in snapshot.container_instances.iter().filter(|instance| instance.agent_connected) {
        let (vcpus, mib) = (f64::from(instance.registered.cpu.0) / 1024.0, instance.registered.memory.0);
        line("Instance", &format!("{} in cluster {}: {vcpus} vCPU, {mib} MiB", instance.id, instance.cluster));
    }
    line("Data", &data_dir.display().to_string());
    let running = snapshot.tasks.iter().filter(|task| task.last_status == TaskStatus::Running).count();
    let services = snapshot.services.iter().filter(|service| service.status == model::ServiceStatus::Active).count();
    line("Running", &format!("{}, {}", count(running, "task"), count(services, "service")));
    text.push_str("\nIn another terminal:\n\n");
    text.push_str(&format!(
        "  export AWS_ENDPOINT_URL={url} AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION={region}\n"
    ));
    let service = demo.map_or("SERVICE", |demo| demo.service.as_str());
    // By its path: most people have not put it anywhere else yet.
    let program = std::env::current_exe().map_or("berth".to_owned(), |path| path.display().to_string());
    let suggestions = [
        ("aws ecs list-clusters".to_owned(), "the API, as everywhere"),
        (format!("{program} ps"), "what runs, and where it answers"),
        (format!("{program} logs -f {service}"), "what it writes"),
        (format!("{program} top"), "what it uses"),
    ];
    let width = suggestions.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
    for (command, what) in suggestions {
        text.push_str(&format!("  {command:<width$}   {what}\n"));
    }
    text.push_str(
        "\nCtrl-C stops Berth and its tasks; started again with the same data directory it finds everything.",
    );
    text
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_names_what_a_person_needs() {
        let demo = |trouble: Option<&str>| Demo {
            service: "sample".into(),
            url: "http://127.0.0.1:8080".into(),
            trouble: trouble.map(str::to_owned),
        };
        let (well, late) = (demo(None), demo(Some("no room")));
        let snapshot = Snapshot::default();
        let summary = Summary {
            url: "http://127.0.0.1:4566",
            data_dir: Path::new("/var/lib/berth"),
            region: "eu-west-1",
            ready: Duration::from_millis(61),
            demo: Some(&well),
            snapshot: &snapshot,
        };
        let text = super::text(&summary);
        for words in [
            "is up, in 0.06 s",
            "Sample     http://127.0.0.1:8080  (service sample)",
            "docker push 127.0.0.1:4566/NAME:TAG",
            "AWS_DEFAULT_REGION=eu-west-1",
            "logs -f sample",
            "0 tasks, 0 services",
        ] {
            assert!(text.contains(words), "{words} is missing:\n{text}");
        }
        let text = super::text(&Summary { demo: Some(&late), ..summary });
        assert!(text.contains("does not answer yet: no room"), "{text}");
    }
}
