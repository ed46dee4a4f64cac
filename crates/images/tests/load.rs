//! Images from archives: what docker save and skopeo write, and OCI layouts.

mod support;

use std::io::Cursor;
use std::path::{Path, PathBuf};

use blobs::Digest;
use images::{Auth, ErrorKind, Loaded, Options, Origin, Platform, PullBehavior};
use serde_json::{Value, json};
use support::archive::{docker_save, in_tar, layout, plain_layers};
use support::image::{Built, MANIFEST, descriptor, gzip, image, image_of, index, zstd};
use support::local::BuiltIn;
use support::remote::{Access, Remote};
use support::tar::Tar;
use support::{Node, listing, name, names};

fn in_folder(dir: &Path, files: &[(String, Vec<u8>)]) -> PathBuf {
    let root = dir.join("layout");
    for (path, bytes) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    root
}

fn named(bytes: &[u8], annotations: Value) -> Value {
    let mut entry = descriptor(MANIFEST, bytes);
    entry["annotations"] = annotations;
    entry
}

fn shown(loaded: &Loaded) -> Vec<String> {
    loaded.names.iter().map(|name| name.familiar()).collect()
}

async fn check_app(node: &Node, text: &str) {
    // Without a registry: the name leads nowhere.
    for behavior in [PullBehavior::Default, PullBehavior::Once, PullBehavior::PreferCached] {
        let image =
            node.pull_as(text, &Auth::Anonymous, behavior).await.unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(std::fs::read_to_string(image.layers()[1].dir.join("app")).unwrap(), "app");
    }
}

