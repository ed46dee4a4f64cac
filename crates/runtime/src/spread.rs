//! Where ext4 puts the directories of tasks.
//!
//! It puts a new directory near its parent, and does not use the inode of a file again that was removed in the last
//! minutes. Where tasks come and go, it so has to look past thousands of those for each file it makes: a third of the time
//! of a launch. Directories below one that is marked as the top of unrelated trees are spread over the whole disk instead.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;

// From linux/fs.h: what `chattr +T` sets.
const FS_TOPDIR_FL: libc::c_long = 0x0002_0000;

/// Marks a directory, where the file system knows such a mark.
pub fn over_the_disk(dir: &Path) -> io::Result<()> {
    let file = File::open(dir)?;
    let mut flags: libc::c_long = 0;
    // SAFETY: the descriptor is open, and both calls take a pointer to a number that outlives them.
    unsafe {
        if libc::ioctl(file.as_raw_fd(), libc::FS_IOC_GETFLAGS, &mut flags) != 0 {
            return Err(io::Error::last_os_error());
        }
        flags |= FS_TOPDIR_FL;
        match libc::ioctl(file.as_raw_fd(), libc::FS_IOC_SETFLAGS, &flags) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
