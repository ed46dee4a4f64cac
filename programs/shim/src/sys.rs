//! The system calls that the standard library does not offer.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::time::{SystemTime, UNIX_EPOCH};

pub fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        value => Ok(value),
    }
}

/// Nanoseconds since the Unix epoch.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Leaves the agent's session, so that its terminal and its signals are not ours, and becomes the parent of every
/// orphan below us, so that containers come back to us when their runtime exits.
pub fn detach() -> io::Result<()> {
    // SAFETY: none of these calls touches memory. `setsid` fails when we already lead a session, which is as good.
    unsafe {
        libc::setsid();
        libc::umask(0o022);
        check(libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))?;
    }
    Ok(())
}

/// In a child: it is killed when the shim ends. Its own children are not.
pub fn die_with_parent() -> io::Result<()> {
    // SAFETY: no memory is involved.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }).map(drop)
}

/// Gives every signal its default action. What an agent's own parent made it ignore would reach the containers otherwise.
pub fn reset_signal_actions() {
    // The kernel's own structure: handler, flags, restorer, mask. All zero is the default action.
    let default = [0_u64; 4];
    // The C library keeps two of them to itself, so the kernel is asked directly. SIGPIPE stays ignored: we write to
    // sockets whose other end may be gone, and the standard library resets it in children.
    for signal in (1..=64).filter(|signal| *signal != libc::SIGPIPE) {
        // SAFETY: the structure is as long as the kernel's and lives until the call returns. SIGKILL and SIGSTOP are
        // refused, and have their default action anyway.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), std::ptr::null::<u64>(), 8) };
    }
}

/// Takes the signals that could end us or tell of a child out of delivery, and into a descriptor.
///
/// They are blocked and not ignored, because a runtime might pass an ignored signal on to its container. A child inherits
/// the mask as well, and calls [`unblock_signals`].
pub fn signals() -> io::Result<File> {
    // SAFETY: the set is initialised by sigemptyset before anything reads it, and the descriptor is new and ours.
    unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&mut set);
        for signal in [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1] {
            libc::sigaddset(&mut set, signal);
        }
        check(libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()))?;
        let fd = check(libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK))?;
        Ok(File::from(OwnedFd::from_raw_fd(fd)))
    }
}

/// In a child, before it executes another program.
pub fn unblock_signals() -> io::Result<()> {
    // SAFETY: the set is initialised by sigemptyset before it is read.
    unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&mut set);
        check(libc::sigprocmask(libc::SIG_SETMASK, &set, std::ptr::null_mut())).map(drop)
    }
}

/// Blocks all signals but those that tell of this program's own mistakes, and returns what was blocked.
pub fn all_signals() -> io::Result<libc::sigset_t> {
    // SAFETY: the set is initialised by sigfillset before anything reads it.
    unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigfillset(&mut set);
        for signal in
            [libc::SIGFPE, libc::SIGILL, libc::SIGSEGV, libc::SIGBUS, libc::SIGABRT, libc::SIGTRAP, libc::SIGSYS]
        {
            libc::sigdelset(&mut set, signal);
        }
        check(libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()))?;
        Ok(set)
    }
}

/// Waits for one of them.
pub fn next_signal(signals: &libc::sigset_t) -> i32 {
    loop {
        // SAFETY: the set was initialised, and no information about the sender is asked for.
        let signal = unsafe { libc::sigwaitinfo(signals, std::ptr::null_mut()) };
        if signal > 0 {
            return signal;
        }
    }
}

/// In a child: the leader of a group of its own, which has the terminal if there is one.
pub fn own_process_group() {
    // SAFETY: no memory is involved. Where there is no terminal the second call fails, and nothing is missed.
    unsafe {
        libc::setpgid(0, 0);
        let before = libc::signal(libc::SIGTTOU, libc::SIG_IGN);
        libc::tcsetpgrp(0, libc::getpid());
        libc::signal(libc::SIGTTOU, before);
    }
}

/// Forgets the signals that are waiting; the children say themselves what happened.
pub fn clear(mut signals: &File) {
    let mut buffer = [0; size_of::<libc::signalfd_siginfo>() * 4];
    while signals.read(&mut buffer).is_ok_and(|read| read == buffer.len()) {}
}

/// A child that has ended and its wait status, if there is one.
pub fn reap() -> Option<(i32, i32)> {
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
    (pid > 0).then_some((pid, status))
}

/// Sends a signal to a child that has not been reaped, so its id cannot have become another process's.
pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: no memory is involved.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

