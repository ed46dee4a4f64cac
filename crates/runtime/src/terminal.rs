//! The master side of a pseudo-terminal: received from whoever made it in the container, read and written without waiting.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::UnixStream;

/// Columns and rows of a terminal whose owner has not said.
pub const SIZE_DEFAULT: (u16, u16) = (80, 24);

/// Room for the name that comes with a descriptor, which nobody reads.
const NAME_BYTES: usize = 4096;

#[derive(Clone)]
pub struct Terminal(Arc<AsyncFd<OwnedFd>>);

impl Terminal {
    /// Takes the one descriptor that the OCI runtime sends over its console socket.
    pub async fn receive(stream: &UnixStream) -> io::Result<Terminal> {
        let master = stream.async_io(Interest::READABLE, || receive_descriptor(stream)).await?;
        set_nonblocking(&master)?;
        // SAFETY: an owned descriptor is the same one, and open, for as long as it is owned.
        let master = unsafe { AsyncFd::register(master)? };
        Ok(Terminal(Arc::new(master)))
    }

    pub fn resize(&self, (columns, rows): (u16, u16)) -> io::Result<()> {
        let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the descriptor is open, and the size lives until the call returns.
        done(unsafe { libc::ioctl(self.0.as_raw_fd(), libc::TIOCSWINSZ, &size) })
    }

    /// Gives the other side to a user, or a program that opens it anew is refused.
    pub fn give(&self, uid: u32) -> io::Result<()> {
        // SAFETY: the descriptor is open, and the call takes flags.
        let peer = unsafe {
            libc::ioctl(self.0.as_raw_fd(), libc::TIOCGPTPEER, libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC)
        };
        done(peer)?;
        // SAFETY: the call has just opened it, for us alone.
        let peer = unsafe { OwnedFd::from_raw_fd(peer) };
        std::os::unix::fs::fchown(&peer, Some(uid), None)
    }
}

impl AsyncRead for Terminal {
    /// It ends when nobody has the other side open any more.
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(context))?;
            let room = buffer.initialize_unfilled();
            let read = guard.try_io(|fd| {
                // SAFETY: the room is ours to write, and as long as we say.
                let count = unsafe { libc::read(fd.as_raw_fd(), room.as_mut_ptr().cast(), room.len()) };
                usize::try_from(count).map_err(|_| io::Error::last_os_error())
            });
            match read {
                Ok(Ok(count)) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) if error.raw_os_error() == Some(libc::EIO) => return Poll::Ready(Ok(())),
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_) => {}
            }
        }
    }
}

impl AsyncWrite for Terminal {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.0.poll_write_ready(context))?;
            let written = guard.try_io(|fd| {
                // SAFETY: the bytes live until the call returns.
                let count = unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
                usize::try_from(count).map_err(|_| io::Error::last_os_error())
            });
            if let Ok(written) = written {
                return Poll::Ready(written);
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn set_nonblocking(fd: &OwnedFd) -> io::Result<()> {
    // SAFETY: the descriptor is open; both calls take and give numbers.
    unsafe {
        let flags = libc::fcntl(fd.as_raw_fd(), libc::F_GETFL);
        done(flags)?;
        done(libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK))
    }
}

fn done(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// One message with one descriptor.
fn receive_descriptor(stream: &UnixStream) -> io::Result<OwnedFd> {
    let mut name = [0u8; NAME_BYTES];
    let mut part = libc::iovec { iov_base: name.as_mut_ptr().cast(), iov_len: name.len() };
    // Of u64, because a control message begins where one may.
    let mut control = [0u64; 8];
    // SAFETY: a message header of zeroes is an empty one.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    // SAFETY: everything that the header points to lives until the call returns.
    let count = unsafe { libc::recvmsg(stream.as_raw_fd(), &mut message, libc::MSG_CMSG_CLOEXEC) };
    if count < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has filled in the header; the first control message lies within `control`, and one of this
    // type that is long enough for a descriptor holds one, which is ours from now on.
    unsafe {
        let first = libc::CMSG_FIRSTHDR(&message);
        let is_descriptor = !first.is_null()
            && (*first).cmsg_level == libc::SOL_SOCKET
            && (*first).cmsg_type == libc::SCM_RIGHTS
            && (*first).cmsg_len as usize >= libc::CMSG_LEN(size_of::<libc::c_int>() as u32) as usize;
        if !is_descriptor {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no terminal came over the console socket"));
        }
        Ok(OwnedFd::from_raw_fd(libc::CMSG_DATA(first).cast::<libc::c_int>().read_unaligned()))
    }
}
