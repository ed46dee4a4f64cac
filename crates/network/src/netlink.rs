//! A small blocking rtnetlink client: several requests in one message, each answered in turn.
//!
//! It is blocking on purpose. A container's interfaces are made by a short-lived thread that sits in the new
//! namespace; an event loop there would cost more than the requests do.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind,
    InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use crate::error::NetworkError;
use crate::plan::{Mac, VethPlan};

const LOOPBACK_INDEX: u32 = 1;
pub(crate) const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NETLINK_HEADER_LEN: usize = 16;

/// One thing to ask the kernel for, with words for the case that it says no.
pub(crate) struct Request {
    what: String,
    message: RouteNetlinkMessage,
    flags: u16,
    /// An error number that is as good as success.
    tolerate: &'static [i32],
}

pub(crate) struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    /// A socket in the calling thread's network namespace, where it stays.
    pub fn open() -> Result<Self, NetworkError> {
        let socket = Socket::new(NETLINK_ROUTE).map_err(NetworkError::system("open a netlink socket"))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Sends all requests in one message and waits for all answers. The kernel goes on after a refused
    /// request; the first refusal is the one reported, since the later ones mostly follow from it.
    pub fn batch(&mut self, requests: Vec<Request>) -> Result<(), NetworkError> {
        if requests.is_empty() {
            return Ok(());
        }
        let first = self.sequence + 1;
        let mut bytes = Vec::with_capacity(1024);
        for request in &requests {
            self.append(&mut bytes, request.message.clone(), request.flags | NLM_F_REQUEST | NLM_F_ACK);
        }
        self.send(&bytes)?;

        let mut refused: Option<NetworkError> = None;
        let mut outstanding = requests.len();
        while outstanding > 0 {
            let answers = self.receive()?;
            for (kind, sequence, body) in messages(&answers) {
                let Some(request) = sequence.checked_sub(first).and_then(|at| requests.get(at as usize)) else {
                    continue;
                };
                if kind != NLMSG_ERROR {
                    continue;
                }
                outstanding -= 1;
                let code = error_code(body);
                if code != 0 && !request.tolerate.contains(&code) && refused.is_none() {
                    refused = Some(NetworkError::netlink(&request.what, io::Error::from_raw_os_error(code)));
                }
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Everything the kernel lists for a `Get` message. Records that cannot be decoded are left out: newer
    /// kernels add attributes that the decoder does not know, and none of them concerns us.
    fn dump(&mut self, what: &str, message: RouteNetlinkMessage) -> Result<Vec<RouteNetlinkMessage>, NetworkError> {
        let mut bytes = Vec::new();
        self.append(&mut bytes, message, NLM_F_REQUEST | NLM_F_DUMP);
        self.send(&bytes)?;
        let mut found = Vec::new();
        loop {
            let answers = self.receive()?;
            for (kind, sequence, body) in messages(&answers) {
                match kind {
                    _ if sequence != self.sequence => {}
                    NLMSG_DONE => return Ok(found),
                    NLMSG_ERROR => {
                        return Err(NetworkError::netlink(what, io::Error::from_raw_os_error(error_code(body))));
                    }
                    _ => found.extend(decode(kind, body)),
                }
            }
        }
    }

    fn append(&mut self, bytes: &mut Vec<u8>, message: RouteNetlinkMessage, flags: u16) {
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        header.sequence_number = self.sequence;
        header.flags = flags;
        let mut packet = NetlinkMessage::new(header, NetlinkPayload::from(message));
        packet.finalize();
        let start = bytes.len();
        bytes.resize(start + packet.buffer_len(), 0);
        packet.serialize(&mut bytes[start..]);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }

    fn send(&self, bytes: &[u8]) -> Result<(), NetworkError> {
        let kernel = SocketAddr::new(0, 0);
        self.socket.send_to(bytes, &kernel, 0).map_err(NetworkError::system("send a netlink request"))?;
        Ok(())
    }

    fn receive(&self) -> Result<Vec<u8>, NetworkError> {
        let (bytes, _) = self.socket.recv_from_full().map_err(NetworkError::system("receive a netlink answer"))?;
        Ok(bytes)
    }
}

/// The requests that we make.
impl Netlink {
    /// A veth pair with its far end born inside the namespace, so that no name of it ever shows on the host.
    pub fn veth(veth: &VethPlan, bridge_index: u32, namespace: BorrowedFd<'_>) -> Vec<Request> {
        let mut peer = LinkMessage::default();
        peer.attributes = vec![
            LinkAttribute::IfName(veth.inside.clone()),
            LinkAttribute::Address(veth.mac.0.to_vec()),
            LinkAttribute::Mtu(veth.mtu),
            LinkAttribute::NetNsFd(namespace.as_raw_fd()),
        ];
        let mut pair = LinkMessage::default();
        pair.attributes = vec![
            LinkAttribute::IfName(veth.host.clone()),
            LinkAttribute::Mtu(veth.mtu),
            LinkAttribute::Controller(bridge_index),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Veth),
                LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
            ]),
        ];
        let mut up = by_name(&veth.host);
        up.header.flags = LinkFlags::Up;
        up.header.change_mask = LinkFlags::Up;
        // With br_netfilter a published port is translated on the bridge itself, and a container that calls
        // its own one then needs its frame back by the port that it came from.
        up.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::PortKind(InfoPortKind::Bridge),
            LinkInfo::PortData(InfoPortData::BridgePort(vec![InfoBridgePort::HairpinMode(true)])),
        ]));
        vec![
            Request {
                what: format!("create veth pair {} on bridge {}", veth.host, veth.bridge),
                message: RouteNetlinkMessage::NewLink(pair),
                flags: NLM_F_CREATE | NLM_F_EXCL,
                tolerate: &[],
            },
            Self::no_ipv6(&veth.host),
            Request {
                what: format!("set {} up", veth.host),
                // Not SetLink, which passes over what belongs to a bridge's port.
                message: RouteNetlinkMessage::NewLink(up),
                flags: 0,
                tolerate: &[],
            },
        ]
    }

    /// Keeps the kernel from giving an interface an IPv6 address of its own. Of no consequence where it
    /// fails: then there is no IPv6.
    fn no_ipv6(name: &str) -> Request {
        let mut quiet = by_name(name);
        quiet.attributes.push(LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(
            In6AddrGenMode::None,
        )])]));
        Request {
            what: format!("turn IPv6 addresses off on {name}"),
            message: RouteNetlinkMessage::SetLink(quiet),
            flags: 0,
            tolerate: &[libc::EAFNOSUPPORT, libc::EOPNOTSUPP, libc::EINVAL],
        }
    }

    /// Creates a bridge unless there is an interface of that name.
    pub fn add_bridge(name: &str, mac: Mac, mtu: u32) -> Vec<Request> {
        let mut bridge = LinkMessage::default();
        bridge.attributes = vec![
            LinkAttribute::IfName(name.to_owned()),
            // A bridge without an address of its own takes its lowest port's, and changes it as ports come and go.
            LinkAttribute::Address(mac.0.to_vec()),
            LinkAttribute::Mtu(mtu),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]),
        ];
        vec![
            Request {
                what: format!("create bridge {name}"),
                message: RouteNetlinkMessage::NewLink(bridge),
                flags: NLM_F_CREATE | NLM_F_EXCL,
                tolerate: &[libc::EEXIST],
            },
            Self::no_ipv6(name),
        ]
    }

    pub fn loopback_up() -> Request {
        Self::link_up(LOOPBACK_INDEX, "lo")
    }

    pub fn link_up(index: u32, name: &str) -> Request {
        let mut link = LinkMessage::default();
        link.header.index = index;
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        Request { what: format!("set {name} up"), message: RouteNetlinkMessage::SetLink(link), flags: 0, tolerate: &[] }
    }

    pub fn add_address(index: u32, address: Ipv4Addr, prefix: u8, broadcast: Ipv4Addr) -> Request {
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.prefix_len = prefix;
        message.header.index = index;
        message.attributes = vec![
            AddressAttribute::Local(address.into()),
            AddressAttribute::Address(address.into()),
            AddressAttribute::Broadcast(broadcast),
        ];
        Request {
            what: format!("add address {address}/{prefix}"),
            message: RouteNetlinkMessage::NewAddress(message),
            flags: NLM_F_CREATE | NLM_F_EXCL,
            tolerate: &[libc::EEXIST],
        }
    }

    pub fn add_default_route(index: u32, gateway: Ipv4Addr) -> Request {
        let mut route = RouteMessage::default();
        route.header.address_family = AddressFamily::Inet;
        route.header.table = RouteHeader::RT_TABLE_MAIN;
        route.header.protocol = RouteProtocol::Boot;
        route.header.scope = RouteScope::Universe;
        route.header.kind = RouteType::Unicast;
        route.attributes = vec![RouteAttribute::Gateway(RouteAddress::Inet(gateway)), RouteAttribute::Oif(index)];
        Request {
            what: format!("add default route via {gateway}"),
            message: RouteNetlinkMessage::NewRoute(route),
            flags: NLM_F_CREATE | NLM_F_EXCL,
            tolerate: &[libc::EEXIST],
        }
    }

    /// Deletes interfaces; it is fine when there are none.
    pub fn delete_links<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) -> Result<(), NetworkError> {
        let delete = |name: &str| Request {
            what: format!("delete interface {name}"),
            message: RouteNetlinkMessage::DelLink(by_name(name)),
            flags: 0,
            tolerate: &[libc::ENODEV],
        };
        self.batch(names.into_iter().map(delete).collect())
    }

    /// The names of all interfaces.
    pub fn links(&mut self) -> Result<Vec<String>, NetworkError> {
        let listed = self.dump("list interfaces", RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
        let name = |attribute: LinkAttribute| match attribute {
            LinkAttribute::IfName(name) => Some(name),
            _ => None,
        };
        Ok(listed
            .into_iter()
            .filter_map(|message| match message {
                RouteNetlinkMessage::NewLink(link) => link.attributes.into_iter().find_map(name),
                _ => None,
            })
            .collect())
    }

    /// The IPv4 addresses of an interface, with their prefix lengths.
    pub fn addresses(&mut self, index: u32) -> Result<Vec<(Ipv4Addr, u8)>, NetworkError> {
        let mut query = AddressMessage::default();
        query.header.family = AddressFamily::Inet;
        let listed = self.dump("list addresses", RouteNetlinkMessage::GetAddress(query))?;
        let local = |message: &AddressMessage| {
            message.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Local(std::net::IpAddr::V4(ip)) => Some(*ip),
                _ => None,
            })
        };
        Ok(listed
            .iter()
            .filter_map(|message| match message {
                RouteNetlinkMessage::NewAddress(a) if a.header.index == index => {
                    local(a).map(|ip| (ip, a.header.prefix_len))
                }
                _ => None,
            })
            .collect())
    }

    /// The largest packet, in bytes, that an interface takes.
    pub fn mtu(&mut self, index: u32) -> Result<Option<u32>, NetworkError> {
        let listed = self.dump("list interfaces", RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
        let mtu = |message: &LinkMessage| {
            message.attributes.iter().find_map(|attribute| match attribute {
                LinkAttribute::Mtu(bytes) => Some(*bytes),
                _ => None,
            })
        };
        Ok(listed.iter().find_map(|message| match message {
            RouteNetlinkMessage::NewLink(link) if link.header.index == index => mtu(link),
            _ => None,
        }))
    }

    /// The host's IPv4 routes of the main table.
    pub fn routes(&mut self) -> Result<Vec<Route>, NetworkError> {
        let mut query = RouteMessage::default();
        query.header.address_family = AddressFamily::Inet;
        let listed = self.dump("list routes", RouteNetlinkMessage::GetRoute(query))?;
        Ok(listed
            .iter()
            .filter_map(|message| match message {
                RouteNetlinkMessage::NewRoute(r) if r.header.table == RouteHeader::RT_TABLE_MAIN => Some(route(r)),
                _ => None,
            })
            .collect())
    }
}

