//! The blocking half of [`crate::Network`]: the order of steps, and what is undone when one fails.

use std::collections::BTreeSet;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::config::{DynamicPorts, NetworkConfig};
use crate::error::NetworkError;
use crate::modes::{self, bridge};
use crate::netlink::{Netlink, link_index};
use crate::network::{Attachment, Link, Recovered};
use crate::nfnetlink::NfTables;
use crate::plan::{Assigned, Binding, Mac, NetworkMode, Node, PortMap, PortMapping};
use crate::pools::{AddressPool, PortPool};
use crate::records::{LinkRecord, Published, Record, Records, VERSION};
use crate::rules::{self, Edit, Rules};
use crate::state::{Entry, Gates, State};
use crate::{docker, fabric, netns, ports};

const ID_MAX: usize = 128;
const VETH_PREFIX: &str = "bv";

pub(crate) struct NodeNetwork {
    pub plan: Node,
    records: Records,
    rules: Rules,
    gates: Gates,
    state: Mutex<State>,
    /// Held by whoever tends what the containers share, so that nobody mends what `close` removes.
    care: Mutex<()>,
    /// Keeps other nodes off our names.
    _lock: File,
}

impl NodeNetwork {
    pub fn open(config: NetworkConfig) -> Result<Self, NetworkError> {
        let records = Records::open(&config.state_dir)?;
        let (plan, lock) = fabric::ensure(&config)?;
        let (first, last) = dynamic_range(config.dynamic_ports)?;
        let mut state = State {
            addresses: AddressPool::new(plan.subnet),
            ports: PortPool::new(first, last),
            entries: Default::default(),
            doomed: Default::default(),
            closed: false,
        };
        let mut map = PortMap::new();
        for (id, record) in records.list()? {
            match record {
                Some(record) => map.extend(take_again(&mut state, &plan, record)),
                None => {
                    tracing::warn!(id, "a network record cannot be read; what it described is removed");
                    netns::remove(&plan.run_dir.join(&id))?;
                    records.remove(&id)?;
                }
            }
        }
        let rules = Rules::start(plan.clone(), map)?;
        docker::ensure(&plan.bridge)?;
        let state = Mutex::new(state);
        Ok(Self { plan, records, rules, gates: Gates::default(), state, care: Mutex::new(()), _lock: lock })
    }

    /// Runs `work` on one container, with a name that can be a file's name.
    pub fn in_turn<T>(
        &self,
        id: &str,
        work: impl FnOnce(&Self, &str) -> Result<T, NetworkError>,
    ) -> Result<T, NetworkError> {
        check_id(id)?;
        self.gates.pass(id, || work(self, id))
    }

    pub fn attach(&self, id: &str, mode: NetworkMode) -> Result<Attachment, NetworkError> {
        if let Some(record) = self.record(id)? {
            if record.mode != mode {
                return Err(NetworkError::AttachedDifferently { id: id.to_owned(), mode: record.mode });
            }
            if self.stands(&record) {
                return Ok(self.attachment(&record));
            }
            self.release(id)?;
        }
        let mut record = self.assign(id, mode)?;
        let made = self.records.write(&record).and_then(|()| self.make(&record)).and_then(|()| {
            failpoint::place("network.made");
            self.note_made(&mut record)
        });
        if let Err(error) = made {
            self.release(id)
                .unwrap_or_else(|undo| tracing::warn!(id, error = undo.chain(), "a failed attach left something"));
            return Err(error);
        }
        Ok(self.attachment(&record))
    }

