//! Files on this machine's disk, of one process: each written aside, flushed and renamed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use blobs::durable;

use super::Keep;
use crate::RegistryError;
use crate::layout::SETTINGS;

#[derive(Debug)]
pub(crate) struct Directory;

impl Keep for Directory {
    fn is_shared(&self) -> bool {
        false
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, RegistryError> {
        match fs::read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(RegistryError::io("read", path)(error)),
        }
    }

    fn read_all(&self, paths: &[PathBuf]) -> Result<Vec<Option<Vec<u8>>>, RegistryError> {
        paths.iter().map(|path| self.read(path)).collect()
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), RegistryError> {
        durable::write(path, bytes).map_err(RegistryError::io("write", path))
    }

    fn write_new(&self, path: &Path, bytes: &[u8]) -> Result<bool, RegistryError> {
        // Whoever writes has the turn, and there is no other server.
        if path.exists() {
            return Ok(false);
        }
        self.write(path, bytes).map(|()| true)
    }

    fn exists(&self, path: &Path) -> Result<bool, RegistryError> {
        Ok(path.exists())
    }

    /// Not worth a flush.
    fn touch(&self, path: &Path) -> Result<(), RegistryError> {
        let touched = fs::File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
        touched.map_err(RegistryError::io("touch", path))
    }

    fn remove(&self, path: &Path) -> Result<(), RegistryError> {
        durable::remove(path).map_err(RegistryError::io("remove", path))
    }

    /// Not flushed: should it be back after a power cut, it goes with the next collection.
    fn remove_older(&self, path: &Path, age: Duration) -> Result<bool, RegistryError> {
        Ok(is_older(path, age) && fs::remove_file(path).is_ok())
    }

    fn names(&self, dir: &Path) -> Result<Vec<String>, RegistryError> {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(RegistryError::io("list", dir)(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(RegistryError::io("list", dir))?;
            let name = entry.file_name().into_string().ok();
            names.extend(name.filter(|name| !name.starts_with(durable::TEMPORARY_PREFIX)));
        }
        names.sort();
        Ok(names)
    }

    fn older(&self, dir: &Path, age: Duration) -> Result<Vec<String>, RegistryError> {
        let mut names = self.names(dir)?;
        names.retain(|name| is_older(&dir.join(name), age));
        Ok(names)
    }

    fn repositories(&self, dir: &Path) -> Result<Vec<String>, RegistryError> {
        let mut found = Vec::new();
        let mut pending = vec![(dir.to_owned(), String::new())];
        while let Some((dir, prefix)) = pending.pop() {
            for name in self.names(&dir)? {
                if name == SETTINGS {
                    found.push(prefix.clone());
                } else if !name.starts_with('_') {
                    let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
                    pending.push((dir.join(&name), path));
                }
            }
        }
        Ok(found)
    }

    fn make_dir(&self, dir: &Path) -> Result<(), RegistryError> {
        durable::create_dir_all(dir).map_err(RegistryError::io("create directory", dir))
    }

    fn remove_dir(&self, dir: &Path) -> Result<(), RegistryError> {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(RegistryError::io("remove", dir)(error)),
            _ => Ok(()),
        }
    }

    fn remove_dir_if_empty(&self, dir: &Path) {
        let _ = fs::remove_dir(dir);
    }

    /// Whoever writes a file has the turn, so none that is here now belongs to anybody.
    fn remove_temporary(&self, dir: &Path) -> Result<(), RegistryError> {
        let Ok(entries) = fs::read_dir(dir) else { return Ok(()) };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(durable::TEMPORARY_PREFIX) {
                self.remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

fn is_older(path: &Path, age: Duration) -> bool {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.ok().and_then(|at| at.elapsed().ok()).is_some_and(|elapsed| elapsed >= age)
}
