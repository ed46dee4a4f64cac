//! A container's terminal: the OCI runtime makes it inside of the container, and hands us the end that we read and write.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sys;

/// Several starts can be under way at once, also of an agent that is gone.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Waits for the runtime to say which terminal it is. In the task's directory, which is this process's own.
pub struct Console {
    listener: UnixListener,
    name: String,
}

impl Console {
    pub fn listen() -> io::Result<Console> {
        let name = format!("console-{}.sock", NEXT.fetch_add(1, Ordering::Relaxed));
        match std::fs::remove_file(&name) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
            _ => {}
        }
        let listener = UnixListener::bind(&name)?;
        // The runtime has ended when it is asked, and a connection that is not there never comes.
        listener.set_nonblocking(true)?;
        Ok(Console { listener, name })
    }

    /// For the runtime. By way of this process, because the address of a socket must be short.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/cwd/{}", std::process::id(), self.name))
    }

    /// The terminal, once the runtime has done its work.
    pub fn take(self) -> io::Result<File> {
        let (connection, _) = self.listener.accept()?;
        sys::receive_descriptor(connection.as_raw_fd()).map(File::from)
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.name);
    }
}
