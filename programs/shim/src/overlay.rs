//! Mounting a container's root file system.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

use shim_api::Overlay;

use crate::sys;

/// `mount(2)` copies its options into one page.
const OPTIONS_BYTES_MAX: usize = 4095;

/// An overlay with everything that its mount needs already in memory.
///
/// It is mounted volatile where the kernel can (Linux 5.10): otherwise the end of every container waits until everything
/// that anybody has written to the same file system is on the disk. What a container wrote into its own layer is of no use
/// after a power cut, as the container itself.
pub struct Mount {
    target: CString,
    lower: Vec<String>,
    /// The options after the lower layers.
    options: String,
    /// What a volatile mount leaves, so that nobody mounts the same again: an earlier start of the same container.
    marks: [CString; 2],
}

impl Mount {
    pub fn new(overlay: &Overlay, target: &str) -> io::Result<Mount> {
        let mark = |name| CString::new(format!("{}/work/{name}", overlay.work));
        Ok(Mount {
            target: CString::new(target)?,
            lower: overlay.lower.clone(),
            options: format!("upperdir={},workdir={}", escape(&overlay.upper), escape(&overlay.work)),
            marks: [mark("incompat/volatile")?, mark("incompat")?],
        })
    }

    pub fn mount(&self) -> io::Result<()> {
        self.marks.iter().for_each(|mark| sys::remove_dir(mark));
        let lower = self.lower.iter().map(|dir| escape(dir)).collect::<Vec<_>>();
        match self.options(&lower, true).len() <= OPTIONS_BYTES_MAX {
            true => self.mount_over(&lower),
            false => self.mount_over_many(),
        }
    }

    /// The paths of many layers do not fit into the options. Then each is an open folder, and its number in `/proc/self/fd`
    /// is its path from there.
    fn mount_over_many(&self) -> io::Result<()> {
        let folders = self.lower.iter().map(File::open).collect::<io::Result<Vec<_>>>()?;
        let numbers = folders.iter().map(|folder| folder.as_raw_fd().to_string()).collect::<Vec<_>>();
        let before = std::env::current_dir()?;
        std::env::set_current_dir("/proc/self/fd")?;
        let mounted = self.mount_over(&numbers);
        std::env::set_current_dir(before)?;
        mounted
    }

    fn mount_over(&self, lower: &[String]) -> io::Result<()> {
        let mount = |volatile| sys::mount(c"overlay", &self.target, &CString::new(self.options(lower, volatile))?);
        match mount(true) {
            Err(err) if err.raw_os_error() == Some(libc::EINVAL) => mount(false),
            done => done,
        }
    }

    fn options(&self, lower: &[String], volatile: bool) -> String {
        format!("lowerdir={},{}{}", lower.join(":"), self.options, if volatile { ",volatile" } else { "" })
    }
}

/// In overlay's options a comma, a colon or a backslash of a path is escaped.
fn escape(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for char in path.chars() {
        if matches!(char, ':' | ',' | '\\') {
            out.push('\\');
        }
        out.push(char);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_odd_characters_stay_one_path() {
        let overlay = Overlay { lower: vec!["/a:b".into(), "/c".into()], upper: "/u,p".into(), work: "/w\\k".into() };
        let mount = Mount::new(&overlay, "/t").unwrap();
        let lower = overlay.lower.iter().map(|dir| escape(dir)).collect::<Vec<_>>();
        let expected = "lowerdir=/a\\:b:/c,upperdir=/u\\,p,workdir=/w\\\\k,volatile";
        assert_eq!(mount.options(&lower, true), expected);
    }
}
