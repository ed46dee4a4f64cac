//! Layers that mean harm. Needs root, as unpacking does.

mod support;

use blobs::Digest;
use images::{Auth, Options, PullBehavior};
use support::image::{gzip, image_of, zstd};
use support::remote::{Access, Remote};
use support::tar::{Header, Tar};
use support::{Node, listing, name, until};

/// Unpacks a layer that means harm: it fails for `reason` and leaves nothing, or else it stays in its directory.
async fn check_hostile(what: &str, tar: impl FnOnce(Tar, &str) -> Tar, reason: Option<&str>) {
    let node = Node::new();
    let outside = node.dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), "secret").unwrap();
    let before = listing(&outside);
    let tar = tar(Tar::new(), outside.to_str().unwrap()).end();
    let result = node.unpack(&[Tar::new().file("below", "x").end(), tar]).await;
    assert_eq!(listing(&outside), before, "{what} reached outside");
    match (result, reason) {
        (Ok(_), None) => {}
        (Ok(image), Some(_)) => panic!("{what} was unpacked:\n{}", listing(&image.layers()[1].dir)),
        (Err(error), None) => panic!("{what}: {error}"),
        (Err(error), Some(reason)) => {
            let expected =
                format!("CannotPullContainerError: Error response from daemon: failed to register layer: {reason}");
            assert_eq!(error.cannot_pull_reason(), expected, "{what}");
            // The layer below may still be on its way.
            let left = |dirs: &[String]| dirs.len() > 1 || dirs.iter().any(|name| name.starts_with(".tmp-"));
            until(what, || !left(&node.layer_dirs())).await;
            assert!(node.store.list().is_empty(), "{what}");
        }
    }
}

#[tokio::test]
async fn no_entry_leaves_its_layer() {
    check_hostile("a path with ..", |tar, _| tar.file("../../../evil", "x"), Some("../../../evil: invalid path")).await;
    check_hostile("a path with .. inside", |tar, _| tar.file("a/../../evil", "x"), Some("a/../../evil: invalid path"))
        .await;
    check_hostile("an absolute path", |tar, outside| tar.file(&format!("{outside}/evil"), "x"), None).await;
    check_hostile("a symlink outside", |tar, outside| tar.symlink("l", outside).file("l/evil", "x"), None).await;
    // As many as the header of an entry has room for, with the path behind them.
    let climbing = "../".repeat(12);
    check_hostile(
        "a climbing symlink",
        |tar, outside| tar.symlink("l", &format!("{climbing}{}", &outside[1..])).file("l/evil", "x"),
        None,
    )
    .await;
    check_hostile(
        "a file in place of a symlink",
        |tar, outside| tar.symlink("l", &format!("{outside}/secret")).file("l", "overwritten"),
        None,
    )
    .await;
    check_hostile(
        "a directory's mode through a symlink",
        |tar, outside| tar.symlink("l", outside).entry(Header { mode: 0o777, uid: 9, ..Header::new(b'5', "l") }, b""),
        None,
    )
    .await;
    check_hostile(
        "a hard link to a file outside",
        |tar, outside| tar.hard_link("l", &format!("{outside}/secret")),
        Some("l: No such file or directory (os error 2)"),
    )
    .await;
    check_hostile(
        "a hard link through a symlink",
        |tar, outside| tar.symlink("out", outside).hard_link("l", "out/secret").file("l", "overwritten"),
        Some("l: No such file or directory (os error 2)"),
    )
    .await;
    check_hostile("a hard link with ..", |tar, _| tar.hard_link("l", "../../../secret"), Some("l: invalid path")).await;
    check_hostile(
        "a hard link to a directory",
        |tar, _| tar.dir("d").hard_link("l", "d"),
        Some("l: a hard link must lead to a file"),
    )
    .await;
    check_hostile(
        "whiteouts outside",
        |tar, outside| tar.symlink("l", outside).file("l/.wh.secret", "").file("l/.wh..wh..opq", ""),
        None,
    )
    .await;
    check_hostile("a whiteout of ..", |tar, _| tar.file("d/.wh...", ""), Some("d/.wh...: invalid whiteout")).await;
    check_hostile("a whiteout of nothing", |tar, _| tar.file("d/.wh.", ""), Some("d/.wh.: invalid whiteout")).await;
    check_hostile(
        "overlayfs's own mark",
        |tar, _| tar.device(b'3', "d", (0, 0)),
        Some("d: character device 0:0 is overlayfs's own mark"),
    )
    .await;
    check_hostile(
        "links in circles",
        |tar, _| tar.symlink("a", "b").symlink("b", "a").file("a/x", ""),
        Some("a/x: Too many levels of symbolic links (os error 40)"),
    )
    .await;
    check_hostile(
        "a file as a directory",
        |tar, _| tar.file("f", "x").file("f/x", ""),
        Some("f/x: Not a directory (os error 20)"),
    )
    .await;
    check_hostile(
        "a root that is a file",
        |tar, _| tar.file("./", "").symlink(".", "/"),
        Some(".: the root must be a directory"),
    )
    .await;
    check_hostile(
        "an owner that means none",
        |tar, _| tar.pax(&[("uid", b"4294967295")]).file("f", ""),
        Some("f: owner out of range"),
    )
    .await;
    let deep = "d/".repeat(3000);
    check_hostile(
        "a path without end",
        |tar, _| tar.pax(&[("path", deep.as_bytes())]).file("x", ""),
        Some(&format!("{}: File name too long (os error 36)", &deep[..256])),
    )
    .await;
}