    pub fn publish(&self, id: &str, mappings: &[PortMapping]) -> Result<Vec<Binding>, NetworkError> {
        if mappings.iter().any(|mapping| mapping.container_port == 0) {
            return Err(NetworkError::ContainerPortZero);
        }
        let mut record = self.record(id)?.ok_or_else(|| NetworkError::NotAttached { id: id.to_owned() })?;
        if let Some(published) = &record.published {
            if published.mappings == mappings {
                return Ok(published.bindings.clone());
            }
            let bindings: Vec<String> = published.bindings.iter().map(Binding::to_string).collect();
            return Err(NetworkError::PublishedDifferently { id: id.to_owned(), bindings: bindings.join(", ") });
        }
        if mappings.is_empty() || record.mode == NetworkMode::None {
            return Ok(Vec::new());
        }
        let bindings = {
            let mut state = self.state();
            let reserved = state.reserve(id, record.mode, mappings)?;
            let bindings = match record.mode {
                NetworkMode::Host => modes::host::bindings(mappings),
                NetworkMode::Bridge | NetworkMode::None => bridge::bindings(mappings, &reserved.host_ports),
            };
            record.published = Some(Published { mappings: mappings.to_vec(), bindings: bindings.clone() });
            state.entries.insert(id.to_owned(), Entry { record: record.clone(), holds: reserved.holds });
            bindings
        };
        let mut opened = self.records.write(&record);
        if let (Ok(()), Some(link)) = (&opened, &record.link) {
            opened = self.rules.apply(Edit::Add(bridge::routes(&bindings, link.ip).collect()));
        }
        match opened {
            Ok(()) => Ok(bindings),
            Err(error) => {
                self.unpublish(record);
                Err(error)
            }
        }
    }

    /// In the opposite order of making; the record goes last, so that a kill in between is seen next time.
    pub fn release(&self, id: &str) -> Result<(), NetworkError> {
        let path = self.plan.run_dir.join(id);
        match self.state().entries.get(id).map(|entry| entry.record.clone()) {
            Some(record) => {
                if let Some(published) = record.published.as_ref().filter(|_| record.link.is_some()) {
                    self.rules.apply(Edit::Remove(published.bindings.iter().map(Binding::host).collect()))?;
                }
                match record.mode {
                    NetworkMode::Bridge => bridge::release(&path)?,
                    NetworkMode::Host => {}
                    NetworkMode::None => modes::none::release(&path)?,
                }
            }
            None => netns::remove(&path)?,
        }
        self.records.remove(id)?;
        self.state().forget(id);
        Ok(())
    }

    pub fn recover(&self, live: &BTreeSet<String>) -> Result<Recovered, NetworkError> {
        let known: Vec<Record> = self.state().entries.values().map(|entry| entry.record.clone()).collect();
        let mut recovered = Recovered::default();
        for record in known {
            match (live.contains(&record.id), self.stands(&record)) {
                (true, true) => recovered.kept.push(record.id),
                (true, false) => recovered.lost.push(record.id),
                (false, _) => recovered.released.push(record.id),
            }
        }
        for id in recovered.lost.iter().chain(&recovered.released) {
            self.in_turn(id, |node, id| node.release(id))?;
        }
        self.remove_strays()?;
        for list in [&mut recovered.kept, &mut recovered.lost, &mut recovered.released] {
            list.sort();
        }
        Ok(recovered)
    }

    /// Looks after what others may have changed. `seen` is the answer of the last call.
    pub fn look(&self, seen: Option<u32>) -> Result<u32, NetworkError> {
        let _care = self.care.lock().unwrap_or_else(PoisonError::into_inner);
        if self.state().closed {
            return Err(NetworkError::Closed);
        }
        let overdue = self.state().doomed.overdue();
        remove_links(&overdue)?;
        let mut nftables = NfTables::open()?;
        let now = nftables.generation()?;
        // The older iptables keeps its tables elsewhere, where no number tells of a change.
        let older = std::fs::read("/proc/thread-self/net/ip_tables_names").unwrap_or_default();
        if seen == Some(now) && older.is_empty() {
            return Ok(now);
        }
        self.rules.apply(Edit::Check)?;
        docker::ensure(&self.plan.bridge)?;
        nftables.generation()
    }

    pub fn close(&self) -> Result<(), NetworkError> {
        let _care = self.care.lock().unwrap_or_else(PoisonError::into_inner);
        let doomed = {
            let mut state = self.state();
            state.closed = true;
            if !state.entries.is_empty() {
                return Ok(());
            }
            [state.doomed.overdue(), state.doomed.overdue()].concat()
        };
        // Each is tried, whatever became of the others.
        let links = remove_links(&doomed);
        let docker = docker::release(&self.plan.bridge);
        let table = rules::remove_table(&self.plan.table);
        let bridge = fabric::release(&self.plan);
        links.and(docker).and(table).and(bridge)
    }

