//! What SQLite writes and flushes, written down; and what a power cut at any moment leaves of it.
//!
//! A shim over SQLite's own access to files is made the default of this process, so that the engine runs over it unchanged.
//! Everything goes through to the real files, and below one directory everything is recorded as well.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rusqlite::ffi;

/// A disk writes whole sectors, in any order.
const SECTOR_BYTES: usize = 512;

#[derive(Clone)]
pub enum Event {
    Write {
        at: usize,
        bytes: Vec<u8>,
    },
    Truncate(usize),
    Sync,
    Delete {
        durably: bool,
    },
    /// The names in the directory are as they are: what was deleted does not come back.
    SyncDirectory,
    /// Somebody was told that his commit is durable.
    Told {
        writer: usize,
        count: u64,
    },
}

#[derive(Default)]
struct Recorder {
    below: Option<PathBuf>,
    events: Vec<(PathBuf, Event)>,
    /// By the address of SQLite's handle: the file's name, and what really does the work.
    open: BTreeMap<usize, (PathBuf, &'static ffi::sqlite3_io_methods)>,
}

fn recorder() -> MutexGuard<'static, Recorder> {
    static RECORDER: OnceLock<Mutex<Recorder>> = OnceLock::new();
    RECORDER.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records everything below this directory from here on.
pub fn record(below: &Path) {
    static SHIM: OnceLock<()> = OnceLock::new();
    SHIM.get_or_init(install);
    *recorder() = Recorder { below: Some(below.to_owned()), ..Recorder::default() };
}

pub fn told(writer: usize, count: u64) {
    recorder().events.push((PathBuf::new(), Event::Told { writer, count }));
}

/// The engine flushes its directory itself, which SQLite's files do not see.
pub fn directory_is_synced() {
    recorder().events.push((PathBuf::new(), Event::SyncDirectory));
}

/// Everything that was recorded, in its order.
pub fn events() -> Vec<(PathBuf, Event)> {
    std::mem::take(&mut recorder().events)
}

fn note(path: &Path, event: Event) {
    let mut recorder = recorder();
    if recorder.below.as_ref().is_some_and(|below| path.starts_with(below)) {
        recorder.events.push((path.to_owned(), event));
    }
}

/// Makes a copy of the default VFS, whose files tell what is done to them, the default.
fn install() {
    // SAFETY: the default VFS lives as long as the process, and so does the leaked copy.
    unsafe {
        let default = ffi::sqlite3_vfs_find(std::ptr::null());
        let original = ((*default).xOpen.expect("every VFS opens"), (*default).xDelete.expect("and deletes"));
        ORIGINAL.set(original).unwrap_or_else(|_| panic!("the shim is installed once"));
        let mut shim = *default;
        shim.zName = c"recorder".as_ptr();
        shim.xOpen = Some(open);
        shim.xDelete = Some(delete);
        assert_eq!(ffi::sqlite3_vfs_register(Box::leak(Box::new(shim)), 1), ffi::SQLITE_OK);
    }
}

type Open =
    unsafe extern "C" fn(*mut ffi::sqlite3_vfs, *const c_char, *mut ffi::sqlite3_file, c_int, *mut c_int) -> c_int;
type Delete = unsafe extern "C" fn(*mut ffi::sqlite3_vfs, *const c_char, c_int) -> c_int;

static ORIGINAL: OnceLock<(Open, Delete)> = OnceLock::new();

fn original() -> &'static (Open, Delete) {
    ORIGINAL.get().expect("only the shim calls this")
}

/// # Safety
/// As SQLite calls it.
unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: everything is handed through; an opened file has methods, which are static in SQLite itself.
    unsafe {
        let answer = original().0(vfs, name, file, flags, out_flags);
        if answer != ffi::SQLITE_OK || name.is_null() || (*file).pMethods.is_null() {
            return answer;
        }
        let path = PathBuf::from(CStr::from_ptr(name).to_string_lossy().into_owned());
        let methods: &'static ffi::sqlite3_io_methods = &*(*file).pMethods;
        recorder().open.insert(file as usize, (path, methods));
        let mut ours = *methods;
        ours.xWrite = Some(write);
        ours.xTruncate = Some(truncate);
        ours.xSync = Some(sync);
        ours.xClose = Some(close);
        (*file).pMethods = Box::leak(Box::new(ours));
        answer
    }
}

fn file_of(file: *mut ffi::sqlite3_file) -> (PathBuf, &'static ffi::sqlite3_io_methods) {
    recorder().open.get(&(file as usize)).cloned().unwrap_or_else(|| std::process::abort())
}

/// # Safety
/// As SQLite calls it.
unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, bytes: *const c_void, count: c_int, at: i64) -> c_int {
    let (path, methods) = file_of(file);
    // SAFETY: SQLite gives `count` readable bytes.
    let copy = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), count as usize) }.to_vec();
    note(&path, Event::Write { at: at as usize, bytes: copy });
    // SAFETY: handed through.
    unsafe { methods.xWrite.expect("a file can be written")(file, bytes, count, at) }
}