#[tokio::test]
async fn a_tar_that_lies_is_refused() {
    let huge = |typeflag| Header { size: 1 << 62, ..Header::new(typeflag, "huge") };
    check_hostile("a giant file", |tar, _| tar.raw(huge(b'0'), b"x"), Some("huge: unexpected EOF")).await;
    let sparse = "invalid tar header: sparse files are not supported";
    check_hostile("a giant sparse file", |tar, _| tar.raw(huge(b'S'), b""), Some(sparse)).await;
    check_hostile(
        "a sparse file of pax",
        |tar, _| tar.pax(&[("GNU.sparse.major", b"1"), ("GNU.sparse.realsize", b"1099511627776")]).file("f", ""),
        Some(sparse),
    )
    .await;
    let too_large = "invalid tar header: extended header too large";
    check_hostile("a giant name", |tar, _| tar.raw(huge(b'L'), b"x"), Some(too_large)).await;
    let half = vec![b'x'; 600 * 1024];
    check_hostile(
        "names upon names",
        |tar, _| tar.pax(&[("a", &half)]).pax(&[("b", &half)]).file("f", ""),
        Some(too_large),
    )
    .await;
    check_hostile(
        "records for all entries",
        |tar, _| tar.extended(b'g', &[("a", &half[..5000])]).extended(b'g', &[("b", &half[..5000])]).file("f", ""),
        Some("invalid tar header: global header too large"),
    )
    .await;
    check_hostile(
        "an unknown kind",
        |tar, _| tar.entry(Header::new(b'?', "f"), b""),
        Some("invalid tar header: unknown type of entry"),
    )
    .await;
    check_hostile(
        "a size that is none",
        |tar, _| tar.pax(&[("size", b"-1")]).file("f", ""),
        Some("invalid tar header: number"),
    )
    .await;
    check_hostile(
        "a size without end",
        |tar, _| tar.pax(&[("size", b"18446744073709551615")]).file("f", ""),
        Some("invalid tar header: number out of range"),
    )
    .await;
    check_hostile(
        "an attribute without a name",
        |tar, _| tar.pax(&[("SCHILY.xattr.", b"x")]).file("f", ""),
        Some("f: invalid extended attribute"),
    )
    .await;
}

/// Pulls an image of one layer that travels as given and claims to be `diff_id` when plain.
async fn check_refused(travelling: Vec<u8>, diff_id: Digest, reason: &str) {
    let node = Node::with(|options| Options { unpacked_bytes_max: 4 << 20, ..options });
    let remote = Remote::start(Access::Open).await;
    let app = remote.offer("app:1", &image_of("amd64", vec![travelling], vec![diff_id]));
    let error = node.store.pull(&name(&app), &Auth::Anonymous, PullBehavior::Default, &|_| {}).await.unwrap_err();
    assert_eq!(error.to_string(), format!("failed to register layer: {reason}"));
    assert!(node.layer_dirs().is_empty(), "something is left: {:?}", node.layer_dirs());
    assert!(node.store.list().is_empty());
}

#[tokio::test]
async fn a_stream_that_decompresses_without_end_is_stopped() {
    let zeros = vec![0; 64 << 20];
    let bomb = Tar::new().entry(Header::new(b'0', "zeros"), &zeros).end();
    check_refused(gzip(&bomb), Digest::of(&bomb), "zeros: it unpacks to too much").await;
    check_refused(zstd(&bomb), Digest::of(&bomb), "zeros: it unpacks to too much").await;
    let behind_the_end = [Tar::new().file("f", "x").end(), zeros].concat();
    check_refused(gzip(&behind_the_end), Digest::of(&behind_the_end), "it unpacks to too much").await;
}

#[tokio::test]
async fn broken_compression_and_wrong_content_are_refused() {
    let tar = Tar::new().entry(Header::new(b'0', "f"), &(0..=255).cycle().take(100_000).collect::<Vec<u8>>()).end();
    let digest = Digest::of(&tar);
    let zipped = gzip(&tar);
    check_refused(zipped[..zipped.len() - 9].to_vec(), digest, "unexpected EOF").await;
    check_refused([&zipped[..], b"garbage that goes on"].concat(), digest, "invalid gzip header").await;
    let other = Digest::of(b"other");
    let verification =
        format!("filesystem layer verification failed for digest {other}: digest mismatch, got {digest}");
    check_refused(zipped, other, &verification).await;
}