/// A route as far as it matters here: where to, and by which interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route {
    pub to: Ipv4Addr,
    pub prefix: u8,
    pub interface: Option<u32>,
}

fn route(message: &RouteMessage) -> Route {
    let mut found =
        Route { to: Ipv4Addr::UNSPECIFIED, prefix: message.header.destination_prefix_length, interface: None };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(ip)) => found.to = *ip,
            RouteAttribute::Oif(index) => found.interface = Some(*index),
            _ => {}
        }
    }
    found
}

fn by_name(name: &str) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.attributes = vec![LinkAttribute::IfName(name.to_owned())];
    link
}

/// The index of an interface in the calling thread's namespace.
pub(crate) fn link_index(name: &str) -> Option<u32> {
    let name = std::ffi::CString::new(name).ok()?;
    // SAFETY: the pointer is to a string with a final NUL that lives across the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => None,
        index => Some(index),
    }
}

/// The messages in a datagram: kind, sequence number, body. A broken length ends the walk.
pub(crate) fn messages(bytes: &[u8]) -> impl Iterator<Item = (u16, u32, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let header = rest.get(..NETLINK_HEADER_LEN)?;
        let length = u32::from_ne_bytes(header[0..4].try_into().ok()?) as usize;
        let kind = u16::from_ne_bytes(header[4..6].try_into().ok()?);
        let sequence = u32::from_ne_bytes(header[8..12].try_into().ok()?);
        let body = rest.get(NETLINK_HEADER_LEN..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, sequence, body))
    })
}

