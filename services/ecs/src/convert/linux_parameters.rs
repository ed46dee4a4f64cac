//! Linux parameters of a container, in and out.

use model::container_definition::{Device, LinuxParameters, Tmpfs};

use super::container_definition::{list, shown};
use super::number;
use crate::error::Error;

pub(crate) fn parse(given: &api_ecs::LinuxParameters) -> Result<LinuxParameters, Error> {
    let mut tmpfs = Vec::new();
    for one in given.tmpfs.iter().flatten() {
        tmpfs.push(Tmpfs {
            container_path: one.container_path.clone().unwrap_or_default(),
            size_mib: number::amount(one.size, "tmpfs size")?.unwrap_or_default(),
            mount_options: one.mount_options.clone().unwrap_or_default(),
        });
    }
    Ok(LinuxParameters {
        capabilities_add: given.capabilities.as_ref().and_then(|it| it.add.clone()),
        capabilities_drop: given.capabilities.as_ref().and_then(|it| it.drop.clone()),
        devices: list(&given.devices, |device| Device {
            host_path: device.host_path.clone().unwrap_or_default(),
            container_path: device.container_path.clone(),
            permissions: device.permissions.clone().unwrap_or_default(),
        }),
        init_process_enabled: given.init_process_enabled,
        shared_memory_size_mib: number::amount(given.shared_memory_size, "sharedMemorySize")?,
        tmpfs,
        max_swap_mib: number::amount(given.max_swap, "maxSwap")?,
        swappiness: number::amount(given.swappiness, "swappiness")?,
    })
}

pub(crate) fn view(kept: &LinuxParameters) -> api_ecs::LinuxParameters {
    let signed = |value: Option<u32>| value.map(|value| value as i32);
    let has_capabilities = kept.capabilities_add.is_some() || kept.capabilities_drop.is_some();
    api_ecs::LinuxParameters {
        capabilities: has_capabilities.then(|| api_ecs::KernelCapabilities {
            add: kept.capabilities_add.clone(),
            drop: kept.capabilities_drop.clone(),
        }),
        devices: shown(&kept.devices, |device| api_ecs::Device {
            host_path: Some(device.host_path.clone()),
            container_path: device.container_path.clone(),
            permissions: Some(device.permissions.clone()).filter(|list| !list.is_empty()),
        }),
        init_process_enabled: kept.init_process_enabled,
        shared_memory_size: signed(kept.shared_memory_size_mib),
        tmpfs: shown(&kept.tmpfs, |one| api_ecs::Tmpfs {
            container_path: Some(one.container_path.clone()),
            size: Some(one.size_mib as i32),
            mount_options: Some(one.mount_options.clone()).filter(|list| !list.is_empty()),
        }),
        max_swap: signed(kept.max_swap_mib),
        swappiness: signed(kept.swappiness),
    }
}