#[tokio::test]
async fn what_docker_save_writes_is_loaded() {
    let archive = docker_save(json!(["app:1", "registry.invalid/team/app:2"]));
    let mut digests = Vec::new();
    for archive in [archive.clone(), gzip(&archive), zstd(&archive)] {
        let node = Node::new();
        let loaded = node.load(&archive).await.unwrap();
        assert_eq!(shown(&loaded), ["app:1", "registry.invalid/team/app:2"]);
        let [image] = &loaded.images[..] else { panic!("one image") };
        let found: Vec<String> = image.layers().iter().map(|layer| listing(&layer.dir)).collect();
        assert_eq!(found, ["base -644 0:0 \"base\"", "app -644 0:0 \"app\"", "base -644 0:0 \"base\""]);
        assert_eq!(image.config().command.as_deref(), Some(&["/app".to_owned()][..]));
        check_app(&node, "app:1").await;
        check_app(&node, "registry.invalid/team/app:2").await;
        // A control plane that pins what it runs names the digest.
        check_app(&node, &format!("app@{}", image.digest())).await;
        check_app(&node, &format!("app:1@{}", image.digest())).await;
        assert!(node.store.list().iter().all(|stored| stored.origin == Origin::Loaded));
        digests.push(image.digest());
    }
    assert!(digests.iter().all(|digest| *digest == digests[0]), "the same image has the same digest everywhere");
    // `always` means what it says.
    let node = Node::new();
    node.load(&archive).await.unwrap();
    let error = node.pull_as("registry.invalid/team/app:2", &Auth::Anonymous, PullBehavior::Always).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn an_image_without_a_name_is_loaded_too() {
    let node = Node::new();
    let loaded = node.load(&docker_save(Value::Null)).await.unwrap();
    assert!(loaded.names.is_empty() && node.store.list().is_empty());
    assert_eq!(loaded.images.len(), 1);
}

#[tokio::test]
async fn loading_again_writes_nothing() {
    let archive = docker_save(json!(["app:1"]));
    let layers = plain_layers();
    let built = image(&layers);
    let entries = vec![named(&built.manifest, json!({"io.containerd.image.name": "docker.io/library/oci:1"}))];
    let oci = in_tar(&layout(&[&built], &[], entries));
    for archive in [archive, oci] {
        let node = Node::new();
        let first = node.load(&archive).await.unwrap();
        let stored = node.store.list();
        let inodes = || -> Vec<u64> {
            use std::os::unix::fs::MetadataExt;
            let dirs = ["blobs/sha256", "images/layers", "images/references"].map(|dir| node.dir.path().join(dir));
            let files = dirs.iter().flat_map(|dir| names(dir).into_iter().map(move |name| dir.join(name)));
            files.map(|path| std::fs::metadata(path).unwrap().ino()).collect()
        };
        let before = inodes();
        let second = node.load(&archive).await.unwrap();
        assert_eq!((second.names, inodes(), node.store.list()), (first.names, before, stored));
        let node = node.reopen();
        assert!(node.load(&archive).await.is_ok());
        assert!(node.store.find(&name("app:1")).or(node.store.find(&name("oci:1"))).is_some());
    }
}

#[tokio::test]
async fn a_stream_is_loaded() {
    let node = Node::new();
    for archive in [docker_save(json!(["app:1"])), gzip(&docker_save(json!(["app:1"])))] {
        let loaded = node.store.load_from(Cursor::new(archive)).await.unwrap();
        assert_eq!(shown(&loaded), ["app:1"]);
        assert_eq!(names(&node.dir.path().join("images")), ["layers", "lock", "references"], "nothing is left aside");
    }
    let error = node.store.load_from(Cursor::new(b"no archive".to_vec())).await.unwrap_err();
    assert_eq!(error.to_string(), "invalid archive: unexpected EOF");
}

#[tokio::test]
async fn an_oci_layout_is_loaded_from_folder_and_tar() {
    let [base, app] = plain_layers();
    let build = |architecture: &str, layers: Vec<Vec<u8>>| {
        image_of(architecture, layers, vec![Digest::of(&base), Digest::of(&app)])
    };
    let (intel, arm) = (build("amd64", vec![gzip(&base), zstd(&app)]), build("arm64", vec![base.clone(), app.clone()]));
    let platform = |architecture: &str| json!({"os": "linux", "architecture": architecture});
    let both = index(&[(&arm, platform("arm64")), (&intel, platform("amd64"))]);
    let entries = vec![
        named(&intel.manifest, json!({"org.opencontainers.image.ref.name": "registry.invalid/intel:1"})),
        named(
            &both,
            json!({"io.containerd.image.name": "docker.io/library/both:1", "org.opencontainers.image.ref.name": "1"}),
        ),
        named(&intel.manifest, json!({"org.opencontainers.image.ref.name": "word"})),
    ];
    let files = layout(&[&intel, &arm], &[&both], entries);
    let archive = in_tar(&files);
    for form in ["folder", "tar", "gzipped tar"] {
        let node = Node::new();
        let loaded = match form {
            "folder" => node.store.load(&in_folder(node.dir.path(), &files)).await,
            "tar" => node.load(&archive).await,
            _ => node.load(&gzip(&archive)).await,
        };
        let loaded = loaded.unwrap_or_else(|error| panic!("{form}: {error}"));
        assert_eq!(shown(&loaded), ["both:1", "word:latest", "registry.invalid/intel:1"], "{form}");
        assert_eq!(node.store.find(&name("both:1")).unwrap().digest, Digest::of(&both));
        assert_eq!(node.store.find(&name("word")).unwrap().digest, intel.digest());
        for text in ["both:1", "word", "registry.invalid/intel:1"] {
            check_app(&node, text).await;
        }
        let arm_only = node.dir.path().join("blobs/sha256").join(Digest::of(&arm.config).hex());
        assert!(!arm_only.exists(), "{form}: what is for other machines stays in the archive");
    }
    let node = Node::with(|options| Options { platform: Platform::linux("arm64"), ..options });
    let loaded = node.load(&archive).await.unwrap();
    assert_eq!(loaded.images.len(), 2);
}

#[tokio::test]
async fn a_layout_may_list_the_variants_itself_and_name_them_as_docker_does() {
    let build = |architecture: &str| {
        let layer = Tar::new().file("app", architecture).end();
        image_of(architecture, vec![gzip(&layer)], vec![Digest::of(&layer)])
    };
    let (intel, arm) = (build("amd64"), build("arm64"));
    let entry = |built: &Built, architecture: &str| {
        let mut entry = named(&built.manifest, json!({"org.opencontainers.image.ref.name": "1"}));
        entry["platform"] = json!({"os": "linux", "architecture": architecture});
        entry
    };
    let mut attestation = descriptor(MANIFEST, b"an attestation that nobody reads");
    attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    let mut files = layout(&[&intel, &arm], &[], vec![entry(&arm, "arm64"), attestation, entry(&intel, "amd64")]);
    let config = format!("blobs/sha256/{}", Digest::of(&intel.config).hex());
    let list = json!([{"Config": config, "RepoTags": ["app:1"], "Layers": []}]);
    files.push(("manifest.json".to_owned(), list.to_string().into_bytes()));
    let node = Node::new();
    let loaded = node.load(&in_tar(&files)).await.unwrap();
    assert_eq!(shown(&loaded), ["app:1"]);
    let [image] = &loaded.images[..] else { panic!("the attestation is no image") };
    assert_eq!(image.platform(), &Platform::linux("amd64"));
}

#[tokio::test]
async fn skopeos_archives_are_loaded() {
    let layers = plain_layers();
    let built = image(&layers);
    let registry = BuiltIn::start().await;
    let source = format!("docker://{}", registry.push("app:1", &built).await);
    let work = tempfile::tempdir().unwrap();
    for (transport, tag, format) in [
        ("docker-archive", "registry.invalid/app:1", "v2s2"),
        ("oci-archive", "registry.invalid/app:1", "oci"),
        ("oci", "registry.invalid/app:1", "oci"),
    ] {
        let path = work.path().join(transport);
        let target = format!("{transport}:{}:{tag}", path.display());
        let arguments = ["copy", "--insecure-policy", "--src-tls-verify=false", "--format", format, &source, &target];
        let output = tokio::process::Command::new("skopeo").args(arguments).output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let node = Node::new();
        let loaded = node.store.load(&path).await.unwrap_or_else(|error| panic!("{transport}: {error}"));
        assert_eq!(shown(&loaded), [tag], "{transport}");
        check_app(&node, tag).await;
    }
}

#[tokio::test]
async fn a_name_that_was_loaded_can_be_pulled_and_the_other_way_round() {
    let remote = Remote::start(Access::Open).await;
    let pulled = image(&[Tar::new().file("pulled", "").end()]);
    let text = remote.offer("app:1", &pulled);
    let node = Node::new();
    node.load(&docker_save(json!([text]))).await.unwrap();
    assert_eq!(node.store.list()[0].origin, Origin::Loaded);
    check_app(&node, &text).await;
    assert_eq!(remote.asked("/v2/"), 0, "an image from an archive came from no registry");
    node.pull_as(&text, &Auth::Anonymous, PullBehavior::Always).await.unwrap();
    let [stored] = &node.store.list()[..] else { panic!("one name") };
    assert_eq!((stored.origin, stored.digest), (Origin::Pulled, pulled.digest()));
    node.load(&docker_save(json!([text]))).await.unwrap();
    check_app(&node, &text).await;

    // The built-in registry costs no network, and what was pushed there under the same name is newer news.
    let registry = BuiltIn::start().await;
    let node = Node::local(registry.adapter(), registry.blobs.clone());
    let text = format!("{}/app:1", registry.address);
    node.load(&docker_save(json!([text]))).await.unwrap();
    check_app(&node, &text).await;
    registry.push("app:1", &pulled).await;
    assert_eq!(node.pull(&text).await.unwrap().digest(), pulled.digest());
}
