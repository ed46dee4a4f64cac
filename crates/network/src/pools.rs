//! Which addresses and host ports are taken, as plain values in memory.
//!
//! Both are handed out round robin: what was just given back comes again last, so that a client or a
//! conntrack entry that still remembers the old holder does not meet a new one.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::Subnet;
use crate::plan::{HostPort, Protocol};

pub(crate) struct AddressPool {
    subnet: Subnet,
    taken: BTreeMap<Ipv4Addr, String>,
    next: u32,
}

impl AddressPool {
    pub fn new(subnet: Subnet) -> Self {
        Self { subnet, taken: BTreeMap::new(), next: 0 }
    }

    pub fn take(&mut self, container_id: &str) -> Option<Ipv4Addr> {
        let capacity = self.subnet.capacity();
        if self.taken.len() >= capacity as usize {
            return None;
        }
        let free = (0..capacity)
            .map(|step| (self.next + step) % capacity)
            .find(|index| !self.taken.contains_key(&self.subnet.container_address(*index)))?;
        self.next = (free + 1) % capacity;
        let address = self.subnet.container_address(free);
        self.taken.insert(address, container_id.to_owned());
        Some(address)
    }

    /// Takes a certain address, as a restarted agent does. False when it is not of this subnet or not free.
    pub fn take_again(&mut self, address: Ipv4Addr, container_id: &str) -> bool {
        let first = self.subnet.container_address(0);
        let index = u32::from(address).wrapping_sub(u32::from(first));
        if index >= self.subnet.capacity() || self.taken.contains_key(&address) {
            return false;
        }
        self.taken.insert(address, container_id.to_owned());
        self.next = (index + 1) % self.subnet.capacity();
        true
    }

    /// Of no effect unless the container has that address.
    pub fn give_back(&mut self, address: Ipv4Addr, container_id: &str) {
        if self.taken.get(&address).is_some_and(|holder| holder == container_id) {
            self.taken.remove(&address);
        }
    }
}

pub(crate) struct PortPool {
    first: u16,
    last: u16,
    taken: BTreeMap<HostPort, String>,
    next: u16,
}

impl PortPool {
    pub fn new(first: u16, last: u16) -> Self {
        debug_assert!(0 < first && first <= last);
        Self { first, last, taken: BTreeMap::new(), next: first }
    }

    pub fn range(&self) -> (u16, u16) {
        (self.first, self.last)
    }

    pub fn holder(&self, port: HostPort) -> Option<&str> {
        self.taken.get(&port).map(String::as_str)
    }

    /// Takes a certain port. The error is its present holder.
    pub fn take(&mut self, port: HostPort, container_id: &str) -> Result<(), String> {
        if let Some(holder) = self.taken.get(&port) {
            return Err(holder.clone());
        }
        self.taken.insert(port, container_id.to_owned());
        Ok(())
    }

    /// The dynamic ports in the order to try them, without those that our containers have.
    pub fn candidates(&self, protocol: Protocol) -> impl Iterator<Item = u16> + '_ {
        (self.next..=self.last)
            .chain(self.first..self.next)
            .filter(move |port| !self.taken.contains_key(&HostPort { protocol, port: *port }))
    }

    /// Says that a candidate was taken, so that the next search begins behind it.
    pub fn advance(&mut self, taken: u16) {
        self.next = if taken >= self.last { self.first } else { taken + 1 };
    }

    /// Of no effect unless the container has that port.
    pub fn give_back(&mut self, port: HostPort, container_id: &str) {
        if self.holder(port) == Some(container_id) {
            self.taken.remove(&port);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back_last() {
        let mut pool = AddressPool::new("10.0.0.0/29".parse().unwrap());
        let all: Vec<_> = (0..5).map(|n| pool.take(&format!("c{n}")).unwrap()).collect();
        assert_eq!(all[0], Ipv4Addr::new(10, 0, 0, 2));
        assert_eq!(all[4], Ipv4Addr::new(10, 0, 0, 6));
        assert_eq!(pool.take("c5"), None);
        pool.give_back(all[3], "somebody else");
        assert_eq!(pool.take("c5"), None);
        pool.give_back(all[3], "c3");
        pool.give_back(all[1], "c1");
        assert_eq!(pool.take("c6"), Some(all[1]));
        assert_eq!(pool.take("c7"), Some(all[3]));
    }

    #[test]
    fn a_known_address_is_taken_once() {
        let mut pool = AddressPool::new("10.0.0.0/29".parse().unwrap());
        let address = Ipv4Addr::new(10, 0, 0, 4);
        assert!(pool.take_again(address, "a"));
        assert!(!pool.take_again(address, "b"));
        for other in [[10, 0, 0, 0], [10, 0, 0, 1], [10, 0, 0, 7], [10, 0, 1, 2], [9, 0, 0, 1]] {
            assert!(!pool.take_again(other.into(), "c"), "{other:?}");
        }
        assert_eq!(pool.take("d"), Some(Ipv4Addr::new(10, 0, 0, 5)));
    }

    #[test]
    fn ports_go_round() {
        let mut pool = PortPool::new(100, 102);
        let port = |port| HostPort { protocol: Protocol::Tcp, port };
        pool.take(port(101), "fixed").unwrap();
        assert_eq!(pool.take(port(101), "other"), Err("fixed".to_owned()));
        assert_eq!(pool.candidates(Protocol::Tcp).collect::<Vec<_>>(), [100, 102]);
        assert_eq!(pool.candidates(Protocol::Udp).collect::<Vec<_>>(), [100, 101, 102]);
        pool.advance(100);
        assert_eq!(pool.candidates(Protocol::Tcp).collect::<Vec<_>>(), [102, 100]);
        pool.advance(102);
        assert_eq!(pool.candidates(Protocol::Tcp).collect::<Vec<_>>(), [100, 102]);
        pool.give_back(port(101), "other");
        assert_eq!(pool.holder(port(101)), Some("fixed"));
        pool.give_back(port(101), "fixed");
        assert_eq!(pool.holder(port(101)), None);
    }
}
