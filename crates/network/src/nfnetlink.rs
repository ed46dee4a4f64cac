//! The few nf_tables messages that we speak ourselves: map elements in and out, and two questions.
//!
//! Starting the `nft` program costs about three milliseconds, which is as much as everything else that a
//! container's network needs. So the program makes the table once, and elements travel by these messages.
//! The numbers are from `linux/netfilter/nfnetlink.h` and `nf_tables.h`; they are the kernel's ABI.

use std::io;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};

use crate::error::NetworkError;
use crate::netlink::{NLMSG_ERROR, error_code, messages};
use crate::plan::{HostPort, PortChange, Protocol, Target};

const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
const NFNL_MSG_BATCH_END: u16 = 0x11;
const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFT_MSG_GETTABLE: u16 = 1;
const NFT_MSG_NEWSETELEM: u16 = 12;
const NFT_MSG_DELSETELEM: u16 = 14;
const NFT_MSG_GETGEN: u16 = 16;

const NFTA_TABLE_NAME: u16 = 1;
const NFTA_SET_ELEM_LIST_TABLE: u16 = 1;
const NFTA_SET_ELEM_LIST_SET: u16 = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
const NFTA_LIST_ELEM: u16 = 1;
const NFTA_SET_ELEM_KEY: u16 = 1;
const NFTA_SET_ELEM_DATA: u16 = 2;
const NFTA_DATA_VALUE: u16 = 1;
const NFTA_GEN_ID: u16 = 1;
const NLA_F_NESTED: u16 = 0x8000;

const FAMILY_UNSPEC: u8 = 0;
const FAMILY_IPV4: u8 = 2;
const FLAG_REQUEST: u16 = 1;
const FLAG_ACK: u16 = 4;
const FLAG_CREATE: u16 = 0x400;

/// Elements in one message. An attribute is at most 64 KiB long and an element takes 36 bytes.
const ELEMENTS_PER_MESSAGE: usize = 1000;

/// A netfilter socket in the namespace of the thread that opened it.
pub(crate) struct NfTables {
    socket: Socket,
    sequence: u32,
}

