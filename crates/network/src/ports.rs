//! Host ports against the other processes of the host: is it free, and may it stay ours.
//!
//! Packets for a mapped port are redirected before the host's sockets see them. A process that listened there
//! would simply never be called, so we bind the port ourselves and the process is told "address in use".

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};

use socket2::{Domain, Socket, Type};

use crate::plan::{HostPort, Protocol};

/// A socket bound to a host port; closing it gives the port back to the host. Nothing is ever read from it.
#[derive(Debug)]
pub(crate) struct PortHold {
    _socket: Socket,
}

/// Takes a dynamic port for us alone, or says that somebody has it.
///
/// Without `SO_REUSEADDR`, so that later servers are refused even when they set it. A port with connections
/// that linger in TIME-WAIT is refused too; there are others.
pub(crate) fn hold_dynamic(port: HostPort) -> io::Result<PortHold> {
    bind(port, false)
}

/// Takes a static port. Lingering connections of an earlier server do not count against it; a server that
/// listens does.
pub(crate) fn hold_static(port: HostPort) -> io::Result<PortHold> {
    match bind(port, false) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && port.protocol == Protocol::Tcp => {
            // The standard library sets SO_REUSEADDR and listens: that fails only where someone else listens.
            TcpListener::bind(address(port))?;
            bind(port, true)
        }
        answer => answer,
    }
}

fn bind(port: HostPort, reuse: bool) -> io::Result<PortHold> {
    let kind = match port.protocol {
        Protocol::Tcp => Type::STREAM,
        Protocol::Udp => Type::DGRAM,
    };
    let socket = Socket::new(Domain::IPV4, kind, None)?;
    socket.set_reuse_address(reuse)?;
    socket.bind(&address(port).into())?;
    Ok(PortHold { _socket: socket })
}

fn address(port: HostPort) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port.port)
}
