//! What `berth up` says when it is ready.

use std::fmt::Write;
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
    let _ = write!(
        text,
        "\nIn another terminal:\n\
         \n  export AWS_ENDPOINT_URL={url} AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION={region}\
         \n  aws ecs list-clusters\
         \n  berth ps                       what runs, and where it answers\
         \n  berth logs -f {}           what it writes\
         \n  berth top                      what it uses\n\
         \nCtrl-C stops Berth and its tasks; started again with the same data directory it finds everything.",
        demo.map_or("SERVICE", |demo| demo.service.as_str()),
    );
    text
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
