//! Files as objects of a store. Several servers may use it; what they do to one file at the same time, one of them does last.
//!
//! The settings of repositories lie beside all else, below `settings/`, so that one listing names every repository.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use blobs::blocking;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path as Name;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload};

use super::Keep;
use crate::RegistryError;
use crate::layout::SETTINGS;

/// How many requests of one call are under way at once.
const AT_ONCE: usize = 32;

/// How long a mark that was touched counts as touched. Far below any age at which a collection removes marks.
const TOUCH_EVERY: Duration = Duration::from_secs(600);

/// How many touches a process remembers.
const TOUCHED_MAX: usize = 100_000;

#[derive(Debug)]
pub(crate) struct Objects {
    store: Arc<dyn ObjectStore>,
    touched: Mutex<HashMap<PathBuf, Instant>>,
}

impl Objects {
    pub(crate) fn new(store: Arc<dyn ObjectStore>) -> Objects {
        Objects { store, touched: Mutex::default() }
    }

    fn head(&self, path: &Path) -> Result<Option<ObjectMeta>, RegistryError> {
        let (store, name) = (self.store.clone(), name(path));
        found(blocking(async move { store.head(&name).await }), "look at", path)
    }

    fn put(&self, path: &Path, bytes: &[u8], mode: PutMode) -> Result<bool, RegistryError> {
        let (store, name, payload) = (self.store.clone(), name(path), PutPayload::from(Bytes::copy_from_slice(bytes)));
        match blocking(async move { store.put_opts(&name, payload, mode.into()).await }) {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(failed("write", path)(error)),
        }
    }

    /// Everything below a directory, however deep.
    fn below(&self, dir: &Path, prefix: Name) -> Result<Vec<ObjectMeta>, RegistryError> {
        let store = self.store.clone();
        blocking(async move { store.list(Some(&prefix)).try_collect().await }).map_err(failed("list", dir))
    }

    fn entries(&self, dir: &Path, prefix: Name) -> Result<BTreeSet<String>, RegistryError> {
        let store = self.store.clone();
        let listed = blocking(async move { store.list_with_delimiter(Some(&prefix)).await });
        let listed = listed.map_err(failed("list", dir))?;
        let files = listed.objects.iter().filter_map(|meta| meta.location.filename());
        let dirs = listed.common_prefixes.iter().filter_map(|prefix| prefix.filename());
        Ok(files.chain(dirs).map(str::to_owned).collect())
    }
}

