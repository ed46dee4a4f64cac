//! Power cuts and full disks: nothing half-made is used, and nothing stays in the way.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use blobs::{Blobs, Digest};
use images::{Auth, ErrorKind, ImageStore, PullBehavior};
use support::image::{Built, image, noise, random};
use support::remote::{Access, Remote};
use support::tar::{Header, Tar};
use support::{Node, listing, name, names, options, until};

const DIR: &str = "IMAGES_TEST_DIR";
const IMAGE: &str = "IMAGES_TEST_IMAGE";

/// Not a test but what the tests start, and kill.
#[tokio::test]
async fn the_process_that_is_killed() {
    let (Ok(dir), Ok(text)) = (std::env::var(DIR), std::env::var(IMAGE)) else { return };
    let store = ImageStore::open(options(Path::new(&dir))).unwrap();
    store.pull(&name(&text), &Auth::Anonymous, PullBehavior::Default, &|_| {}).await.unwrap();
}

/// A process that pulls. Killed at the latest when it is dropped.
struct Puller(Child);

impl Puller {
    fn start(dir: &Path, text: &str) -> Puller {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "the_process_that_is_killed"]).env(DIR, dir).env(IMAGE, text);
        Puller(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// SIGKILL, unless it has ended; true when it had.
    fn kill(mut self) -> bool {
        let had_ended = self.0.try_wait().unwrap().is_some_and(|status| status.success());
        let _ = self.0.kill();
        self.0.wait().unwrap();
        had_ended
    }
}

