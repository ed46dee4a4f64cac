//! Archives that make no sense, or mean harm.

mod support;

use std::path::Path;
use std::process::Command;

use blobs::Digest;
use images::Options;
use serde_json::{Value, json};
use support::Node;
use support::archive::{in_tar, layout, plain_layers, put};
use support::image::{INDEX, MANIFEST, descriptor, gzip, image, index};
use support::tar::{Header, Tar};

#[tokio::test]
async fn archives_that_make_no_sense_are_refused_and_leave_no_name() {
    let [base, app] = plain_layers();
    let built = image(&[base.clone(), app.clone()]);
    let config = format!("{}.json", Digest::of(&built.config).hex());
    let list = |config: &str, layers: &[&str]| {
        json!([{"Config": config, "RepoTags": ["app:1"], "Layers": layers}]).to_string().into_bytes()
    };
    let docker = |list: &[u8], layers: &[(&str, &[u8])]| {
        let tar = layers.iter().fold(Tar::new(), |tar, (path, bytes)| put(tar, path, bytes));
        put(put(tar, &config, &built.config), "manifest.json", list).end()
    };
    let both: &[(&str, &[u8])] = &[("a", &base), ("b", &app)];
    let good = list(&config, &["a", "b"]);
    let oci = |entry: Value, files: &[&[u8]]| in_tar(&layout(&[], files, vec![entry]));
    let missing = Digest::of(b"missing");
    let circles = put(Tar::new().symlink("a", "b").symlink("b", "a"), &config, &built.config);
    let circles = put(circles, "manifest.json", &good).end();
    let foreign = index(&[(&built, json!({"os": "linux", "architecture": "s390x"}))]);
    let shouted = json!([{"Config": config, "RepoTags": ["NO:1"], "Layers": ["a", "b"]}]).to_string().into_bytes();
    let entry = json!({"mediaType": MANIFEST, "digest": missing, "size": 1});
    let other = vec![
        (format!("blobs/sha256/{}", missing.hex()), built.manifest.clone()),
        ("index.json".to_owned(), json!({"schemaVersion": 2, "manifests": [entry]}).to_string().into_bytes()),
    ];
    let neither = "it has neither an index.json, as an OCI layout, nor a manifest.json, as docker save writes it";
    let verification = "failed to register layer: filesystem layer verification failed for digest";
    for (what, archive, expected) in [
        ("nothing", Tar::new().end(), format!("invalid archive: {neither}")),
        ("no tar", vec![b'x'; 2000], "invalid archive: invalid tar header: number".to_owned()),
        ("half a tar", docker(&good, both)[..1800].to_vec(), "invalid archive: unexpected EOF".to_owned()),
        ("half a gzip", gzip(&docker(&good, both))[..100].to_vec(), "invalid archive: unexpected EOF".to_owned()),
        (
            "no list",
            docker(b"{}", both),
            "invalid archive: invalid type: map, expected a sequence at line 1 column 0".to_owned(),
        ),
        (
            "no configuration",
            docker(&list("none.json", &["a", "b"]), both),
            "invalid archive: none.json is missing".to_owned(),
        ),
        (
            "a configuration outside",
            docker(&list("../../etc/passwd", &["a", "b"]), both),
            "invalid archive: ../../etc/passwd is missing".to_owned(),
        ),
        (
            "a layer too few",
            docker(&list(&config, &["a"]), both),
            format!("invalid archive: {config} has 1 layers, and not 2"),
        ),
        ("no layer", docker(&good, &both[..1]), "invalid archive: b is missing".to_owned()),
        (
            "one file for two layers",
            docker(&list(&config, &["a", "a"]), both),
            "invalid archive: a cannot be two layers".to_owned(),
        ),
        (
            "the wrong layer",
            docker(&good, &[("a", &base), ("b", &base)]),
            format!("{verification} {}: digest mismatch, got {}", Digest::of(&app), Digest::of(&base)),
        ),
        ("a path outside", put(Tar::new(), "../x", b"x").end(), "invalid archive: invalid path".to_owned()),
        ("links in circles", circles, "invalid archive: a is missing".to_owned()),
        (
            "a name that is none",
            docker(&shouted, both),
            "invalid reference format: repository name (library/NO) must be lowercase".to_owned(),
        ),
        (
            "no manifest",
            oci(descriptor(MANIFEST, b"gone"), &[]),
            format!("invalid archive: {} is missing", Digest::of(b"gone")),
        ),
        (
            "no layer in a layout",
            oci(descriptor(MANIFEST, &built.manifest), &[&built.manifest, &built.config, &built.layers[1]]),
            format!("invalid archive: blobs/sha256/{} is missing", Digest::of(&built.layers[0]).hex()),
        ),
        (
            "another platform",
            oci(descriptor(INDEX, &foreign), &[&foreign]),
            "no matching manifest for linux/amd64 in the manifest list entries".to_owned(),
        ),
        (
            "a manifest that is another",
            in_tar(&other),
            format!("digest mismatch for manifest: expected {missing}, got {}", built.digest()),
        ),
    ] {
        let node = Node::new();
        let error = node.load(&archive).await.expect_err(what);
        assert_eq!(error.to_string(), expected, "{what}");
        assert!(node.store.list().is_empty(), "{what} left a name");
        assert!(node.layer_dirs().iter().all(|name| !name.starts_with(".tmp-")), "{what}");
    }
    let node = Node::new();
    let error = node.store.load(Path::new("/does/not/exist")).await.unwrap_err();
    assert_eq!(error.to_string(), "failed to open /does/not/exist: No such file or directory (os error 2)");
    // A pipe that nobody writes to does not hold anybody up.
    let pipe = node.dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert!(node.store.load(&pipe).await.is_err());
}

#[tokio::test]
async fn an_archive_that_decompresses_without_end_is_stopped() {
    let node = Node::with(|options| Options { unpacked_bytes_max: 4 << 20, ..options });
    let zeros = vec![0; 32 << 20];
    let bomb = put(Tar::new(), "layer.tar", &zeros).end();
    let error = node.load(&gzip(&bomb)).await.unwrap_err();
    assert_eq!(error.to_string(), "invalid archive: it unpacks to too much");
    // A compressed layer in an archive that is small itself.
    let tar = Tar::new().entry(Header::new(b'0', "zeros"), &zeros).end();
    let built = image(std::slice::from_ref(&tar));
    let config = format!("{}.json", Digest::of(&built.config).hex());
    let list = json!([{"Config": config, "RepoTags": ["app:1"], "Layers": ["a"]}]).to_string();
    let archive =
        put(put(put(Tar::new(), "a", &gzip(&tar)), &config, &built.config), "manifest.json", list.as_bytes()).end();
    let error = node.load(&archive).await.unwrap_err();
    assert_eq!(error.to_string(), "invalid archive: it unpacks to too much");
    assert_eq!(node.blob_count(), 0);
}
