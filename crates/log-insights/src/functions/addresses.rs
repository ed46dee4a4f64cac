//! IP addresses and subnets.

use std::net::IpAddr;

use super::{Function, flag};
use crate::value::Value;

pub(super) static FUNCTIONS: &[Function] = &[
    Function::new("isvalidip", 1, 1, |all, _| flag(address(&all[0]).is_some())),
    Function::new("isvalidipv4", 1, 1, |all, _| flag(address(&all[0]).is_some_and(|ip| ip.is_ipv4()))),
    Function::new("isvalidipv6", 1, 1, |all, _| flag(address(&all[0]).is_some_and(|ip| ip.is_ipv6()))),
    Function::new("isipinsubnet", 2, 2, |all, _| flag(is_in(&all[0], &all[1], |_| true))),
    Function::new("isipv4insubnet", 2, 2, |all, _| flag(is_in(&all[0], &all[1], |ip| ip.is_ipv4()))),
    Function::new("isipv6insubnet", 2, 2, |all, _| flag(is_in(&all[0], &all[1], |ip| ip.is_ipv6()))),
];

fn address(value: &Value) -> Option<IpAddr> {
    value.as_text()?.parse().ok()
}

fn is_in(ip: &Value, subnet: &Value, wanted: fn(&IpAddr) -> bool) -> bool {
    let Some(ip) = address(ip).filter(wanted) else { return false };
    subnet.as_text().and_then(|subnet| holds(&subnet, ip)).unwrap_or(false)
}

/// Whether an address lies in `10.0.0.0/8`, or nothing when that is no subnet.
fn holds(subnet: &str, ip: IpAddr) -> Option<bool> {
    let (network, length) = subnet.split_once('/')?;
    let (network, length): (IpAddr, u32) = (network.parse().ok()?, length.parse().ok()?);
    let bits = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()) << 96,
        IpAddr::V6(ip) => ip.to_bits(),
    };
    let most = if network.is_ipv4() { 32 } else { 128 };
    if length > most {
        return None;
    }
    let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
    Some(network.is_ipv4() == ip.is_ipv4() && (bits(network) & mask) == (bits(ip) & mask))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets() {
        let check = |subnet: &str, ip: &str| holds(subnet, ip.parse().unwrap());
        assert_eq!(check("10.0.0.0/8", "10.1.2.3"), Some(true));
        assert_eq!(check("10.0.0.0/8", "11.1.2.3"), Some(false));
        assert_eq!(check("0.0.0.0/0", "11.1.2.3"), Some(true));
        assert_eq!(check("0.0.0.0/0", "::1"), Some(false));
        assert_eq!(check("fc00::/7", "fd12::1"), Some(true));
        assert_eq!(check("10.0.0.1/32", "10.0.0.1"), Some(true));
        for subnet in ["10.0.0.0", "10.0.0.0/33", "x/8", "10.0.0.0/x"] {
            assert_eq!(check(subnet, "10.0.0.1"), None, "{subnet}");
        }
    }
}
