//! What comes out of a layer, and what does not get out of it. Needs root: overlayfs marks what is deleted by devices.

mod support;

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use expect_test::{Expect, expect};
use support::tar::{Header, Tar};
use support::{Node, listing};

/// Unpacks layers, lowest first, and looks at the topmost.
async fn check(layers: &[Tar], expected: Expect) {
    let node = Node::new();
    let layers: Vec<Vec<u8>> = layers.iter().map(Tar::finished).collect();
    let image = node.unpack(&layers).await.unwrap_or_else(|error| panic!("{error}"));
    expected.assert_eq(&listing(&image.layers().last().unwrap().dir));
}

#[tokio::test]
async fn entries_keep_their_kind_mode_owner_and_content() {
    let long = "long-".repeat(25) + "/name";
    let tar = Tar::new()
        .dir("./")
        .entry(Header { mode: 0o1777, ..Header::new(b'5', "tmp/") }, b"")
        .entry(Header { mode: 0o4755, uid: 10, gid: 20, ..Header::new(b'0', "/bin/su") }, b"su")
        .symlink("bin/sh", "su")
        .hard_link("bin/su2", "./bin/su")
        .device(b'3', "dev/null", (1, 3))
        .device(b'4', "dev/disk", (8, 0))
        .device(b'6', "dev/pipe", (0, 0))
        .entry(Header::new(b'L', "././@LongLink"), long.as_bytes())
        .file("cut", "by GNU's long name")
        .pax(&[("path", "pax/größe".as_bytes()), ("uid", b"3000000"), ("mtime", b"1.5")])
        .file("cut", "by pax")
        .file("old-directory/", "");
    check(
        &[tar],
        expect![[r#"
            bin d755 0:0
            bin/sh l777 0:0 -> su
            bin/su -4755 10:20 "su"
            bin/su2 -4755 10:20 "su"
            dev d755 0:0
            dev/disk b644 0:0
            dev/null c644 0:0 259
            dev/pipe p644 0:0
            long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long- d755 0:0
            long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-/name -644 0:0 "by GNU's long name"
            old-directory d644 0:0
            pax d755 0:0
            pax/größe -644 3000000:0 "by pax"
            tmp d1777 0:0"#]],
    )
    .await;
}

#[tokio::test]
async fn times_and_attributes_are_kept_and_overlayfs_own_marks_are_not() {
    let node = Node::new();
    let marks: &[(&str, &[u8])] = &[
        ("SCHILY.xattr.user.note", b"kept"),
        ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
        ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
        ("mtime", b"1234567890.25"),
    ];
    let tar = Tar::new().pax(marks).dir("d").file("d/f", "x").pax(marks).file("f", "x");
    let image = node.unpack(&[tar.end()]).await.unwrap();
    for entry in ["d", "f"] {
        let path = image.layers()[0].dir.join(entry);
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (1_234_567_890, 250_000_000), "{entry}");
        let mut names = vec![0; 1024];
        let length = rustix::fs::llistxattr(&path, &mut names[..]).unwrap();
        assert_eq!(String::from_utf8_lossy(&names[..length]), "user.note\0", "{entry}");
    }
}

#[tokio::test]
async fn a_later_entry_replaces_an_earlier_one() {
    let tar = Tar::new()
        .file("file", "old")
        .file("file", "new")
        .dir("dir")
        .file("dir/inside", "x")
        .file("dir", "a file now")
        .symlink("link", "elsewhere")
        .dir("elsewhere")
        .file("link/through", "the link")
        .dir("link")
        .file("link/inside", "the directory that took the link's place")
        .file("same", "itself")
        .hard_link("same", "same");
    check(
        &[tar],
        expect![[r#"
            dir -644 0:0 "a file now"
            elsewhere d755 0:0
            elsewhere/through -644 0:0 "the link"
            file -644 0:0 "new"
            link d755 0:0 opaque
            link/inside -644 0:0 "the directory that took the link"
            same -644 0:0 "itself""#]],
    )
    .await;
}

#[tokio::test]
async fn deletions_become_overlayfs_marks() {
    let below = Tar::new().dir("a").file("a/one", "1").file("a/two", "2").dir("b").file("b/old", "x").file("c", "x");
    let above = Tar::new()
        .dir("a")
        .file("a/.wh.one", "")
        .dir("b")
        .file("b/new", "y")
        .file("b/.wh..wh..opq", "")
        .file(".wh.c", "")
        .dir("c")
        .file("c/inside", "a directory now")
        .file(".wh..wh.plnk", "left by AUFS");
    check(
        &[below, above],
        expect![[r#"
            a d755 0:0
            a/one c0 0:0 0
            b d755 0:0 opaque
            b/new -644 0:0 "y"
            c d755 0:0 opaque
            c/inside -644 0:0 "a directory now""#]],
    )
    .await;
}

#[tokio::test]
async fn a_layer_is_unpacked_over_those_below_when_it_needs_them() {
    let below = Tar::new()
        .entry(Header { mode: 0o700, uid: 5, gid: 6, ..Header::new(b'5', "home") }, b"")
        .dir("usr")
        .dir("usr/lib")
        .entry(Header { mode: 0o755, uid: 7, gid: 8, ..Header::new(b'0', "usr/lib/big") }, b"below")
        .symlink("lib", "usr/lib")
        .dir("gone")
        .file("gone/old", "x");
    let middle = Tar::new().file(".wh.gone", "");
    let above = Tar::new()
        .file("lib/through", "the link below")
        .hard_link("copy", "lib/big")
        .file("home/file", "in a directory below")
        .file("gone/new", "in a directory that was deleted");
    check(
        &[below, middle, above],
        expect![[r#"
            copy -755 7:8 "below"
            gone d755 0:0
            gone/new -644 0:0 "in a directory that was deleted"
            home d700 5:6
            home/file -644 0:0 "in a directory below"
            usr d755 0:0
            usr/lib d755 0:0
            usr/lib/big -755 7:8 "below"
            usr/lib/through -644 0:0 "the link below""#]],
    )
    .await;
}

struct Mount<'a>(&'a Path);

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[tokio::test]
async fn overlayfs_shows_the_layers_as_docker_would() {
    let node = Node::new();
    let below =
        Tar::new().dir("a").file("a/one", "1").dir("b").file("b/old", "x").file("c", "x").file("d", "low").end();
    let middle = Tar::new().file(".wh.c", "").dir("b").file("b/.wh..wh..opq", "").file("b/new", "y").end();
    let above = Tar::new().dir("a").file("a/.wh.one", "").file("a/two", "2").file("d", "high").end();
    let image = node.unpack(&[below, middle, above]).await.unwrap();
    let merged = node.dir.path().join("merged");
    std::fs::create_dir(&merged).unwrap();
    let lower: Vec<String> = image.layers().iter().rev().map(|layer| layer.dir.display().to_string()).collect();
    let options = format!("lowerdir={}", lower.join(":"));
    let mounted =
        Command::new("mount").args(["-t", "overlay", "-o", &options, "overlay"]).arg(&merged).output().unwrap();
    assert!(mounted.status.success(), "{}", String::from_utf8_lossy(&mounted.stderr));
    let _mount = Mount(&merged);
    expect![[r#"
        a d755 0:0
        a/two -644 0:0 "2"
        b d755 0:0
        b/new -644 0:0 "y"
        d -644 0:0 "high""#]]
    .assert_eq(&listing(&merged));
}
