//! Which crate may know which. Dependencies point one way, downhill.

use super::Package;

/// The rows of the map, from the valley to the top. A crate may know the rows below its own, and of its own row
/// nothing but what [`NEIGHBOURS`] lists.
const ROWS: &[&[&str]] = &[
    &["stdx", "failpoint"],
    &["shape", "shim-api", "ssm-session", "agent-api", "model"],
    &["state"],
    &["scheduler", "reconcilers", "task-engine", "routing", "policy", "log-insights"],
    &["store", "wire", "blobs", "log-store", "objects", API],
    &["store-embedded", "store-etcd", "client"],
    &["runtime", "images", "network", "volumes", "logs", "metadata", "registry", "dns", "alb", "xds"],
    &[SERVICE],
    &["controlplane", "agent"],
    &["node"],
    &[PROGRAM],
    // Builders and scenarios for tests, and the chores, may look at everything.
    &["kit", "xtask"],
    &["e2e", "bench", "conformance", "crash", "fuzz-targets", "sim"],
];

/// A generated crate, a service, a program: by the beginning of their names, or for programs by their folder.
const API: &str = "api-";
const SERVICE: &str = "service-";
const PROGRAM: &str = "programs/";

/// Arrows inside a row. A log driver reads what a shim wrote, and the runtime has the reader of that: one knowledge of
/// segments and their ends, not two.
const NEIGHBOURS: &[(&str, &str)] = &[("logs", "runtime"), ("reconcilers", "scheduler")];

/// They decide, or say what things are: no runtime, no sockets, no disk.
const PURE: &[&str] = &[
    "stdx",
    "shape",
    "model",
    "state",
    "scheduler",
    "reconcilers",
    "task-engine",
    "routing",
    "policy",
    "log-insights",
    "shim-api",
    "ssm-session",
];
const IMPURE: &[&str] = &[
    "axum",
    "http",
    "http-body-util",
    "hyper",
    "hyper-util",
    "libc",
    "reqwest",
    "rusqlite",
    "socket2",
    "tokio",
    "tokio-tungstenite",
    "uuid",
];

/// They move bits on one machine and never learn what AWS is.
const NO_AWS: &[&str] = &["blobs", "log-store", "network", "runtime", "shim-api", "store", "store-embedded", "volumes"];

pub fn complaints(packages: &[Package]) -> Vec<String> {
    let ours = |name: &str| packages.iter().find(|package| package.name == name);
    let mut complaints = Vec::new();
    for package in packages {
        let from = &package.name;
        let Some(row) = row(package) else {
            complaints.push(format!("{from} is on no row of the map: add it to xtask/src/tidy/arrows.rs"));
            continue;
        };
        for to in package.dependencies.keys() {
            let below = ours(to).and_then(self::row);
            let neighbours = NEIGHBOURS.contains(&(from, to));
            if below.is_some_and(|below| below >= row) && !neighbours {
                complaints.push(format!("{from} knows {to}, which does not lie below it"));
            }
            if let Some(reason) = forbidden(from, to) {
                complaints.push(format!("{from} knows {to}: {reason}"));
            }
        }
    }
    complaints
}

fn row(package: &Package) -> Option<usize> {
    let name = package.name.as_str();
    let is_program = package.folder.parent().is_some_and(|parent| parent.ends_with("programs"));
    ROWS.iter().position(|row| {
        row.iter().any(|entry| match *entry {
            API | SERVICE => name.starts_with(entry),
            PROGRAM => is_program,
            entry => name == entry && !is_program,
        })
    })
}

fn forbidden(from: &str, to: &str) -> Option<&'static str> {
    let is_service = from.starts_with(SERVICE);
    if PURE.contains(&from) && IMPURE.contains(&to) {
        return Some("what decides does not touch the world");
    }
    if is_service && (to == "store" || to.starts_with("store-")) {
        return Some("services see state, never the store");
    }
    if is_service && ["axum", "http", "hyper", "wire"].contains(&to) {
        return Some("only wire and api know a protocol");
    }
    if NO_AWS.contains(&from) && (to.starts_with(API) || ["shape", "wire", "client"].contains(&to)) {
        return Some("it does not know AWS");
    }
    if from != "wire" && ["openssl", "native-tls", "aws-lc-rs"].contains(&to) {
        return Some("there is one TLS stack, rustls with ring");
    }
    None
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn package(path: &str, dependencies: &[&str]) -> Package {
        let folder = Path::new(path);
        let name = folder.file_name().unwrap().to_str().unwrap();
        let name = if path.starts_with("services") { format!("service-{name}") } else { name.to_owned() };
        let dependencies = dependencies.iter().map(|name| ((*name).to_owned(), toml::Value::Boolean(true))).collect();
        Package { name, folder: folder.to_owned(), dependencies, inherits_lints: true }
    }

    fn check(dependency_of: &str, dependency: &str, expected: &[&str]) {
        let others = ["crates/store", "crates/state", "services/ecs", "crates/agent", "programs/berth"];
        let mut packages: Vec<Package> =
            others.into_iter().filter(|other| *other != dependency_of).map(|other| package(other, &[])).collect();
        packages.push(package(dependency_of, &[dependency]));
        assert_eq!(complaints(&packages), expected);
    }

    #[test]
    fn downhill_is_fine() {
        check("programs/berth", "agent", &[]);
        check("crates/store", "tokio", &[]);
        check("services/ecs", "state", &[]);
    }

    #[test]
    fn uphill_and_sideways_are_not() {
        check("crates/state", "store", &["state knows store, which does not lie below it"]);
        check("services/ecr", "service-ecs", &["service-ecr knows service-ecs, which does not lie below it"]);
        check("crates/agent", "berth", &["agent knows berth, which does not lie below it"]);
    }

    #[test]
    fn some_arrows_are_forbidden_even_downhill() {
        check("services/ecs", "store", &["service-ecs knows store: services see state, never the store"]);
        check("services/ecs", "http", &["service-ecs knows http: only wire and api know a protocol"]);
        check("crates/scheduler", "tokio", &["scheduler knows tokio: what decides does not touch the world"]);
        check("crates/network", "shape", &["network knows shape: it does not know AWS"]);
    }

    #[test]
    fn every_crate_is_on_the_map() {
        check("crates/utils", "regex", &["utils is on no row of the map: add it to xtask/src/tidy/arrows.rs"]);
    }
}