impl NfTables {
    pub fn open() -> Result<Self, NetworkError> {
        let socket = Socket::new(NETLINK_NETFILTER).map_err(without_nf_tables)?;
        // Else each refusal would carry the whole refused message back.
        socket.set_cap_ack(true).map_err(NetworkError::system("set up a netfilter socket"))?;
        // The kernel answers before `send` returns, so what cannot be read then will never come.
        socket.set_non_blocking(true).map_err(NetworkError::system("set up a netfilter socket"))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// The number of the ruleset's present state. It changes with every transaction, whoever made it.
    pub fn generation(&mut self) -> Result<u32, NetworkError> {
        let mut buffer = Buffer::default();
        self.message(&mut buffer, subsystem(NFT_MSG_GETGEN), FLAG_REQUEST, FAMILY_UNSPEC, 0, |_| {});
        self.send(&buffer)?;
        let answer = self.answers()?;
        let (_, _, body) = answer.iter().find(|(kind, ..)| *kind != NLMSG_ERROR).ok_or_else(|| {
            let code = answer.first().map_or(libc::EINVAL, |(_, _, body)| error_code(body));
            without_nf_tables(io::Error::from_raw_os_error(code))
        })?;
        // The family header, then one attribute: length, kind and a number in network order.
        let kind = body.get(6..8).map(|kind| u16::from_ne_bytes([kind[0], kind[1]]));
        match (kind, body.get(8..12)) {
            (Some(NFTA_GEN_ID), Some(id)) => Ok(u32::from_be_bytes([id[0], id[1], id[2], id[3]])),
            _ => Err(without_nf_tables(io::Error::from_raw_os_error(libc::EBADMSG))),
        }
    }

    pub fn has_table(&mut self, table: &str) -> Result<bool, NetworkError> {
        let mut buffer = Buffer::default();
        self.message(&mut buffer, subsystem(NFT_MSG_GETTABLE), FLAG_REQUEST, FAMILY_IPV4, 0, |buffer| {
            buffer.text(NFTA_TABLE_NAME, table);
        });
        self.send(&buffer)?;
        match self.answers()?.first() {
            Some((NLMSG_ERROR, _, body)) => match error_code(body) {
                libc::ENOENT => Ok(false),
                code => Err(NetworkError::netlink("look for our table", io::Error::from_raw_os_error(code))),
            },
            answer => Ok(answer.is_some()),
        }
    }

    /// One transaction: all of the change, or an error and nothing of it.
    pub fn apply(&mut self, table: &str, map: &str, change: &PortChange) -> Result<(), NetworkError> {
        let mut buffer = Buffer::default();
        let mut expected = 0;
        let begin = self.batch_mark(&mut buffer, NFNL_MSG_BATCH_BEGIN);
        for ports in change.remove.chunks(ELEMENTS_PER_MESSAGE) {
            let elements: Vec<_> = ports.iter().map(|port| (*port, None)).collect();
            self.elements(&mut buffer, NFT_MSG_DELSETELEM, 0, (table, map), &elements);
            expected += 1;
        }
        for ports in change.add.chunks(ELEMENTS_PER_MESSAGE) {
            let elements: Vec<_> = ports.iter().map(|(port, target)| (*port, Some(*target))).collect();
            self.elements(&mut buffer, NFT_MSG_NEWSETELEM, FLAG_CREATE, (table, map), &elements);
            expected += 1;
        }
        self.batch_mark(&mut buffer, NFNL_MSG_BATCH_END);
        if expected == 0 {
            return Ok(());
        }
        self.send(&buffer)?;

        let what = "change the port map";
        let mut acknowledged = 0;
        for (kind, sequence, body) in self.answers()? {
            if kind != NLMSG_ERROR || sequence < begin {
                continue;
            }
            match error_code(&body) {
                0 => acknowledged += 1,
                code => return Err(NetworkError::netlink(what, io::Error::from_raw_os_error(code))),
            }
        }
        if acknowledged == expected {
            return Ok(());
        }
        Err(NetworkError::netlink(what, io::Error::other("the kernel did not answer every message")))
    }

    fn batch_mark(&mut self, buffer: &mut Buffer, kind: u16) -> u32 {
        self.message(buffer, kind, FLAG_REQUEST, FAMILY_UNSPEC, NFNL_SUBSYS_NFTABLES, |_| {});
        self.sequence
    }

    fn elements(
        &mut self,
        buffer: &mut Buffer,
        kind: u16,
        flags: u16,
        (table, map): (&str, &str),
        elements: &[(HostPort, Option<Target>)],
    ) {
        self.message(buffer, subsystem(kind), FLAG_REQUEST | FLAG_ACK | flags, FAMILY_IPV4, 0, |buffer| {
            buffer.text(NFTA_SET_ELEM_LIST_TABLE, table);
            buffer.text(NFTA_SET_ELEM_LIST_SET, map);
            buffer.nest(NFTA_SET_ELEM_LIST_ELEMENTS, |buffer| {
                for (port, target) in elements {
                    buffer.nest(NFTA_LIST_ELEM, |buffer| {
                        buffer.nest(NFTA_SET_ELEM_KEY, |b| b.attribute(NFTA_DATA_VALUE, &key(*port)));
                        if let Some(target) = target {
                            buffer.nest(NFTA_SET_ELEM_DATA, |b| b.attribute(NFTA_DATA_VALUE, &value(*target)));
                        }
                    });
                }
            });
        });
    }

    fn message(
        &mut self,
        buffer: &mut Buffer,
        kind: u16,
        flags: u16,
        family: u8,
        resource: u16,
        body: impl FnOnce(&mut Buffer),
    ) {
        self.sequence += 1;
        let start = buffer.0.len();
        buffer.0.extend([0; 4]);
        buffer.0.extend(kind.to_ne_bytes());
        buffer.0.extend(flags.to_ne_bytes());
        buffer.0.extend(self.sequence.to_ne_bytes());
        buffer.0.extend([0; 4]);
        buffer.0.extend([family, 0]);
        buffer.0.extend(resource.to_be_bytes());
        body(buffer);
        let length = (buffer.0.len() - start) as u32;
        buffer.0[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    }

    fn send(&self, buffer: &Buffer) -> Result<(), NetworkError> {
        let kernel = SocketAddr::new(0, 0);
        self.socket.send_to(&buffer.0, &kernel, 0).map_err(NetworkError::system("send a netfilter request"))?;
        Ok(())
    }

    /// Everything that the kernel has to say by now.
    fn answers(&self) -> Result<Vec<(u16, u32, Vec<u8>)>, NetworkError> {
        let mut found = Vec::new();
        loop {
            match self.socket.recv_from_full() {
                Ok((bytes, _)) => {
                    found.extend(messages(&bytes).map(|(kind, sequence, body)| (kind, sequence, body.to_vec())));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(found),
                Err(error) => return Err(NetworkError::system("receive a netfilter answer")(error)),
            }
        }
    }
}

fn subsystem(kind: u16) -> u16 {
    NFNL_SUBSYS_NFTABLES << 8 | kind
}

fn without_nf_tables(source: io::Error) -> NetworkError {
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            NetworkError::NotPermitted { what: "reading the nftables ruleset".to_owned(), source }
        }
        _ => NetworkError::Unsupported {
            feature: "nf_tables",
            hint: "load it with `modprobe nf_tables nft_nat nft_masq nft_fib_ipv4`, or enable CONFIG_NF_TABLES",
            source,
        },
    }
}

/// `inet_proto . inet_service`: each part fills up to four bytes.
fn key(port: HostPort) -> [u8; 8] {
    let protocol = match port.protocol {
        Protocol::Tcp => libc::IPPROTO_TCP as u8,
        Protocol::Udp => libc::IPPROTO_UDP as u8,
    };
    let [high, low] = port.port.to_be_bytes();
    [protocol, 0, 0, 0, high, low, 0, 0]
}

/// `ipv4_addr . inet_service`.
fn value(target: Target) -> [u8; 8] {
    let [a, b, c, d] = target.ip.octets();
    let [high, low] = target.port.to_be_bytes();
    [a, b, c, d, high, low, 0, 0]
}

#[derive(Default)]
struct Buffer(Vec<u8>);

impl Buffer {
    fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.0.extend(((4 + value.len()) as u16).to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn text(&mut self, kind: u16, value: &str) {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(kind, &bytes);
    }

    fn nest(&mut self, kind: u16, inner: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.attribute(NLA_F_NESTED | kind, &[]);
        inner(self);
        let length = (self.0.len() - start) as u16;
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_are_in_network_order() {
        assert_eq!(key(HostPort { protocol: Protocol::Udp, port: 0x1234 }), [17, 0, 0, 0, 0x12, 0x34, 0, 0]);
        assert_eq!(value(Target { ip: [10, 1, 2, 3].into(), port: 80 }), [10, 1, 2, 3, 0, 80, 0, 0]);
    }

    #[test]
    fn attributes_are_padded_and_nests_know_their_length() {
        let mut buffer = Buffer::default();
        buffer.nest(3, |buffer| buffer.text(1, "ab"));
        assert_eq!(buffer.0, [12, 0, 3, 0x80, 7, 0, 1, 0, b'a', b'b', 0, 0]);
    }
}
