//! What all containers of a node have in common: folders, the bridge with its address, kernel settings.

use std::fs::{File, TryLockError};
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use crate::config::NetworkConfig;
use crate::error::NetworkError;
use crate::netlink::{Netlink, Route, link_index};
use crate::plan::{Mac, Node};
use crate::subnet::Subnet;
use crate::{netns, probe};

const INTERFACE_NAME_MAX: usize = 15;
const MTU_MAX: u32 = 1500;
const MTU_MIN: u32 = 576;

/// Makes what is missing, and keeps what an earlier run left. The file is a lock: while it is open no other
/// node works with the same names. Blocking.
pub(crate) fn ensure(config: &NetworkConfig) -> Result<(Node, File), NetworkError> {
    check_names(config)?;
    std::fs::create_dir_all(&config.run_dir).map_err(NetworkError::io("create the folder", &config.run_dir))?;
    let lock = lock(&config.run_dir)?;
    probe::run()?;
    netns::ensure_folder(&config.run_dir)?;

    let mut netlink = Netlink::open()?;
    let routes = netlink.routes()?;
    let mtu = uplink_mtu(&mut netlink, &routes)?;
    let standing = match link_index(&config.bridge) {
        Some(index) => netlink.addresses(index)?.into_iter().find_map(|(ip, prefix)| kept_subnet(ip, prefix)),
        None => None,
    };
    let subnet = match standing {
        Some(subnet) => subnet,
        None => free_subnet(config, &routes)?,
    };
    netlink.batch(Netlink::add_bridge(&config.bridge, Mac::for_ip(subnet.gateway()), mtu))?;
    let index = link_index(&config.bridge).ok_or_else(|| {
        NetworkError::netlink(format!("find bridge {}", config.bridge), io::Error::from_raw_os_error(libc::ENODEV))
    })?;
    netlink.batch(vec![
        Netlink::add_address(index, subnet.gateway(), subnet.prefix(), subnet.broadcast()),
        Netlink::link_up(index, &config.bridge),
    ])?;
    // Between containers and the world this host is a router.
    netns::write_sysctl("net.ipv4.ip_forward", "1")?;
    // So that the host's own 127.0.0.1:port can be led to a container; the table's chain `guard` keeps the
    // loopback addresses from being reached by containers in turn.
    netns::write_sysctl(&format!("net.ipv4.conf.{}.route_localnet", config.bridge), "1")?;

    let node = Node {
        bridge: config.bridge.clone(),
        table: config.table.clone(),
        subnet,
        mtu,
        run_dir: config.run_dir.clone(),
        redirects: config.redirects.clone(),
    };
    Ok((node, lock))
}

/// Removes the bridge. The folders stay, they are empty. Blocking.
pub(crate) fn release(node: &Node) -> Result<(), NetworkError> {
    let folder = netns::release_folder(&node.run_dir);
    Netlink::open()?.delete_links([node.bridge.as_str()]).and(folder)
}

fn lock(run_dir: &Path) -> Result<File, NetworkError> {
    let path = run_dir.join(".lock");
    let file = File::create(&path).map_err(NetworkError::io("create the lock file", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(NetworkError::InUse { run_dir: run_dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(NetworkError::io("lock", &path)(error)),
    }
}

/// An address that could be our gateway names the subnet that the bridge has.
fn kept_subnet(address: Ipv4Addr, prefix: u8) -> Option<Subnet> {
    Subnet::around(address, prefix).filter(|subnet| subnet.gateway() == address)
}

fn free_subnet(config: &NetworkConfig, routes: &[Route]) -> Result<Subnet, NetworkError> {
    let taken: Vec<_> = routes.iter().map(|route| (route.to, route.prefix)).collect();
    Subnet::choose(config.subnet, &taken)
        .ok_or_else(|| NetworkError::NoFreeSubnet { bridge: config.bridge.clone(), wanted: config.subnet })
}

/// Containers must not send larger packets than the way out takes.
fn uplink_mtu(netlink: &mut Netlink, routes: &[Route]) -> Result<u32, NetworkError> {
    let uplink = routes.iter().find(|route| route.prefix == 0).and_then(|route| route.interface);
    let mtu = match uplink {
        Some(index) => netlink.mtu(index)?,
        None => None,
    };
    Ok(mtu.unwrap_or(MTU_MAX).clamp(MTU_MIN, MTU_MAX))
}

/// Both names end up in rules and paths, so they may not carry anything but letters, digits, `-` and `_`.
fn check_names(config: &NetworkConfig) -> Result<(), NetworkError> {
    let refuse = |what, name: &str, why| Err(NetworkError::InvalidConfig { what, name: name.to_owned(), why });
    let plain = |name: &str, more: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    if config.bridge.len() > INTERFACE_NAME_MAX || !plain(&config.bridge, "-_") {
        return refuse("bridge name", &config.bridge, "at most 15 letters, digits, `-` and `_`, a letter first");
    }
    if !plain(&config.table, "_") {
        return refuse("nftables table name", &config.table, "letters, digits and `_`, a letter first");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_break_out_are_refused() {
        let check = |bridge: &str, table: &str| {
            check_names(&NetworkConfig { bridge: bridge.into(), table: table.into(), ..NetworkConfig::new("/s", "/r") })
        };
        assert!(check("berth0", "berth").is_ok());
        for bridge in ["", "0berth", "berth/0", "berth 0", "a-name-too-long-", "berth0\"; drop"] {
            assert!(check(bridge, "berth").is_err(), "{bridge}");
        }
        for table in ["", "be-rth", "berth }", "1"] {
            assert!(check("berth0", table).is_err(), "{table}");
        }
    }

    #[test]
    fn only_a_gateway_address_names_a_subnet() {
        assert_eq!(kept_subnet([10, 9, 0, 1].into(), 16).unwrap().to_string(), "10.9.0.0/16");
        assert_eq!(kept_subnet([10, 9, 0, 2].into(), 16), None);
        assert_eq!(kept_subnet([10, 9, 0, 1].into(), 32), None);
    }
}
