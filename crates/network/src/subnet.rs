//! IPv4 subnets: parsing, overlap, and choosing one that nobody uses.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// An IPv4 network such as `172.29.0.0/16`.
///
/// Shape: the address has no host bits set; the prefix is between 8 and 30, so that there is always room
/// for a gateway and at least one container.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet {
    network: u32,
    prefix: u8,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not an IPv4 subnet like 172.29.0.0/16 (prefix 8 to 30, no host bits)")]
pub struct SubnetError(String);

impl Subnet {
    /// The subnet that holds `address`, `prefix` bits wide. None when the prefix is out of range.
    pub fn around(address: Ipv4Addr, prefix: u8) -> Option<Self> {
        if !(8..=30).contains(&prefix) {
            return None;
        }
        Some(Self { network: u32::from(address) & mask(prefix), prefix })
    }

    pub fn prefix(self) -> u8 {
        self.prefix
    }

    pub fn network(self) -> Ipv4Addr {
        Ipv4Addr::from(self.network)
    }

    /// The first host address; it belongs to the bridge and is the containers' default route.
    pub fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from(self.network + 1)
    }

    pub fn broadcast(self) -> Ipv4Addr {
        Ipv4Addr::from(self.network | !mask(self.prefix))
    }

    /// How many addresses containers may have: all but the network, the gateway and the broadcast address.
    pub fn capacity(self) -> u32 {
        (1 << (32 - self.prefix)) - 3
    }

    /// The container address with this index, from 0 to `capacity() - 1`.
    pub fn container_address(self, index: u32) -> Ipv4Addr {
        debug_assert!(index < self.capacity());
        Ipv4Addr::from(self.network + 2 + index)
    }

    pub fn contains(self, address: Ipv4Addr) -> bool {
        u32::from(address) & mask(self.prefix) == self.network
    }

    /// Whether any address lies in both. A route of prefix 0 to 7 is asked as given, so the caller decides
    /// whether the default route counts.
    pub fn overlaps(self, address: Ipv4Addr, prefix: u8) -> bool {
        let common = mask(self.prefix.min(prefix));
        u32::from(address) & common == self.network & common
    }

    /// `wanted` when it is free, or the next one that overlaps no route.
    ///
    /// The candidates after `wanted` are those that Docker's default pools use last or never, so that a
    /// Docker engine started later seldom meets ours.
    pub fn choose(wanted: Subnet, routes: &[(Ipv4Addr, u8)]) -> Option<Subnet> {
        let fallback = [(172, 29), (172, 30), (172, 31), (172, 28), (10, 229), (10, 230), (10, 231), (10, 198)]
            .into_iter()
            .filter_map(|(a, b)| Subnet::around(Ipv4Addr::new(a, b, 0, 0), wanted.prefix.max(16)));
        std::iter::once(wanted)
            .chain(fallback)
            .find(|candidate| !routes.iter().any(|(to, prefix)| *prefix > 0 && candidate.overlaps(*to, *prefix)))
    }
}

fn mask(prefix: u8) -> u32 {
    if prefix == 0 { 0 } else { u32::MAX << (32 - u32::from(prefix)) }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network(), self.prefix)
    }
}

impl fmt::Debug for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Subnet {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || SubnetError(text.to_owned());
        let (address, prefix) = text.split_once('/').ok_or_else(refuse)?;
        let address: Ipv4Addr = address.parse().map_err(|_| refuse())?;
        let prefix: u8 = prefix.parse().map_err(|_| refuse())?;
        Subnet::around(address, prefix).filter(|subnet| subnet.network() == address).ok_or_else(refuse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn parses_and_prints() {
        assert_eq!(subnet("172.29.0.0/16").to_string(), "172.29.0.0/16");
        for bad in ["", "172.29.0.0", "172.29.0.1/16", "172.29.0.0/31", "172.29.0.0/7", "x/16", "172.29.0.0/x", "::/16"]
        {
            assert!(bad.parse::<Subnet>().is_err(), "{bad}");
        }
    }

    #[test]
    fn knows_its_addresses() {
        let small = subnet("10.0.0.0/30");
        assert_eq!(small.gateway(), Ipv4Addr::new(10, 0, 0, 1));
        assert_eq!(small.capacity(), 1);
        assert_eq!(small.container_address(0), Ipv4Addr::new(10, 0, 0, 2));
        assert_eq!(small.broadcast(), Ipv4Addr::new(10, 0, 0, 3));
        assert!(small.contains(Ipv4Addr::new(10, 0, 0, 3)));
        assert!(!small.contains(Ipv4Addr::new(10, 0, 0, 4)));
    }

    #[test]
    fn steps_aside_for_existing_routes() {
        let wanted = subnet("172.29.0.0/16");
        let route = |a, b, c, prefix| (Ipv4Addr::new(a, b, c, 0), prefix);
        assert_eq!(Subnet::choose(wanted, &[route(0, 0, 0, 0), route(192, 0, 2, 24)]), Some(wanted));
        assert_eq!(Subnet::choose(wanted, &[route(172, 29, 5, 24)]), Some(subnet("172.30.0.0/16")));
        assert_eq!(Subnet::choose(wanted, &[route(172, 16, 0, 12)]), Some(subnet("10.229.0.0/16")));
        assert_eq!(Subnet::choose(wanted, &[route(172, 16, 0, 12), route(10, 0, 0, 8)]), None);
    }
}
