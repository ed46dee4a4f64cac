//! What of this process is in memory and need not be.
//!
//! A page of the program that was touched once stays mapped, and the kernel maps the pages around it along with it: after a start, most
//! of a large program counts as this process's, though little of it runs ever again. And what the heap has freed between things
//! that live stays there until somebody asks for it.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};

/// Lets go of the program's pages. What still runs comes back from the page cache, a page fault for some pages together.
pub fn release_program() -> io::Result<()> {
    let program = fs::read_link("/proc/self/exe")?;
    let maps = BufReader::new(File::open("/proc/self/smaps")?);
    for (start, length) in clean_pages(maps, &program.display().to_string())? {
        // SAFETY: the mapping is of a file, can only be read, and has no page that differs from the file: whoever reads it next gets
        // the same bytes.
        if unsafe { libc::madvise(start as *mut libc::c_void, length, libc::MADV_DONTNEED) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Gives back to the kernel what the heap holds and nobody uses.
pub fn release_heap() {
    // SAFETY: it takes the allocator's own locks, and touches only what is free.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// One heap for all threads, instead of some for each core, between which what is free is spread. To be called before there are other
/// threads; for a process whose threads rarely allocate at the same time.
pub fn share_one_heap() {
    // SAFETY: it sets a number of the allocator's.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Start and length of the mappings of a file that can only be read and are as the file is. A place that was relocated can only be read as
/// well, but has pages of its own, which are nowhere else. What comes after the file's is not read: the kernel counts each page of it.
fn clean_pages(smaps: impl BufRead, file: &str) -> io::Result<Vec<(usize, usize)>> {
    let mut found = Vec::new();
    let mut current: Option<Mapping> = None;
    for line in smaps.lines() {
        let line = line?;
        if let Some(mapping) = Mapping::read(&line, file) {
            if current.is_some_and(|before| before.is_of_file) && !mapping.is_of_file {
                break;
            }
            current = Some(mapping);
        } else if let (Some(anonymous), Some(mapping)) = (line.strip_prefix("Anonymous:"), current)
            && mapping.is_of_file
            && mapping.is_read_only
            && anonymous.trim() == "0 kB"
        {
            found.push((mapping.start, mapping.end.saturating_sub(mapping.start)));
        }
    }
    Ok(found)
}

#[derive(Clone, Copy)]
struct Mapping {
    start: usize,
    end: usize,
    is_of_file: bool,
    is_read_only: bool,
}

impl Mapping {
    /// `55d0c0000000-55d0c0f80000 r-xp 00000000 fe:00 1234    /usr/bin/berth`; `None` for a line about one.
    fn read(line: &str, file: &str) -> Option<Mapping> {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
        let is_of_file = rest.strip_suffix(file).is_some_and(|rest| rest.ends_with(' '));
        Some(Mapping { start, end, is_of_file, is_read_only: rest.starts_with("r-xp ") || rest.starts_with("r--p ") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_as_in_the_file_goes() {
        let smaps = "\
            1000-3000 r--p 00000000 fe:00 7    /usr/bin/berth\nRss: 8 kB\nAnonymous:             0 kB\n\
            3000-5000 r-xp 00002000 fe:00 7    /usr/bin/berth\nAnonymous:             0 kB\n\
            5000-6000 r--p 00004000 fe:00 7    /usr/bin/berth\nAnonymous:             4 kB\n\
            6000-7000 rw-p 00005000 fe:00 7    /usr/bin/berth\nAnonymous:             0 kB\n\
            8000-9000 r-xp 00000000 fe:00 8    /usr/lib/libc.so.6\nAnonymous:             0 kB\n\
            a000-b000 rw-p 00000000 00:00 0\nAnonymous:             4 kB\n";
        let found = |file| clean_pages(smaps.as_bytes(), file).unwrap();
        assert_eq!(found("/usr/bin/berth"), [(0x1000, 0x2000), (0x3000, 0x2000)]);
        assert_eq!(found("/usr/lib/libc.so.6"), [(0x8000, 0x1000)]);
        assert_eq!(found("bin/berth"), []);
    }

    #[test]
    fn a_program_that_let_go_of_itself_goes_on() {
        let resident = || {
            let status = fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
        };
        let program = fs::read("/proc/self/exe").unwrap();
        let before = resident();
        release_program().unwrap();
        release_heap();
        assert!(resident() <= before, "{} KiB, {before} before", resident());
        assert_eq!(fs::read("/proc/self/exe").unwrap(), program);
    }
}