/// The positive error number of an acknowledgement; 0 is success.
pub(crate) fn error_code(body: &[u8]) -> i32 {
    body.get(..4).and_then(|code| code.try_into().ok()).map_or(libc::EBADMSG, |code| -i32::from_ne_bytes(code))
}

fn decode(kind: u16, body: &[u8]) -> Option<RouteNetlinkMessage> {
    let mut header = NetlinkHeader::default();
    header.message_type = kind;
    header.length = (NETLINK_HEADER_LEN + body.len()) as u32;
    <RouteNetlinkMessage as netlink_packet_core::NetlinkDeserializable>::deserialize(&header, body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_a_datagram_and_stops_at_nonsense() {
        let mut bytes = Vec::new();
        for sequence in 1..=2u32 {
            bytes.extend(20u32.to_ne_bytes());
            bytes.extend(NLMSG_ERROR.to_ne_bytes());
            bytes.extend(0u16.to_ne_bytes());
            bytes.extend(sequence.to_ne_bytes());
            bytes.extend(0u32.to_ne_bytes());
            bytes.extend((-17i32).to_ne_bytes());
        }
        let seen: Vec<_> = messages(&bytes).map(|(kind, sequence, body)| (kind, sequence, error_code(body))).collect();
        assert_eq!(seen, [(NLMSG_ERROR, 1, 17), (NLMSG_ERROR, 2, 17)]);
        assert_eq!(messages(&bytes[..30]).count(), 1, "the second is cut short");
        assert_eq!(messages(&[0; 16]).count(), 0, "a length of zero must not loop");
        assert_eq!(error_code(&[]), libc::EBADMSG);
    }
}
