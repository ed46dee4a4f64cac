//! Where sealed segments lie: an object store, which is a directory unless somebody gives another.
//!
//! Everything here blocks, as reading does in this crate. Of a directory we read without the store's detour over a second
//! thread; of any other, the thread waits for the store's future, with the runtime at hand that opened the log store.

use std::fs::File;
use std::future::Future;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use object_store::local::LocalFileSystem;
use object_store::path::Path as Name;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use crate::error::StoreError;

#[derive(Clone)]
pub(crate) struct Objects {
    store: Arc<dyn ObjectStore>,
    local: Option<PathBuf>,
    runtime: Option<tokio::runtime::Handle>,
}

impl Objects {
    /// A directory, in which what is put is durable.
    pub(crate) fn local(directory: PathBuf) -> Result<Objects, StoreError> {
        std::fs::create_dir_all(&directory).map_err(StoreError::io("create", &directory))?;
        let store = LocalFileSystem::new_with_prefix(&directory);
        let store = store.map_err(StoreError::object("open", &directory.to_string_lossy()))?;
        // A group that is gone leaves no empty directory.
        let store = store.with_fsync(true).with_automatic_cleanup(true);
        Ok(Objects { store: Arc::new(store), local: Some(directory), runtime: None })
    }

    pub(crate) fn shared(store: Arc<dyn ObjectStore>) -> Objects {
        Objects { store, local: None, runtime: tokio::runtime::Handle::try_current().ok() }
    }

    /// Durable, whole or not at all. What has the name is replaced.
    pub(crate) fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let put = self.wait(self.store.put(&Name::from(name), PutPayload::from(bytes)));
        put.map(drop).map_err(StoreError::object("write", name))
    }

    pub(crate) fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        match &self.local {
            Some(directory) => read_file(&directory.join(name), range),
            None => {
                let read = self.wait(self.store.get_range(&Name::from(name), range));
                read.map(Into::into).map_err(StoreError::object("read", name))
            }
        }
    }

    pub(crate) fn size(&self, name: &str) -> Result<u64, StoreError> {
        let head = self.wait(self.store.head(&Name::from(name)));
        head.map(|meta| meta.size).map_err(StoreError::object("look at", name))
    }

    /// What is not there is removed already.
    pub(crate) fn remove(&self, name: &str) -> Result<(), StoreError> {
        match self.wait(self.store.delete(&Name::from(name))) {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            removed => removed.map_err(StoreError::object("remove", name)),
        }
    }

    /// Every name below a prefix, or every name there is.
    pub(crate) fn list(&self, prefix: Option<&str>) -> Result<Vec<String>, StoreError> {
        let mut found = self.store.list(prefix.map(Name::from).as_ref());
        let mut names = Vec::new();
        let error = || StoreError::object("list", prefix.unwrap_or("/"));
        while let Some(next) = self.wait(std::future::poll_fn(|context| found.as_mut().poll_next(context))) {
            match next {
                Ok(meta) => names.push(meta.location.to_string()),
                // It went away while we looked.
                Err(object_store::Error::NotFound { .. }) => {}
                Err(other) => return Err(error()(other)),
            }
        }
        Ok(names)
    }

    /// Half-written files of a process that died. Only a directory has any.
    pub(crate) fn sweep_staged(&self) {
        let Some(root) = &self.local else { return };
        let directories = std::fs::read_dir(root).into_iter().flatten().flatten();
        for file in directories.flat_map(|entry| std::fs::read_dir(entry.path()).into_iter().flatten().flatten()) {
            if file.file_name().to_string_lossy().contains('#') {
                let _ = std::fs::remove_file(file.path());
            }
        }
    }

    fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        let _runtime = self.runtime.as_ref().map(tokio::runtime::Handle::enter);
        wait(future)
    }
}

fn read_file(path: &Path, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
    let error = || StoreError::io("read", path);
    let file = File::open(path).map_err(error())?;
    let mut bytes = vec![0; range.end.saturating_sub(range.start) as usize];
    match file.read_exact_at(&mut bytes, range.start) {
        Err(short) if short.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(StoreError::damaged(path, range.start, "it is shorter than it was"))
        }
        read => read.map(|()| bytes).map_err(error()),
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Parks the thread until the future is there.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
