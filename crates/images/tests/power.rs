//! Power cuts, for real: a file system that forgets whatever was not flushed, under the registry and the node's images.
//!
//! An ext4 of its own lies in a file. Cutting its power is what xfstests does: `EXT4_IOC_SHUTDOWN` without a last write of the journal.
//! Mounted again, it has what the disk had, and with `data=writeback` a file that was renamed before it was flushed has whatever
//! was in its blocks. Needs root.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use blobs::{Blobs, Digest};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use images::{Auth, ImageStore, PullBehavior};
use registry::{Config, Manifest, Registry, RepositoryKey, Target};
use support::image::{Built, MANIFEST, image, random};
use support::local::BuiltIn;
use support::tar::{Header, Tar};
use support::{name, options};
use tempfile::TempDir;

/// A disk with a switch. Gone when it is dropped.
struct Disk {
    _dir: TempDir,
    image: PathBuf,
    mount: PathBuf,
}

fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().unwrap().status.success()
}

impl Disk {
    fn new() -> Disk {
        let dir = TempDir::new().unwrap();
        let (image, mount) = (dir.path().join("disk"), dir.path().join("mount"));
        std::fs::create_dir(&mount).unwrap();
        std::fs::File::create(&image).unwrap().set_len(256 << 20).unwrap();
        assert!(run("mkfs.ext4", &["-q", "-F", image.to_str().unwrap()]));
        let disk = Disk { _dir: dir, image, mount };
        disk.mount();
        disk
    }

    fn mount(&self) {
        // As few writes of its own accord as possible, and no order between data and names but the one that was asked for.
        let options = "loop,noauto_da_alloc,data=writeback,commit=300";
        let (image, mount) = (self.image.to_str().unwrap(), self.mount.to_str().unwrap());
        assert!(run("mount", &["-o", options, image, mount]), "these tests need root and a loop device");
    }

    fn cut(&self) {
        let script = "import fcntl, os, struct, sys\n\
                      fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))";
        assert!(run("python3", &["-c", script, self.mount.to_str().unwrap()]));
        assert!(std::fs::write(self.mount.join("dead"), "x").is_err(), "the power is still on");
    }

    /// Nobody has a file of it any more, soon.
    fn unmount(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !run("umount", &[self.mount.to_str().unwrap()]) {
            assert!(Instant::now() < deadline, "somebody still uses the disk");
            std::thread::sleep(Duration::from_millis(10));
        }
        // A mount namespace that was copied meanwhile, for some container of this machine, still has it for a moment.
        let devices = || Command::new("losetup").arg("-j").arg(&self.image).output().unwrap().stdout;
        while !devices().is_empty() {
            assert!(Instant::now() < deadline, "another mount namespace still has the disk");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run("umount", &["--lazy", self.mount.to_str().unwrap()]);
    }
}

/// What was acknowledged.
#[derive(Default)]
struct Promised {
    pushed: Mutex<BTreeMap<String, Digest>>,
    pulled: Mutex<BTreeMap<String, Digest>>,
}

fn noise_of(tag: &str) -> Vec<u8> {
    random(tag.bytes().fold(7, |seed: u32, byte| seed.wrapping_mul(31).wrapping_add(byte.into())), 150_000)
}

fn app(tag: &str) -> Built {
    image(&[
        Tar::new().file("base", "base").end(),
        Tar::new().file("app", tag).entry(Header::new(b'0', "noise"), &noise_of(tag)).end(),
    ])
}

/// Pushes an image as clients do, a layer in two chunks; false when the power went.
async fn push(registry: &BuiltIn, tag: &str, image: &Built) -> bool {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let send = async |method: &str, path: &str, body: &[u8]| {
        let request = Request::builder().method(method).uri(format!("http://{}{path}", registry.address));
        let request = request.header("content-type", MANIFEST).body(Full::new(Bytes::copy_from_slice(body))).unwrap();
        client.request(request).await.ok().filter(|answer| answer.status().is_success())
    };
    for blob in image.blobs() {
        let Some(begun) = send("POST", "/v2/app/blobs/uploads/", &[]).await else { return false };
        let place = begun.headers()["location"].to_str().unwrap().to_owned();
        let (first, second) = blob.split_at(blob.len() / 2);
        if send("PATCH", &place, first).await.is_none() {
            return false;
        }
        if send("PUT", &format!("{place}?digest={}", Digest::of(blob)), second).await.is_none() {
            return false;
        }
    }
    send("PUT", &format!("/v2/app/manifests/{tag}"), &image.manifest).await.is_some()
}

/// Pushes and pulls until the power goes.
fn work(disk: &Disk, round: usize, promised: &Arc<Promised>, cut_after: Duration) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let blobs = Blobs::open(disk.mount.join("blobs")).unwrap();
        let registry = Registry::open(disk.mount.join("registry"), blobs.clone(), Config::default()).unwrap();
        let registry = Arc::new(BuiltIn::serve(registry, blobs.clone(), TempDir::new().unwrap()).await);
        let mut options = options(&disk.mount);
        options.blobs = blobs;
        options.local = Some(registry.adapter());
        options.boot = format!("round {round}");
        let store = ImageStore::open(options).unwrap();
        let (done, number) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let pushers: Vec<_> = (0..3)
            .map(|_| {
                let (registry, store, promised) = (Arc::clone(&registry), store.clone(), Arc::clone(promised));
                let (done, number) = (Arc::clone(&done), Arc::clone(&number));
                tokio::spawn(async move {
                    while !done.load(Ordering::Relaxed) {
                        let tag = format!("{round}-{}", number.fetch_add(1, Ordering::Relaxed));
                        let image = app(&tag);
                        if !push(&registry, &tag, &image).await {
                            return;
                        }
                        promised.pushed.lock().unwrap().insert(tag.clone(), image.digest());
                        let text = format!("000000000000.dkr.ecr.us-east-1.amazonaws.com/app:{tag}");
                        let pulled = store.pull(&name(&text), &Auth::Anonymous, PullBehavior::Default, &|_| {}).await;
                        if pulled.is_err() {
                            return;
                        }
                        promised.pulled.lock().unwrap().insert(text, image.digest());
                    }
                })
            })
            .collect();
        tokio::time::sleep(cut_after).await;
        disk.cut();
        done.store(true, Ordering::Relaxed);
        for pusher in pushers {
            pusher.await.unwrap();
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(20));
}