impl Drop for Puller {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn many_files(prefix: &str, count: usize) -> Vec<u8> {
    (0..count).fold(Tar::new().dir(prefix), |tar, number| tar.file(&format!("{prefix}/{number}"), prefix)).end()
}

fn temporary(dir: &Path) -> Vec<String> {
    if dir.exists() { names(dir).into_iter().filter(|name| name.starts_with(".tmp-")).collect() } else { Vec::new() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_was_killed_is_begun_again_and_its_rest_removed() {
    let remote = Remote::start(Access::Open).await;
    remote.pace(Duration::from_millis(1));
    let built = image(&[noise(1, 1_000_000)]);
    let text = remote.offer("app:1", &built);
    let dir = tempfile::tempdir().unwrap();
    let part = dir.path().join("blobs/tmp");
    let puller = Puller::start(dir.path(), &text);
    let arrived =
        || part.exists() && names(&part).iter().any(|name| part.join(name).metadata().is_ok_and(|m| m.len() > 0));
    until("a part has arrived", || remote.asked(Digest::of(&built.layers[0])) > 0 && arrived()).await;
    assert!(!puller.kill(), "it was not done");

    let store = ImageStore::open(options(dir.path())).unwrap();
    assert!(store.list().is_empty());
    for left in names(&part) {
        let file = std::fs::File::open(part.join(left)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(25 * 3600)).unwrap();
    }
    Blobs::open(dir.path().join("blobs")).unwrap();
    assert!(names(&part).is_empty(), "what nobody continued for a day is removed");
    let image = store.pull(&name(&text), &Auth::Anonymous, PullBehavior::Default, &|_| {}).await.unwrap();
    assert_eq!(std::fs::read(image.layers()[0].dir.join("noise-1")).unwrap(), random(1, 1_000_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unpacking_that_was_killed_is_removed_and_begun_again() {
    let remote = Remote::start(Access::Open).await;
    // Large rather than many: what takes long is writing, not the test's own cleaning up.
    const SIZE: usize = 200 << 20;
    let built = image(&[Tar::new().entry(Header::new(b'0', "zeros"), &vec![0; SIZE]).end()]);
    let text = remote.offer("app:1", &built);
    let dir = tempfile::tempdir().unwrap();
    let layers = dir.path().join("images/layers");
    let puller = Puller::start(dir.path(), &text);
    until("unpacking has begun", || !temporary(&layers).is_empty()).await;
    assert!(!puller.kill(), "it was not done");
    assert!(!temporary(&layers).is_empty());

    let store = ImageStore::open(options(dir.path())).unwrap();
    assert!(names(&layers).is_empty() && store.list().is_empty());
    let image = store.pull(&name(&text), &Auth::Anonymous, PullBehavior::Default, &|_| {}).await.unwrap();
    assert_eq!(image.layers()[0].dir.join("zeros").metadata().unwrap().len(), SIZE as u64);
    assert_eq!(remote.asked(Digest::of(&built.layers[0])), 1, "the blob was whole");
}

/// What every layer of an image must hold, by the name of its directory.
async fn expected(text: &str) -> BTreeMap<String, String> {
    let node = Node::new();
    let image = node.pull(text).await.unwrap();
    image.layers().iter().map(|layer| (layer.chain_id.hex(), listing(&layer.dir))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_at_any_time_leaves_nothing_half_made() {
    let remote = Remote::start(Access::Open).await;
    let built: Built = image(&[many_files("a", 60), many_files("b", 60), many_files("c", 60), many_files("d", 60)]);
    let text = remote.offer("app:1", &built);
    let expected = expected(&text).await;
    remote.pace(Duration::from_millis(1));
    let mut ended = 0;
    for round in 0..8_u64 {
        let dir = tempfile::tempdir().unwrap();
        // Twice in the same place: what the first leaves is what the second finds.
        for delay in [round * 40, round * 23] {
            let puller = Puller::start(dir.path(), &text);
            tokio::time::sleep(Duration::from_millis(delay)).await;
            ended += usize::from(puller.kill());
            let node = ImageStore::open(options(dir.path())).unwrap();
            let layers = dir.path().join("images/layers");
            for layer in names(&layers) {
                assert_eq!(
                    Some(&listing(&layers.join(&layer).join("fs"))),
                    expected.get(&layer),
                    "{layer} is not whole"
                );
            }
            for stored in node.list() {
                // Nobody is asked: the name is only there when all of it is.
                let asked = remote.asked("/v2/");
                node.pull(&stored.name, &Auth::Anonymous, PullBehavior::Once, &|_| {}).await.unwrap();
                assert_eq!(remote.asked("/v2/"), asked);
            }
        }
        let node = ImageStore::open(options(dir.path())).unwrap();
        let image = node.pull(&name(&text), &Auth::Anonymous, PullBehavior::Default, &|_| {}).await.unwrap();
        for layer in image.layers() {
            assert_eq!(Some(&listing(&layer.dir)), expected.get(&layer.chain_id.hex()));
        }
    }
    println!("{ended} of 16 were done before they were killed");
}

/// A small disk.
struct Disk {
    dir: tempfile::TempDir,
}

impl Disk {
    fn new(size: &str) -> Disk {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk { dir };
        disk.mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]);
        disk
    }

    fn mount(&self, arguments: &[&str]) {
        let output = Command::new("mount").args(arguments).arg(self.dir.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l"]).arg(self.dir.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_forgotten_when_there_is_room() {
    let remote = Remote::start(Access::Open).await;
    let large = image(&[noise(2, 3_000_000)]);
    let unpacks_to_much = image(&[Tar::new().entry(Header::new(b'0', "zeros"), &vec![0; 3_000_000]).end()]);
    let blob = Digest::of(&large.layers[0]).hex();
    for (built, path, reason) in [
        (&large, Some(blob), "no space left on device"),
        (&unpacks_to_much, None, "failed to register layer: no space left on device"),
    ] {
        let text = name(&remote.offer("app:1", built));
        let disk = Disk::new("1500k");
        let store = ImageStore::open(options(disk.dir.path())).unwrap();
        let error = store.pull(&text, &Auth::Anonymous, PullBehavior::Default, &|_| {}).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disk);
        let prefix = match path {
            Some(blob) => format!("failed to write {}: ", disk.dir.path().join("blobs/sha256").join(blob).display()),
            None => String::new(),
        };
        let daemon = "CannotPullContainerError: Error response from daemon:";
        assert_eq!(error.cannot_pull_reason(), format!("{daemon} {prefix}{reason}"));
        assert!(store.list().is_empty());
        assert!(names(&disk.dir.path().join("images/layers")).is_empty(), "nothing is left that takes room");
        assert!(names(&disk.dir.path().join("blobs/tmp")).is_empty());
        disk.mount(&["-o", "remount,size=64m"]);
        store.pull(&text, &Auth::Anonymous, PullBehavior::Default, &|_| {}).await.unwrap();
    }
}