    /// The container's record, unless the node is closed.
    fn record(&self, id: &str) -> Result<Option<Record>, NetworkError> {
        let state = self.state();
        if state.closed {
            return Err(NetworkError::Closed);
        }
        Ok(state.entries.get(id).map(|entry| entry.record.clone()))
    }

    fn assign(&self, id: &str, mode: NetworkMode) -> Result<Record, NetworkError> {
        let mut state = self.state();
        let link = match mode {
            NetworkMode::Host | NetworkMode::None => None,
            NetworkMode::Bridge => {
                let ip = state.addresses.take(id).ok_or(NetworkError::NoFreeAddress { subnet: self.plan.subnet })?;
                Some(LinkRecord { veth: new_veth_name(), ip })
            }
        };
        let record = Record { version: VERSION, id: id.to_owned(), mode, link, published: None, half_made: true };
        state.entries.insert(id.to_owned(), Entry { record: record.clone(), holds: Vec::new() });
        Ok(record)
    }

    /// In a thread of its own, which moves into the new namespace and ends there.
    fn make(&self, record: &Record) -> Result<(), NetworkError> {
        if record.mode == NetworkMode::Host {
            return Ok(());
        }
        let path = self.plan.run_dir.join(&record.id);
        let work = || match &record.link {
            Some(link) => {
                let assigned = Assigned { ip: link.ip, veth: link.veth.clone() };
                bridge::ensure(&path, &bridge::plan(&record.id, &self.plan, &assigned))
            }
            None => modes::none::ensure(&path, &modes::none::plan(&record.id, &self.plan)),
        };
        std::thread::scope(|scope| match std::thread::Builder::new().spawn_scoped(scope, work) {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(error) => Err(NetworkError::system("start a thread")(error)),
        })
    }

    /// From here on the next agent takes it as it is.
    fn note_made(&self, record: &mut Record) -> Result<(), NetworkError> {
        record.half_made = false;
        if let Some(entry) = self.state().entries.get_mut(&record.id) {
            entry.record.half_made = false;
        }
        self.records.write(record)
    }

    fn unpublish(&self, mut record: Record) {
        let mut state = self.state();
        for binding in record.published.take().into_iter().flat_map(|published| published.bindings) {
            state.ports.give_back(binding.host(), &record.id);
        }
        if let Err(error) = self.records.write(&record) {
            tracing::warn!(id = record.id, error = error.chain(), "a failed publish left its record");
        }
        state.entries.insert(record.id.clone(), Entry { record, holds: Vec::new() });
    }

    fn stands(&self, record: &Record) -> bool {
        stands(&self.plan, record)
    }

    fn attachment(&self, record: &Record) -> Attachment {
        Attachment {
            netns: (record.mode != NetworkMode::Host).then(|| self.plan.run_dir.join(&record.id)),
            link: record.link.as_ref().map(|link| Link {
                interface: bridge::INTERFACE.to_owned(),
                mac: Mac::for_ip(link.ip),
                ip: link.ip,
                prefix: self.plan.subnet.prefix(),
                gateway: self.plan.subnet.gateway(),
            }),
        }
    }

    /// Namespaces without a record: somebody removed the data folder but did not reboot. And interfaces
    /// without one: a process sits in a namespace that was released.
    fn remove_strays(&self) -> Result<(), NetworkError> {
        let mut netlink = Netlink::open()?;
        let links = netlink.links()?;
        let known = self.veths();
        netlink.delete_links(
            links.iter().map(String::as_str).filter(|name| is_veth_name(name) && !known.contains(*name)),
        )?;
        let run_dir = &self.plan.run_dir;
        for entry in std::fs::read_dir(run_dir).map_err(NetworkError::io("list the folder", run_dir))? {
            let entry = entry.map_err(NetworkError::io("list the folder", run_dir))?;
            let Ok(id) = entry.file_name().into_string() else { continue };
            if check_id(&id).is_ok() {
                self.in_turn(&id, |node, id| match node.record(id)? {
                    Some(_) => Ok(()),
                    None => netns::remove(&entry.path()),
                })?;
            }
        }
        Ok(())
    }

