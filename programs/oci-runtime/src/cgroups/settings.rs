//! What `linux.resources` means to cgroups version 1: which file gets what.

use serde_json::{Map, Value};

/// Shorter than this a limit of processes leaves no room for those that make the container.
const PIDS_MIN: i64 = 8;

#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    pub controller: &'static str,
    pub file: &'static str,
    pub value: String,
}

/// In the order in which they have to be written, into a cgroup that is new. `None` when something is asked for that is not known here.
pub fn of(resources: &Value) -> Option<Vec<Setting>> {
    let mut settings = Vec::new();
    let resources = resources.as_object()?;
    for (name, value) in resources {
        match name.as_str() {
            "memory" => memory(value.as_object()?, &mut settings)?,
            "cpu" => cpu(value.as_object()?, &mut settings)?,
            "pids" => pids(value.as_object()?, &mut settings)?,
            "devices" => {}
            _ => return None,
        }
    }
    for rule in resources.get("devices").and_then(Value::as_array).into_iter().flatten() {
        settings.push(device(rule)?);
    }
    settings.extend(ALWAYS.iter().map(|rule| devices("devices.allow", (*rule).to_owned())));
    Some(settings)
}

/// What every container may do, after what its configuration says: to make nodes, and to use those without harm, pseudo-terminals
/// and tunnels. The same as libcontainer has.
const ALWAYS: [&str; 12] = [
    "c *:* m",
    "b *:* m",
    "c 1:3 rwm",
    "c 1:5 rwm",
    "c 1:7 rwm",
    "c 1:8 rwm",
    "c 1:9 rwm",
    "c 5:0 rwm",
    "c 5:1 rwm",
    "c 5:2 rwm",
    "c 136:* rwm",
    "c 10:200 rwm",
];

/// Zero stands for nothing, and everything else is the kernel's to judge.
fn number(object: &Map<String, Value>, name: &str) -> Option<Option<String>> {
    match object.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(Value::Number(number)) => Some(Some(number.to_string()).filter(|text| text != "0")),
        Some(_) => None,
    }
}

fn only(object: &Map<String, Value>, names: &[&str]) -> Option<()> {
    object.keys().all(|name| names.contains(&name.as_str())).then_some(())
}

fn memory(memory: &Map<String, Value>, settings: &mut Vec<Setting>) -> Option<()> {
    only(memory, &["limit", "reservation", "swap", "swappiness"])?;
    let mut push = |file, value: String| settings.push(Setting { controller: "memory", file, value });
    // In a new cgroup there is no limit, and that of both may not be below that of memory alone.
    if let Some(limit) = number(memory, "limit")? {
        push("memory.limit_in_bytes", limit);
    }
    if let Some(swap) = number(memory, "swap")? {
        push("memory.memsw.limit_in_bytes", swap);
    }
    if let Some(reservation) = number(memory, "reservation")? {
        push("memory.soft_limit_in_bytes", reservation);
    }
    match memory.get("swappiness") {
        None | Some(Value::Null) => {}
        Some(value) => push("memory.swappiness", value.as_u64().filter(|value| *value <= 100)?.to_string()),
    }
    Some(())
}

fn cpu(cpu: &Map<String, Value>, settings: &mut Vec<Setting>) -> Option<()> {
    only(cpu, &["shares", "quota", "period", "cpus", "mems"])?;
    for (name, file) in [("shares", "cpu.shares"), ("period", "cpu.cfs_period_us"), ("quota", "cpu.cfs_quota_us")] {
        if let Some(value) = number(cpu, name)? {
            settings.push(Setting { controller: "cpu", file, value });
        }
    }
    for (name, file) in [("cpus", "cpuset.cpus"), ("mems", "cpuset.mems")] {
        match cpu.get(name) {
            None | Some(Value::Null) => {}
            Some(value) => {
                settings.push(Setting { controller: "cpuset", file, value: value.as_str()?.to_owned() });
            }
        }
    }
    Some(())
}

fn pids(pids: &Map<String, Value>, settings: &mut Vec<Setting>) -> Option<()> {
    only(pids, &["limit"])?;
    let value = match pids.get("limit") {
        None | Some(Value::Null) => return Some(()),
        Some(limit) => match limit.as_i64()? {
            limit if limit <= 0 => "max".to_owned(),
            limit if limit < PIDS_MIN => return None,
            limit => limit.to_string(),
        },
    };
    settings.push(Setting { controller: "pids", file: "pids.max", value });
    Some(())
}

fn device(rule: &Value) -> Option<Setting> {
    let file = if rule["allow"].as_bool()? { "devices.allow" } else { "devices.deny" };
    let kind = match rule["type"].as_str() {
        None | Some("a" | "") => "a",
        Some("b") => "b",
        Some("c" | "u") => "c",
        Some(_) => return None,
    };
    let number = |name: &str| rule[name].as_i64().filter(|number| *number >= 0);
    let number = |name: &str| number(name).map_or_else(|| "*".to_owned(), |number| number.to_string());
    let access = rule["access"].as_str().filter(|access| !access.is_empty()).unwrap_or("rwm");
    Some(devices(file, format!("{kind} {}:{} {access}", number("major"), number("minor"))))
}

fn devices(file: &'static str, value: String) -> Setting {
    Setting { controller: "devices", file, value }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(resources: Value, expected: &[&str]) {
        let settings = of(&resources).unwrap();
        let own = &settings[..settings.len() - ALWAYS.len()];
        let texts: Vec<_> = own.iter().map(|setting| format!("{} = {}", setting.file, setting.value)).collect();
        assert_eq!(texts, expected);
    }

    #[test]
    fn every_limit_has_its_file() {
        check(
            json!({
                "cpu": { "shares": 64, "quota": 50000, "period": 100_000, "cpus": "0-1" },
                "memory": { "limit": 1 << 26, "swap": 1 << 27, "reservation": 0, "swappiness": 0 },
                "pids": { "limit": 100 },
                "devices": [
                    { "allow": false, "access": "rwm" },
                    { "allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw" },
                ],
            }),
            &[
                "cpu.shares = 64",
                "cpu.cfs_period_us = 100000",
                "cpu.cfs_quota_us = 50000",
                "cpuset.cpus = 0-1",
                "memory.limit_in_bytes = 67108864",
                "memory.memsw.limit_in_bytes = 134217728",
                "memory.swappiness = 0",
                "pids.max = 100",
                "devices.deny = a *:* rwm",
                "devices.allow = c 10:229 rw",
            ],
        );
        check(json!({ "pids": { "limit": -1 } }), &["pids.max = max"]);
    }

    #[test]
    fn what_is_not_known_is_left_to_libcontainer() {
        for resources in [
            json!({ "blockIO": { "weight": 10 } }),
            json!({ "memory": { "kernel": 1 } }),
            json!({ "cpu": { "realtimePeriod": 1 } }),
            json!({ "memory": { "swappiness": 101 } }),
            json!({ "pids": { "limit": 2 } }),
            json!({ "devices": [{ "allow": true, "type": "p" }] }),
        ] {
            assert_eq!(of(&resources), None, "{resources}");
        }
    }
}
