//! What a container's `/etc/resolv.conf` and `/etc/hosts` should say. Pure, but for [`host_resolv_conf`].

use std::fmt::Write as _;
use std::net::IpAddr;

/// Where systemd-resolved keeps the real servers behind its own 127.0.0.53.
const RESOLVED_UPSTREAM: &str = "/run/systemd/resolve/resolv.conf";

/// The servers of last resort, for a host that has only a resolver of its own on its loopback. Docker takes
/// the same.
const FALLBACK: [&str; 2] = ["8.8.8.8", "8.8.4.4"];

/// What a container may say about names. Empty lists mean: as the host does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DnsSettings {
    pub servers: Vec<String>,
    pub search: Vec<String>,
}

/// The host's resolver settings that make sense outside of the host: those of systemd-resolved's upstream
/// where the host itself asks a resolver on its loopback. Empty when nothing can be read.
pub fn host_resolv_conf() -> String {
    let own = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    if reachable_servers(&own).next().is_some() {
        return own;
    }
    match std::fs::read_to_string(RESOLVED_UPSTREAM) {
        Ok(upstream) => upstream,
        Err(_) => own,
    }
}

/// A resolv.conf for a container that has a network namespace of its own.
///
/// A server on a loopback address would be the container itself, so such lines are left out; so are IPv6
/// servers, since our links have no IPv6. `search` and `options` of the host are kept.
pub fn resolv_conf(host: &str, settings: &DnsSettings) -> String {
    let mut text = String::new();
    let mut servers: Vec<&str> = settings.servers.iter().map(String::as_str).collect();
    if servers.is_empty() {
        servers = reachable_servers(host).collect();
    }
    if servers.is_empty() {
        servers = FALLBACK.to_vec();
    }
    for server in servers {
        writeln!(text, "nameserver {server}").expect("writing to a string");
    }
    if settings.search.is_empty() {
        keep(host, &["search", "domain"], &mut text);
    } else {
        writeln!(text, "search {}", settings.search.join(" ")).expect("writing to a string");
    }
    keep(host, &["options"], &mut text);
    text
}

/// A hosts file: the loopback, the container by its name where it has an address, and what else was asked.
pub fn hosts(hostname: &str, address: Option<IpAddr>, extra: &[(String, IpAddr)]) -> String {
    let mut text = String::from("127.0.0.1\tlocalhost\n");
    for (name, address) in extra {
        writeln!(text, "{address}\t{name}").expect("writing to a string");
    }
    // Without an address its name still has to lead somewhere, or programs that look themselves up fail.
    let own = address.unwrap_or(IpAddr::from([127, 0, 0, 1]));
    writeln!(text, "{own}\t{hostname}").expect("writing to a string");
    text
}

fn reachable_servers(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let server = words.next().filter(|word| *word == "nameserver").and(words.next())?;
        matches!(server.parse(), Ok(IpAddr::V4(ip)) if !ip.is_loopback() && !ip.is_unspecified()).then_some(server)
    })
}

fn keep(host: &str, keywords: &[&str], text: &mut String) {
    for line in host.lines().filter(|line| line.split_whitespace().next().is_some_and(|word| keywords.contains(&word)))
    {
        writeln!(text, "{}", line.trim()).expect("writing to a string");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(host: &str, settings: DnsSettings, expected: Expect) {
        expected.assert_eq(&resolv_conf(host, &settings));
    }

    #[test]
    fn the_hosts_servers_without_its_loopback() {
        check(
            "# made by hand\nnameserver 127.0.0.53\nnameserver 192.0.2.53\nnameserver fe80::1\nsearch example.org\noptions edns0 trust-ad\n",
            DnsSettings::default(),
            expect![[r#"
                nameserver 192.0.2.53
                search example.org
                options edns0 trust-ad
            "#]],
        );
    }

    #[test]
    fn a_host_that_asks_itself_or_nobody() {
        let public = "nameserver 8.8.8.8\nnameserver 8.8.4.4\n";
        for host in ["nameserver 127.0.0.53\nnameserver ::1\n", "nameserver\n\nnameserver x\n", ""] {
            assert_eq!(resolv_conf(host, &DnsSettings::default()), public, "{host}");
        }
    }

    #[test]
    fn the_containers_own_wishes_come_first() {
        let settings =
            DnsSettings { servers: vec!["10.0.0.2".to_owned()], search: vec!["a.b".to_owned(), "c".to_owned()] };
        check(
            "nameserver 192.0.2.53\nsearch example.org\n",
            settings,
            expect![[r#"
                nameserver 10.0.0.2
                search a.b c
            "#]],
        );
    }

    #[test]
    fn hosts_file() {
        let extra = [("db".to_owned(), IpAddr::from([10, 0, 0, 9]))];
        expect![[r#"
            127.0.0.1	localhost
            10.0.0.9	db
            172.29.0.2	web-1
        "#]]
        .assert_eq(&hosts("web-1", Some([172, 29, 0, 2].into()), &extra));
        assert!(hosts("web-1", None, &[]).ends_with("127.0.0.1\tweb-1\n"));
    }
}