    fn veths(&self) -> BTreeSet<String> {
        self.state()
            .entries
            .values()
            .filter_map(|entry| entry.record.link.as_ref())
            .map(|link| link.veth.clone())
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// It is there, and it was made to its end.
fn stands(plan: &Node, record: &Record) -> bool {
    !record.half_made && (record.mode == NetworkMode::Host || netns::exists(&plan.run_dir.join(&record.id)))
}

/// Puts a record of an earlier run back into memory; what it returns belongs into the port map.
fn take_again(state: &mut State, plan: &Node, record: Record) -> PortMap {
    let id = record.id.clone();
    let stands = stands(plan, &record);
    let addressed = record.link.as_ref().is_none_or(|link| state.addresses.take_again(link.ip, &id));
    let mut map = PortMap::new();
    let mut holds = Vec::new();
    if let Some(published) = record.published.as_ref().filter(|_| stands && addressed) {
        for binding in &published.bindings {
            if let Err(holder) = state.ports.take(binding.host(), &id) {
                tracing::warn!(id, port = binding.host_port, holder, "two network records name one host port");
            }
        }
        if let Some(link) = &record.link {
            map.extend(bridge::routes(&published.bindings, link.ip));
            // Whoever took the port while no agent was running keeps its socket; packets still go to ours.
            holds = published.bindings.iter().filter_map(|binding| ports::hold_static(binding.host()).ok()).collect();
        }
    }
    state.entries.insert(id, Entry { record, holds });
    map
}

fn dynamic_range(ports: DynamicPorts) -> Result<(u16, u16), NetworkError> {
    let (text, range) = match ports {
        DynamicPorts::Between(first, last) => (format!("{first}-{last}"), Some((first, last))),
        DynamicPorts::EphemeralRange => {
            let path = std::path::Path::new("/proc/sys/net/ipv4/ip_local_port_range");
            let text = std::fs::read_to_string(path).map_err(NetworkError::io("read", path))?;
            let mut words = text.split_whitespace().map(|word| word.parse().ok());
            let range = words.next().flatten().zip(words.next().flatten());
            (text.trim().to_owned(), range)
        }
    };
    range.filter(|(first, last)| 0 < *first && first <= last).ok_or(NetworkError::InvalidConfig {
        what: "range of dynamic ports",
        name: text,
        why: "it takes two ports, the lower first",
    })
}

/// Random, since a name must not come back while the kernel still removes its former bearer.
fn new_veth_name() -> String {
    format!("{VETH_PREFIX}{:012x}", RandomState::new().hash_one("veth") & 0xffff_ffff_ffff)
}

/// Those of the interfaces that are still there.
fn remove_links(names: &[String]) -> Result<(), NetworkError> {
    let standing: Vec<&str> = names.iter().map(String::as_str).filter(|name| link_index(name).is_some()).collect();
    Netlink::open()?.delete_links(standing)
}

fn is_veth_name(name: &str) -> bool {
    name.strip_prefix(VETH_PREFIX).is_some_and(|rest| rest.len() == 12 && rest.chars().all(|c| c.is_ascii_hexdigit()))
}

fn check_id(id: &str) -> Result<(), NetworkError> {
    let plain = id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if plain && id.len() <= ID_MAX {
        return Ok(());
    }
    Err(NetworkError::InvalidContainerId { id: id.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_file_names() {
        for good in ["a", "0f-1_2.json", &"x".repeat(128)] {
            assert!(check_id(good).is_ok(), "{good}");
        }
        for bad in ["", ".lock", "..", "a/b", "-a", "a b", "ä", &"x".repeat(129)] {
            assert!(check_id(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ranges_of_ports() {
        assert_eq!(dynamic_range(DynamicPorts::Between(5, 5)).unwrap(), (5, 5));
        assert!(dynamic_range(DynamicPorts::Between(0, 5)).is_err());
        assert!(dynamic_range(DynamicPorts::Between(6, 5)).is_err());
        let (first, last) = dynamic_range(DynamicPorts::EphemeralRange).unwrap();
        assert!(first < last);
    }

    #[test]
    fn interface_names_fit_and_differ() {
        let (a, b) = (new_veth_name(), new_veth_name());
        assert!(is_veth_name(&a) && a.len() <= 15, "{a}");
        assert!(!is_veth_name("bv0") && !is_veth_name("veth0123456789"));
        assert_ne!(a, b);
    }
}
