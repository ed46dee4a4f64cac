//! Hearing that a directory changed, instead of looking again and again.
//!
//! A thousand silent containers, looked at ten times a second, cost a tenth of a core; heard, they cost nothing. One
//! inotify instance serves them all. Where it is missing, or has no more watches to give, followers look.

use std::collections::BTreeMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::limits::BELL_PAUSE;

/// Room for a hundred events at once.
const EVENTS_BYTES: usize = 4096;

/// Rings for everybody who watches a directory in which something changed.
pub(crate) struct Bell {
    /// Made when it is first needed, as that needs a tokio runtime. `None` if it could not be made.
    listener: OnceLock<Option<Arc<Listener>>>,
}

/// Lives as long as the bell, or somebody who listens.
struct Listener {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    inotify: AsyncFd<OwnedFd>,
    /// Who is to be woken, by the number of a watch. Watches are added and removed under this lock, because one
    /// directory has one number, whoever asks for it.
    woken: Mutex<BTreeMap<i32, Vec<Arc<Notify>>>>,
}

impl Bell {
    pub fn new() -> Bell {
        Bell { listener: OnceLock::new() }
    }

    /// One that never rings.
    #[cfg(test)]
    pub fn deaf() -> Bell {
        Bell { listener: OnceLock::from(None) }
    }

    /// Listens to directories that may not be there yet. To be called in a tokio runtime.
    pub fn listen(&self, dirs: Vec<PathBuf>) -> Ear {
        let listener = self.listener.get_or_init(|| match Listener::start() {
            Ok(listener) => Some(Arc::new(listener)),
            Err(error) => {
                tracing::warn!(%error, "cannot listen to directories: looking at each container's log again and again");
                None
            }
        });
        Ear { listener: listener.clone(), notify: Arc::new(Notify::new()), unwatched: dirs, watches: Vec::new() }
    }
}

impl Listener {
    fn start() -> io::Result<Listener> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        #[expect(deprecated, reason = "its successor is unsafe, and an OwnedFd keeps what it wants to be promised")]
        let inotify = AsyncFd::new(inotify)?;
        let shared = Arc::new(Shared { inotify, woken: Mutex::default() });
        let task = tokio::spawn(listen(shared.clone()));
        Ok(Listener { shared, task })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(shared: Arc<Shared>) {
    // Readiness of a descriptor that we hold does not fail.
    while let Ok(mut ready) = shared.inotify.readable().await {
        let _ = ready.try_io(|inotify| shared.drain(inotify.get_ref()));
        drop(ready);
        // A busy container writes often; its changes are heard together.
        tokio::time::sleep(BELL_PAUSE).await;
    }
}

impl Shared {
    /// Wakes whoever is concerned, until there is nothing more to read.
    fn drain(&self, inotify: &OwnedFd) -> io::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); EVENTS_BYTES];
        let mut reader = inotify::Reader::new(inotify, &mut buffer);
        loop {
            let event = reader.next()?;
            let mut woken = self.woken();
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                woken.values().flatten().for_each(|notify| notify.notify_one());
                continue;
            }
            woken.get(&event.wd()).into_iter().flatten().for_each(|notify| notify.notify_one());
            // The directory is gone, and its watch with it.
            if event.events().contains(ReadFlags::IGNORED) {
                woken.remove(&event.wd());
            }
        }
    }

    fn woken(&self) -> MutexGuard<'_, BTreeMap<i32, Vec<Arc<Notify>>>> {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens for one follower.
pub(crate) struct Ear {
    listener: Option<Arc<Listener>>,
    notify: Arc<Notify>,
    unwatched: Vec<PathBuf>,
    watches: Vec<i32>,
}

impl Ear {
    /// Every directory is watched: whoever looks after this and finds nothing will hear of the next change.
    pub fn listens(&mut self) -> bool {
        let Some(listener) = &self.listener else { return false };
        let (shared, notify, watches) = (&listener.shared, &self.notify, &mut self.watches);
        self.unwatched.retain(|dir| {
            let mut woken = shared.woken();
            let changes = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::DELETE_SELF;
            // Not there yet, or no more watches: it is tried again, and looked at meanwhile.
            let Ok(watch) = inotify::add_watch(&shared.inotify, dir, changes) else { return true };
            woken.entry(watch).or_default().push(notify.clone());
            watches.push(watch);
            false
        });
        self.unwatched.is_empty()
    }

    /// Resolves when something has changed since this was last asked.
    pub async fn heard(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let Some(listener) = &self.listener else { return };
        let mut woken = listener.shared.woken();
        for watch in &self.watches {
            let Some(list) = woken.get_mut(watch) else { continue };
            list.retain(|notify| !Arc::ptr_eq(notify, &self.notify));
            if list.is_empty() {
                woken.remove(watch);
                // It may be gone with its directory.
                let _ = inotify::remove_watch(&listener.shared.inotify, *watch);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    async fn hears(ear: &Ear) {
        tokio::time::timeout(Duration::from_secs(30), ear.heard()).await.expect("heard");
    }

    fn watches(bell: &Bell) -> usize {
        bell.listener.get().unwrap().as_ref().unwrap().shared.woken().len()
    }

    #[tokio::test]
    async fn changes_are_heard() {
        let dir = tempfile::tempdir().unwrap();
        let bell = Bell::new();
        let mut ear = bell.listen(vec![dir.path().to_owned()]);
        assert!(ear.listens() && ear.listens());
        fs::write(dir.path().join("a"), "").unwrap();
        hears(&ear).await;
        let mut other = bell.listen(vec![dir.path().to_owned()]);
        assert!(other.listens());
        fs::write(dir.path().join("a"), "more").unwrap();
        hears(&other).await;
        hears(&ear).await;
        // One of two leaves: the other still hears.
        drop(ear);
        fs::rename(dir.path().join("a"), dir.path().join("b")).unwrap();
        hears(&other).await;
        assert_eq!(watches(&bell), 1);
        drop(other);
        assert_eq!(watches(&bell), 0);
    }

    #[tokio::test]
    async fn a_directory_may_come_late_and_go_again() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("web");
        let bell = Bell::new();
        let mut ear = bell.listen(vec![dir.clone()]);
        assert!(!ear.listens());
        fs::create_dir(&dir).unwrap();
        assert!(ear.listens());
        fs::remove_dir(&dir).unwrap();
        hears(&ear).await;
        drop(ear);
        assert_eq!(watches(&bell), 0);
    }

    #[tokio::test]
    async fn the_deaf_say_so() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!Bell::deaf().listen(vec![dir.path().to_owned()]).listens());
    }
}