pub fn poll(fds: &mut [libc::pollfd], timeout_ms: i32) -> io::Result<()> {
    let count = libc::nfds_t::try_from(fds.len()).unwrap_or(0);
    // SAFETY: the pointer and the length are of one slice.
    match check(unsafe { libc::poll(fds.as_mut_ptr(), count, timeout_ms) }) {
        Err(err) if err.kind() != io::ErrorKind::Interrupted => Err(err),
        _ => Ok(()),
    }
}

pub fn set_nonblocking(fd: RawFd) -> io::Result<()> {
    // SAFETY: the flags are plain integers.
    unsafe {
        let flags = check(libc::fcntl(fd, libc::F_GETFL))?;
        check(libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK))?;
    }
    Ok(())
}

/// The lock says that a shim lives in this directory; it goes when the process goes, however it goes.
pub fn lock(file: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open while `file` is borrowed.
    check(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }).map(drop)
}

/// The first descriptor that comes with the next message of a connection.
pub fn receive_descriptor(socket: RawFd) -> io::Result<OwnedFd> {
    let mut byte = [0_u8; 64];
    let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: byte.len() };
    // Room for one descriptor, aligned as the kernel wants its headers.
    let mut room = [0_u64; 8];
    // SAFETY: the message is plain data, and all it points to lives until the call returns. The control message is read
    // through the C library's own macros, within the length that the kernel set; the descriptor in it is new and ours.
    unsafe {
        let mut message = std::mem::zeroed::<libc::msghdr>();
        message.msg_iov = &mut part;
        message.msg_iovlen = 1;
        message.msg_control = room.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&room) as _;
        if libc::recvmsg(socket, &mut message, libc::MSG_CMSG_CLOEXEC) < 0 {
            return Err(io::Error::last_os_error());
        }
        let header = libc::CMSG_FIRSTHDR(&message);
        if header.is_null() || (*header).cmsg_level != libc::SOL_SOCKET || (*header).cmsg_type != libc::SCM_RIGHTS {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no descriptor came"));
        }
        Ok(OwnedFd::from_raw_fd(libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned()))
    }
}

/// Puts `/dev/null` at standard input and output, and returns what standard input was if it was a socket.
pub fn take_stdin_socket() -> io::Result<Option<OwnedFd>> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    // SAFETY: `stat` is plain data that fstat fills; descriptors 0 and 1 belong to this process, and nothing else here
    // holds them; the duplicate is new and ours.
    unsafe {
        let mut stat = std::mem::zeroed::<libc::stat>();
        let socket = libc::fstat(0, &mut stat) == 0 && stat.st_mode & libc::S_IFMT == libc::S_IFSOCK;
        let taken = match socket {
            true => Some(OwnedFd::from_raw_fd(check(libc::fcntl(0, libc::F_DUPFD_CLOEXEC, 3))?)),
            false => None,
        };
        check(libc::dup2(null.as_raw_fd(), 0))?;
        check(libc::dup2(null.as_raw_fd(), 1))?;
        Ok(taken)
    }
}

/// A mount namespace of our own, from which nothing we mount reaches the machine.
pub fn unshare_mounts() -> io::Result<()> {
    // SAFETY: the strings are static and terminated.
    unsafe {
        check(libc::unshare(libc::CLONE_NEWNS))?;
        let flags = libc::MS_REC | libc::MS_SLAVE;
        check(libc::mount(c"none".as_ptr(), c"/".as_ptr(), std::ptr::null(), flags, std::ptr::null()))?;
    }
    Ok(())
}

pub fn bind(from: &CStr, to: &CStr) -> io::Result<()> {
    let null = std::ptr::null();
    // SAFETY: both strings are terminated and live until the call returns.
    check(unsafe { libc::mount(from.as_ptr(), to.as_ptr(), null, libc::MS_BIND, null.cast()) }).map(drop)
}

/// Takes a mount with everything below it out of the present mount namespace.
pub fn detach_mount(target: &CStr) -> io::Result<()> {
    // SAFETY: the string is terminated and lives until the call returns.
    check(unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW) }).map(drop)
}

pub fn mount(kind: &CStr, target: &CStr, data: &CStr) -> io::Result<()> {
    // SAFETY: all three strings are terminated and live until the call returns.
    check(unsafe { libc::mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), 0, data.as_ptr().cast()) }).map(drop)
}

/// Removes a directory that is empty, if it is there.
pub fn remove_dir(path: &CStr) {
    // SAFETY: the string is terminated and lives until the call returns.
    unsafe { libc::rmdir(path.as_ptr()) };
}
