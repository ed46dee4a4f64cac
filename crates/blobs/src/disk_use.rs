//! How full a disk is.

use std::io;
use std::path::Path;

/// The room of a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskUse {
    pub used: u64,
    /// What is used and what may still be used; what only root may fill does not count.
    pub total: u64,
}

impl DiskUse {
    /// The file system that has `path`.
    pub fn of(path: &Path) -> io::Result<DiskUse> {
        let found = rustix::fs::statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        let used = bytes(found.f_blocks.saturating_sub(found.f_bfree));
        Ok(DiskUse { used, total: used.saturating_add(bytes(found.f_bavail)) })
    }

    /// From 0 to 100, as `df` has it.
    pub fn percent(&self) -> u64 {
        match self.total {
            0 => 0,
            total => u64::try_from(u128::from(self.used) * 100 / u128::from(total)).unwrap_or(100),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_as_full_as_it_is() {
        let percent = |used, total| DiskUse { used, total }.percent();
        assert_eq!([percent(0, 0), percent(0, 10), percent(85, 100), percent(u64::MAX, u64::MAX)], [0, 0, 85, 100]);
        let here = DiskUse::of(Path::new("/")).unwrap();
        assert!(here.used > 0 && here.used <= here.total);
    }
}