impl Keep for Objects {
    fn is_shared(&self) -> bool {
        true
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, RegistryError> {
        let (store, name) = (self.store.clone(), name(path));
        let read = blocking(async move { store.get(&name).await?.bytes().await });
        Ok(found(read, "read", path)?.map(Into::into))
    }

    fn read_all(&self, paths: &[PathBuf]) -> Result<Vec<Option<Vec<u8>>>, RegistryError> {
        let (store, paths) = (self.store.clone(), paths.to_vec());
        blocking(async move {
            let reads = paths.into_iter().map(|path| {
                let store = store.clone();
                async move {
                    let read = async { store.get(&name(&path)).await?.bytes().await };
                    Ok(found(read.await, "read", &path)?.map(Into::into))
                }
            });
            stream::iter(reads).buffered(AT_ONCE).try_collect().await
        })
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), RegistryError> {
        self.put(path, bytes, PutMode::Overwrite).map(drop)
    }

    fn write_new(&self, path: &Path, bytes: &[u8]) -> Result<bool, RegistryError> {
        self.put(path, bytes, PutMode::Create)
    }

    fn exists(&self, path: &Path) -> Result<bool, RegistryError> {
        Ok(self.head(path)?.is_some())
    }

    fn touch(&self, path: &Path) -> Result<(), RegistryError> {
        let now = Instant::now();
        if !self.exists(path)? {
            return Err(RegistryError::io("touch", path)(std::io::ErrorKind::NotFound.into()));
        }
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        if touched.get(path).is_some_and(|at| now.duration_since(*at) < TOUCH_EVERY) {
            return Ok(());
        }
        if touched.len() >= TOUCHED_MAX {
            touched.retain(|_, at| now.duration_since(*at) < TOUCH_EVERY);
        }
        if touched.len() < TOUCHED_MAX {
            touched.insert(path.to_owned(), now);
        }
        drop(touched);
        self.write(path, b"")
    }

    fn remove(&self, path: &Path) -> Result<(), RegistryError> {
        let (store, name) = (self.store.clone(), name(path));
        self.touched.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
        found(blocking(async move { store.delete(&name).await }), "remove", path).map(drop)
    }

    fn remove_older(&self, path: &Path, age: Duration) -> Result<bool, RegistryError> {
        if !self.head(path)?.is_some_and(|meta| is_older(&meta, age)) {
            return Ok(false);
        }
        self.remove(path).map(|()| true)
    }

    fn names(&self, dir: &Path) -> Result<Vec<String>, RegistryError> {
        let mut names = self.entries(dir, name(dir))?;
        if dir.components().count() <= SCOPE_DEPTH {
            // A scope whose repositories are all empty has nothing but their settings.
            names.extend(self.entries(dir, settings(dir))?);
        }
        Ok(names.into_iter().collect())
    }

    fn older(&self, dir: &Path, age: Duration) -> Result<Vec<String>, RegistryError> {
        let found = self.below(dir, name(dir))?;
        let older = found.iter().filter(|meta| is_older(meta, age)).filter_map(|meta| meta.location.filename());
        Ok(older.map(str::to_owned).collect())
    }

    fn repositories(&self, dir: &Path) -> Result<Vec<String>, RegistryError> {
        let prefix = settings(dir);
        let found = self.below(dir, prefix.clone())?;
        let end = format!("/{SETTINGS}");
        let names = found.iter().filter_map(|meta| {
            let path = meta.location.as_ref().strip_prefix(prefix.as_ref())?.strip_prefix('/')?;
            path.strip_suffix(&end).map(str::to_owned)
        });
        Ok(names.collect())
    }

    fn make_dir(&self, _: &Path) -> Result<(), RegistryError> {
        Ok(())
    }

    fn remove_dir(&self, dir: &Path) -> Result<(), RegistryError> {
        let names: Vec<_> = self.below(dir, name(dir))?.into_iter().map(|meta| Ok(meta.location)).collect();
        let store = self.store.clone();
        let removed = blocking(async move {
            let mut removed = store.delete_stream(stream::iter(names).boxed());
            while let Some(one) = removed.next().await {
                match one {
                    Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        });
        removed.map_err(failed("remove", dir))
    }

    fn remove_dir_if_empty(&self, _: &Path) {}

    fn remove_temporary(&self, _: &Path) -> Result<(), RegistryError> {
        Ok(())
    }
}

/// `repositories/ACCOUNT`
const SCOPE_DEPTH: usize = 2;

fn name(path: &Path) -> Name {
    let is_settings = path.file_name().is_some_and(|name| name == SETTINGS);
    if is_settings { settings(path) } else { Name::from(path.to_string_lossy().as_ref()) }
}

/// The same below `settings/`, instead of `repositories/`.
fn settings(path: &Path) -> Name {
    let below: PathBuf = Path::new("settings").join(path.components().skip(1).collect::<PathBuf>());
    Name::from(below.to_string_lossy().as_ref())
}

fn is_older(meta: &ObjectMeta, age: Duration) -> bool {
    let written = SystemTime::from(meta.last_modified);
    age.is_zero() || written.elapsed().is_ok_and(|elapsed| elapsed >= age)
}

fn found<T>(answer: object_store::Result<T>, action: &'static str, path: &Path) -> Result<Option<T>, RegistryError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(failed(action, path)(error)),
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(object_store::Error) -> RegistryError {
    let path = path.to_owned();
    move |source| RegistryError::Object { action, path, source }
}
