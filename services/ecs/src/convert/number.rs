//! Numbers at the door: the wire has signed ones, behind the door there are amounts.

use model::{CpuUnits, MemoryMib};

use crate::error::{Error, client};

/// An amount that may not be negative.
pub(crate) fn amount(value: Option<i32>, what: &str) -> Result<Option<u32>, Error> {
    value.map(|value| u32::try_from(value).map_err(|_| client(format!("{what} must not be negative.")))).transpose()
}

pub(crate) fn cpu(value: Option<i32>, what: &str) -> Result<Option<CpuUnits>, Error> {
    Ok(amount(value, what)?.map(CpuUnits))
}

pub(crate) fn memory(value: Option<i32>, what: &str) -> Result<Option<MemoryMib>, Error> {
    Ok(amount(value, what)?.map(MemoryMib))
}

/// 1 to 65535, or 0 where a dynamic port is meant.
pub(crate) fn port(value: Option<i32>, what: &str) -> Result<Option<u16>, Error> {
    value
        .map(|value| {
            u16::try_from(value).map_err(|_| client(format!("Invalid '{what}' setting for container: {value}")))
        })
        .transpose()
}

/// Task-level CPU: `256`, `1024`, `.25 vCPU`, `1 vCPU`.
///
/// Source: Amazon ECS API Reference, `RegisterTaskDefinition.cpu`.
pub(crate) fn task_cpu(text: &str) -> Option<CpuUnits> {
    let lower = text.trim().to_ascii_lowercase();
    match lower.strip_suffix("vcpu") {
        Some(vcpus) => {
            let vcpus: f64 = vcpus.trim().parse().ok()?;
            (0.0..=1024.0).contains(&vcpus).then(|| CpuUnits((vcpus * 1024.0).round() as u32))
        }
        None => lower.parse().ok().map(CpuUnits),
    }
}

/// Task-level memory: `512`, `1 GB`, `0.5GB`.
///
/// Source: Amazon ECS API Reference, `RegisterTaskDefinition.memory`.
pub(crate) fn task_memory(text: &str) -> Option<MemoryMib> {
    let lower = text.trim().to_ascii_lowercase();
    match lower.strip_suffix("gb") {
        Some(gigabytes) => {
            let gigabytes: f64 = gigabytes.trim().parse().ok()?;
            (0.0..=1_048_576.0).contains(&gigabytes).then(|| MemoryMib((gigabytes * 1024.0).round() as u32))
        }
        None => lower.parse().ok().map(MemoryMib),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_sizes_are_read_in_both_spellings() {
        for (text, units) in
            [("256", Some(256)), (".25 vCPU", Some(256)), ("2 vcpu", Some(2048)), ("x", None), ("-1", None)]
        {
            assert_eq!(task_cpu(text).map(|cpu| cpu.0), units, "{text}");
        }
        for (text, mib) in
            [("512", Some(512)), ("0.5 GB", Some(512)), ("2GB", Some(2048)), ("1 MB", None), ("nan gb", None)]
        {
            assert_eq!(task_memory(text).map(|memory| memory.0), mib, "{text}");
        }
    }
}
