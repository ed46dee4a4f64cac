//! Who and where a container is, in the files of `/etc`.

use std::net::IpAddr;

use agent::plan::TaskPlan;
use network::NetworkMode;
use network::files::{self, DnsSettings};
use runtime::EtcFiles;
use task_engine::Failure;

use super::selinux::SelinuxContexts;
use super::{Around, mode};
use crate::failure;

/// The machine's own files of these names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostFiles {
    pub hostname: String,
    pub hosts: String,
    pub resolv_conf: String,
    /// Its kernel confines programs by profiles of AppArmor.
    pub has_apparmor: bool,
    /// The profile of containers that name none, where one is loaded.
    pub apparmor_default: Option<&'static str>,
    /// Its kernel labels programs and files by SELinux: what those of containers have, before anything else is said.
    pub selinux: Option<SelinuxContexts>,
}

/// With the machine's network goes its name. Else a container is called as its definition says, or by its id.
pub fn hostname(task: &TaskPlan, index: usize, around: &Around<'_>) -> String {
    let given = task.containers[index].config.hostname.as_deref().filter(|name| !name.is_empty());
    match (mode(task), given) {
        (NetworkMode::Host, _) => around.host.hostname.clone(),
        (_, Some(given)) => given.to_owned(),
        (_, None) => crate::names::short(around.runtime_id).to_owned(),
    }
}

pub fn files(task: &TaskPlan, index: usize, hostname: &str, around: &Around<'_>) -> Result<EtcFiles, Failure> {
    let host = &task.containers[index].host;
    let dns = DnsSettings { servers: host.dns.clone(), search: host.dns_search.clone() };
    let extra = extra_hosts(&host.extra_hosts)?;
    let (hosts, resolv_conf) = match mode(task) {
        NetworkMode::Host => {
            let lines = extra.iter().map(|(name, address)| format!("{address}\t{name}\n"));
            let own_resolver = if dns == DnsSettings::default() {
                around.host.resolv_conf.clone()
            } else {
                files::resolv_conf(&around.host.resolv_conf, &dns)
            };
            (around.host.hosts.clone() + &lines.collect::<String>(), own_resolver)
        }
        NetworkMode::Bridge | NetworkMode::None => {
            let entries: Vec<_> = extra.into_iter().chain(links(task, index, around)?).collect();
            let ip = around.ip.map(IpAddr::from);
            (files::hosts(hostname, ip, &entries), files::resolv_conf(&around.host.resolv_conf, &dns))
        }
    };
    let hostname = Some(format!("{hostname}\n"));
    Ok(EtcFiles { hosts: Some(hosts), resolv_conf: Some(resolv_conf), hostname })
}

/// `name:address`.
fn extra_hosts(given: &[String]) -> Result<Vec<(String, IpAddr)>, Failure> {
    let parse = |entry: &String| {
        let (name, address) = entry.split_once([':', '=']).filter(|(name, _)| !name.is_empty())?;
        let address = address.trim_start_matches('[').trim_end_matches(']');
        Some((name.to_owned(), address.parse().ok()?))
    };
    let invalid = |entry: &String| failure::create(format!("bad format for add-host: {entry:?}"));
    given.iter().map(|entry| parse(entry).ok_or_else(|| invalid(entry))).collect()
}

/// A linked container is known by its alias, and as Docker does it by its id and its full name.
fn links(task: &TaskPlan, index: usize, around: &Around<'_>) -> Result<Vec<(String, IpAddr)>, Failure> {
    let mut entries = Vec::new();
    for link in &task.containers[index].payload.links {
        let (name, alias) = link.split_once(':').unwrap_or((link, link));
        let missing = || failure::create(format!("could not get container for {name}"));
        let linked = task.index_of(name).ok_or_else(missing)?;
        let Some(peer) = around.peers.get(linked).and_then(Option::as_ref) else { return Err(missing()) };
        let id = crate::names::runtime_id(task, linked);
        let names = [alias, crate::names::short(&id), &task.containers[linked].docker_name];
        entries.extend(names.map(|name| (name.to_owned(), IpAddr::from(peer.ip))));
    }
    Ok(entries)
}