/// # Safety
/// As SQLite calls it.
unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    let (path, methods) = file_of(file);
    note(&path, Event::Truncate(size as usize));
    // SAFETY: handed through.
    unsafe { methods.xTruncate.expect("a file can be cut")(file, size) }
}

/// # Safety
/// As SQLite calls it.
unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    let (path, methods) = file_of(file);
    // SAFETY: handed through.
    let answer = unsafe { methods.xSync.expect("a file can be flushed")(file, flags) };
    // Only now: a cut in the middle of a flush is one before it.
    note(&path, Event::Sync);
    answer
}

/// # Safety
/// As SQLite calls it.
unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let (_, methods) = file_of(file);
    recorder().open.remove(&(file as usize));
    // SAFETY: the file gets its own methods back before it closes itself.
    unsafe {
        (*file).pMethods = methods;
        methods.xClose.expect("a file can be closed")(file)
    }
}

/// # Safety
/// As SQLite calls it.
unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync_dir: c_int) -> c_int {
    // SAFETY: SQLite gives a terminated name; everything is handed through.
    unsafe {
        let path = PathBuf::from(CStr::from_ptr(name).to_string_lossy().into_owned());
        note(&path, Event::Delete { durably: sync_dir != 0 });
        original().1(vfs, name, sync_dir)
    }
}

/// One file on a disk whose power may fail.
#[derive(Clone, Default)]
struct Platter {
    /// `None` when not even the name is durable.
    durable: Option<Vec<u8>>,
    pending: Vec<Event>,
}

impl Platter {
    fn sync_name(&mut self) {
        if let Some(deleted) = self.pending.iter().rposition(|event| matches!(event, Event::Delete { .. })) {
            self.durable = None;
            self.pending.drain(..=deleted);
        }
    }
}

/// All files, as of some moment.
#[derive(Default)]
pub struct Disk {
    files: BTreeMap<PathBuf, Platter>,
}

impl Disk {
    pub fn apply(&mut self, path: &Path, event: &Event) {
        match event {
            Event::Told { .. } => return,
            Event::SyncDirectory => return self.files.values_mut().for_each(Platter::sync_name),
            _ => {}
        }
        let file = self.files.entry(path.to_owned()).or_default();
        match event {
            Event::Sync => {
                let mut content = Some(file.durable.take().unwrap_or_default());
                file.pending.drain(..).for_each(|event| apply(&mut content, &event));
                file.durable = content;
            }
            Event::Delete { durably: true } => *file = Platter::default(),
            Event::Write { .. } | Event::Truncate(_) | Event::Delete { durably: false } => {
                file.pending.push(event.clone());
            }
            Event::Told { .. } | Event::SyncDirectory => {}
        }
    }

    /// Writes what a power cut now may leave into `to`. What was not flushed is there, or not, or in parts.
    pub fn cut(&self, from: &Path, to: &Path, dice: &mut impl FnMut(u64) -> u64) {
        for (path, file) in &self.files {
            let mut content = file.durable.clone();
            // Sometimes nothing of it was written, sometimes all; mostly some.
            let mood = dice(4);
            for event in &file.pending {
                let fate = match mood {
                    0 => continue,
                    1 => 0,
                    _ => dice(3),
                };
                match (fate, event) {
                    (0, event) => apply(&mut content, event),
                    (1, Event::Write { at, bytes }) => {
                        for (number, sector) in sectors(*at, bytes) {
                            if dice(2) == 0 {
                                apply(&mut content, &Event::Write { at: number, bytes: sector.to_vec() });
                            }
                        }
                    }
                    _ => {}
                }
            }
            // The index of the log is memory that happens to have a name.
            let is_index = path.to_string_lossy().ends_with("-shm");
            if let (Some(content), false) = (content, is_index) {
                std::fs::write(to.join(path.strip_prefix(from).unwrap()), content).unwrap();
            }
        }
    }
}

/// A write as the disk's sectors see it.
fn sectors(at: usize, bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(from..).filter(|rest| !rest.is_empty())?;
        let start = at + from;
        let length = (SECTOR_BYTES - start % SECTOR_BYTES).min(rest.len());
        from += length;
        Some((start, &rest[..length]))
    })
}

fn apply(content: &mut Option<Vec<u8>>, event: &Event) {
    match event {
        Event::Write { at, bytes } => {
            let content = content.get_or_insert_default();
            content.resize(content.len().max(at + bytes.len()), 0);
            content[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        Event::Truncate(size) => content.get_or_insert_default().resize(*size, 0),
        Event::Delete { .. } => *content = None,
        Event::Sync | Event::SyncDirectory | Event::Told { .. } => {}
    }
}
