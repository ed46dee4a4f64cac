//! What containers and tasks may use.

use agent::plan::{ContainerPlan, TaskPlan};
use agent_api::docker;
use runtime::{Limits, Ulimit};
use task_engine::Failure;

use crate::failure;

const MIB: u64 = 1024 * 1024;

/// The kernel's smallest. Source: Amazon ECS Developer Guide, container definition `cpu`: null, 0 and 1 are passed as 2.
const SHARES_MIN: u64 = 2;

/// One vCPU for the whole of it.
const PERIOD_US: u64 = 100_000;

/// The kernel's smallest.
const QUOTA_US_MIN: u64 = 1_000;

/// Docker's smallest.
const MEMORY_MIN: u64 = 6 * MIB;

/// Of all containers together: the task's own limits, or without them its share of the CPU, and at most so many processes. None
/// for a task that is one container, whose limits are the same.
pub fn task_limits(task: &TaskPlan, pids: Option<u64>) -> Limits {
    if is_alone(task) {
        return Limits::default();
    }
    let mut limits = Limits { memory_bytes: mib(task.payload.memory.unwrap_or(0)), pids, ..Limits::default() };
    match vcpus(task) {
        Some(vcpus) => {
            // A float that is too large becomes the largest integer, and one that is no number 0.
            limits.cpu_quota_us = Some(((vcpus * PERIOD_US as f64) as u64).max(QUOTA_US_MIN));
            limits.cpu_period_us = Some(PERIOD_US);
        }
        None => limits.cpu_shares = Some(task.containers.iter().map(shares).fold(0, u64::saturating_add)),
    }
    limits
}

fn vcpus(task: &TaskPlan) -> Option<f64> {
    task.payload.cpu.filter(|cpu| *cpu > 0.0)
}

/// One container, without another one that holds namespaces for it, and without limits of its task.
fn is_alone(task: &TaskPlan) -> bool {
    let shares = |mode: &Option<String>| mode.as_deref() == Some("task");
    task.containers.len() == 1
        && mib(task.payload.memory.unwrap_or(0)).is_none()
        && vcpus(task).is_none()
        && ![&task.payload.pid_mode, &task.payload.ipc_mode].into_iter().any(shares)
}

/// `pids`: the most processes that a task may have.
pub fn container_limits(
    task: &TaskPlan,
    plan: &ContainerPlan,
    pids: Option<u64>,
    cgroup_v2: bool,
) -> Result<Limits, Failure> {
    let host = &plan.host;
    let memory_bytes = mib(plan.payload.memory);
    let memory_reservation_bytes = positive(host.memory_reservation);
    if memory_bytes.is_some_and(|bytes| bytes < MEMORY_MIN) {
        return Err(failure::create("Minimum memory limit allowed is 6MB"));
    }
    if let (Some(hard), Some(soft)) = (memory_bytes, memory_reservation_bytes)
        && soft > hard
    {
        return Err(failure::create("Minimum memory limit can not be less than memory reservation limit, see usage"));
    }
    // -1 is without limit, which is also what the kernel has. Who says nothing has as much swap as memory: Docker's rule.
    let memory_swap_bytes = match host.memory_swap {
        None | Some(0) => memory_bytes.map(|bytes| bytes.saturating_mul(2)),
        given => positive(given),
    };
    if let (Some(memory), Some(both)) = (memory_bytes, memory_swap_bytes)
        && both < memory
    {
        return Err(failure::create("Minimum memoryswap limit should be larger than memory limit, see usage"));
    }
    // The newer cgroups know no swappiness, and Docker drops it there.
    let swappiness = host.memory_swappiness.filter(|_| !cgroup_v2).and_then(|value| u64::try_from(value).ok());
    Ok(Limits {
        memory_bytes,
        memory_reservation_bytes,
        memory_swap_bytes: memory_swap_bytes.filter(|_| memory_bytes.is_some()),
        swappiness,
        cpu_shares: Some(shares(plan)),
        pids: pids.filter(|_| is_alone(task)),
        ..Limits::default()
    })
}

pub fn ulimits(given: &[docker::Ulimit]) -> Result<Vec<Ulimit>, Failure> {
    // -1 is unlimited; so is any other negative number for the kernel, which sees an unsigned one.
    let value = |value: i64| u64::try_from(value).unwrap_or(u64::MAX);
    given
        .iter()
        .map(|ulimit| {
            let (soft, hard) = (value(ulimit.soft), value(ulimit.hard));
            if soft > hard {
                let text = format!("ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}");
                return Err(failure::create(text));
            }
            Ok(Ulimit { name: ulimit.name.clone(), soft, hard })
        })
        .collect()
}

fn shares(plan: &ContainerPlan) -> u64 {
    u64::try_from(plan.payload.cpu).unwrap_or(0).max(SHARES_MIN)
}

fn mib(count: i64) -> Option<u64> {
    positive(Some(count)).map(|count| count.saturating_mul(MIB))
}

fn positive(value: Option<i64>) -> Option<u64> {
    value.and_then(|value| u64::try_from(value).ok()).filter(|value| *value > 0)
}