/// Every file that bears a digest has the bytes of it.
fn check_blobs(dir: &Path) {
    for entry in std::fs::read_dir(dir.join("sha256")).unwrap() {
        let path = entry.unwrap().path();
        let digest = Digest::from_hex(path.file_name().unwrap().to_str().unwrap()).unwrap();
        assert_eq!(Digest::of(&std::fs::read(&path).unwrap()), digest, "a blob is not what its name says");
    }
}

fn check(disk: &Disk, round: usize, promised: &Promised) {
    check_blobs(&disk.mount.join("blobs"));
    let blobs = Blobs::open(disk.mount.join("blobs")).unwrap();
    let registry = Registry::open(disk.mount.join("registry"), blobs.clone(), Config::default()).unwrap();
    let key = RepositoryKey::new(&Config::default().default_scope, "app".parse().unwrap());
    let pushed = promised.pushed.lock().unwrap();
    for (tag, digest) in pushed.iter() {
        let target = Target::Tag(tag.parse().unwrap());
        assert_eq!(registry.resolve(&key, &target).unwrap().0, *digest, "{tag} was acknowledged");
    }
    // Whatever has a tag is whole, acknowledged or not.
    let tags = registry.tags(&key).unwrap_or_default();
    for tag in tags {
        let (digest, _) = registry.resolve(&key, &Target::Tag(tag)).unwrap();
        let manifest = Manifest::parse(None, &registry.manifest_bytes(&digest).unwrap()).unwrap();
        for blob in manifest.blobs {
            registry.blob_size(&key, &blob).unwrap();
        }
    }
    registry.collect(Duration::ZERO).unwrap();

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut options = options(&disk.mount);
        options.blobs = blobs;
        options.boot = format!("after round {round}");
        let store = ImageStore::open(options).unwrap();
        let pulled = promised.pulled.lock().unwrap().clone();
        for (text, digest) in &pulled {
            let stored = store.find(&name(text)).unwrap_or_else(|| panic!("{text} was pulled"));
            assert_eq!(stored.digest, *digest);
        }
        for stored in store.list() {
            let text = stored.name.to_string();
            let tag = text.rsplit_once(':').unwrap().1;
            let image = store.pull(&stored.name, &Auth::Anonymous, PullBehavior::Once, &|_| {}).await.unwrap();
            let read = |layer: usize, file: &str| std::fs::read(image.layers()[layer].dir.join(file)).unwrap();
            assert_eq!((read(0, "base"), read(1, "app")), (b"base".to_vec(), tag.as_bytes().to_vec()), "{text}");
            assert!(read(1, "noise") == noise_of(tag), "{text}: a file of a layer is torn");
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(20));
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_torn_is_served() {
    let disk = Disk::new();
    let promised = Arc::new(Promised::default());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut seed = now.subsec_nanos();
    for round in 0..10 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let cut_after = Duration::from_millis(u64::from(seed >> 16) % 400);
        work(&disk, round, &promised, cut_after);
        disk.unmount();
        disk.mount();
        check(&disk, round, &promised);
        // The next round begins with nothing of this one in anybody's memory.
        let deadline = Instant::now() + Duration::from_secs(20);
        while ImageStore::open(options(&disk.mount)).is_err() {
            assert!(Instant::now() < deadline, "somebody still has the images");
        }
    }
    assert!(!promised.pushed.lock().unwrap().is_empty() && !promised.pulled.lock().unwrap().is_empty());
}
