//! What single entries, and entries over those of other layers, could do to a node: all of it stays in the layer's directory,
//! or is refused in the words of `CannotPullContainerError`. Needs root, as unpacking does.

mod support;

use expect_test::{Expect, expect};
use support::tar::{Header, Tar};
use support::{Node, listing, until};

enum Expected {
    /// The topmost layer's directory.
    Contained(Expect),
    Refused(&'static str),
}
use Expected::{Contained, Refused};

/// Unpacks layers, lowest first; `outside` is a directory that they may not reach.
async fn check(what: &str, layers: impl FnOnce(&str) -> Vec<Tar>, expected: Expected) {
    let node = Node::new();
    let outside = node.dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), "secret").unwrap();
    let before = listing(&outside);
    let layers: Vec<Vec<u8>> = layers(outside.to_str().unwrap()).into_iter().map(Tar::end).collect();
    let result = node.unpack(&layers).await;
    assert_eq!(listing(&outside), before, "{what} reached outside");
    match (result, expected) {
        (Ok(image), Contained(expected)) => {
            let found = listing(&image.layers().last().unwrap().dir);
            expected.assert_eq(&found.replace(outside.to_str().unwrap().trim_start_matches('/'), "OUTSIDE"));
        }
        (Ok(image), Refused(_)) => panic!("{what} was unpacked:\n{}", listing(&image.layers().last().unwrap().dir)),
        (Err(error), Contained(_)) => panic!("{what}: {error}"),
        (Err(error), Refused(reason)) => {
            let said = error.cannot_pull_reason();
            let words = "CannotPullContainerError: Error response from daemon: failed to register layer: ";
            assert_eq!(said.strip_prefix(words), Some(reason), "{what}: {said}");
            let half_done = |dirs: &[String]| dirs.iter().any(|name| name.starts_with(".tmp-"));
            until(what, || !half_done(&node.layer_dirs())).await;
            assert!(node.store.list().is_empty(), "{what}");
        }
    }
}

/// A layer whose only link leads outside, and one above that goes through it.
fn over(link: impl Fn(&str) -> String, above: Tar) -> impl FnOnce(&str) -> Vec<Tar> {
    move |outside| vec![Tar::new().dir("d").symlink("d/out", &link(outside)), above]
}

#[tokio::test]
async fn links_of_lower_layers_lead_nowhere_else() {
    let absolute = |outside: &str| outside.to_owned();
    let climbing = |outside: &str| format!("{}{}", "../".repeat(12), &outside[1..]);
    // The parents of the way to it are made in the layer; nobody needs to see all of them.
    for (what, link) in [("an absolute link", &absolute as &dyn Fn(&str) -> String), ("a climbing link", &climbing)] {
        let node = Node::new();
        let outside = node.dir.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("secret"), "secret").unwrap();
        let below = Tar::new().dir("d").symlink("d/out", &link(outside.to_str().unwrap())).end();
        let above = Tar::new().file("d/out/evil", "x").file("d/out/secret", "y").file("d/out/.wh.old", "").end();
        let image = node.unpack(&[below, above]).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(listing(&outside), "secret -644 0:0 \"secret\"", "{what}");
        let inside = image.layers()[1].dir.join(&outside.to_str().unwrap()[1..]);
        assert_eq!(listing(&inside), "evil -644 0:0 \"x\"\nold c0 0:0 0\nsecret -644 0:0 \"y\"", "{what}");
    }
    let linked = || Tar::new().hard_link("l", "d/out/secret");
    check(
        "a hard link through a link below",
        over(absolute, linked()),
        Refused("l: No such file or directory (os error 2)"),
    )
    .await;
    let circle = |_: &str| "../d/out".to_owned();
    check(
        "links in circles below",
        over(circle, Tar::new().file("d/out/x", "")),
        Refused("d/out/x: Too many levels of symbolic links (os error 40)"),
    )
    .await;
    check(
        "a directory in place of a link below",
        over(absolute, Tar::new().dir("d").dir("d/out").file("d/out/x", "inside")),
        Contained(expect![[r#"
            d d755 0:0
            d/out d755 0:0
            d/out/x -644 0:0 "inside""#]]),
    )
    .await;
    check(
        "a file below used as a directory",
        |_| vec![Tar::new().file("f", "x"), Tar::new().file("f/x", "y")],
        Refused("f/x: Not a directory (os error 20)"),
    )
    .await;
    check(
        "a hard link to a device below",
        |_| vec![Tar::new().device(b'3', "null", (1, 3)), Tar::new().hard_link("l", "null")],
        Refused("l: a hard link must lead to a file"),
    )
    .await;
}

#[tokio::test]
async fn special_files_are_files_of_the_layer_where_only_root_may_go() {
    use std::os::unix::fs::MetadataExt;
    let node = Node::new();
    let layer = Tar::new()
        .device(b'3', "kmem", (1, 2))
        .device(b'4', "disk", (8, 0))
        .entry(Header::new(b'6', "pipe"), b"")
        .entry(Header { mode: 0o6755, ..Header::new(b'0', "su") }, b"x")
        .entry(Header { mode: 0o7777, ..Header::new(b'5', "open") }, b"");
    let image = node.unpack(&[layer.end()]).await.unwrap();
    expect![[r#"
        disk b644 0:0
        kmem c644 0:0 258
        open d7777 0:0
        pipe p644 0:0
        su -6755 0:0 "x""#]]
    .assert_eq(&listing(&image.layers()[0].dir));
    let layers = node.dir.path().join("images/layers");
    assert_eq!(std::fs::metadata(layers).unwrap().mode() & 0o7777, 0o700, "a user of the node could run them");
}

#[tokio::test]
async fn marks_of_deletion_stay_marks() {
    for name in [".wh.", ".wh..", ".wh...", "d/.wh..", "d/.wh..."] {
        let node = Node::new();
        let error = node.unpack(&[Tar::new().dir("d").file(name, "").end()]).await.unwrap_err().cannot_pull_reason();
        assert!(error.ends_with(&format!("failed to register layer: {name}: invalid whiteout")), "{error}");
    }
    check(
        "everything below is hidden",
        |_| {
            vec![
                Tar::new().file("f", "x"),
                Tar::new().file(".wh..wh..opq", "").file("g", "y").file("./.wh..wh..opq", ""),
            ]
        },
        Contained(expect![[r#"g -644 0:0 "y""#]]),
    )
    .await;
    check(
        "a mark over what the layer itself has",
        |_| vec![Tar::new().dir("d").file("d/f", "x").file(".wh.d", "").file("d/g", "y").file(".wh.d/f", "")],
        Contained(expect![[r#"
            .wh.d d755 0:0
            .wh.d/f -644 0:0 ""
            d d755 0:0 opaque
            d/f -644 0:0 "x"
            d/g -644 0:0 "y""#]]),
    )
    .await;
}

#[tokio::test]
async fn of_entries_with_one_name_the_last_counts() {
    let kinds = |tar: Tar, name: &str| {
        tar.file(name, "one")
            .dir(name)
            .file(&format!("{name}/inside"), "x")
            .symlink(name, "/etc")
            .entry(Header::new(b'6', name), b"")
            .device(b'3', name, (1, 3))
            .file(&format!(".wh.{name}"), "")
            .hard_link(name, "other")
            .file(name, "last")
    };
    check(
        "one name for everything",
        |_| vec![kinds(Tar::new().file("other", "o"), "n")],
        Contained(expect![[r#"
            n -644 0:0 "last"
            other -644 0:0 "o""#]]),
    )
    .await;
}

#[tokio::test]
async fn headers_that_lie_are_refused() {
    let extended = |bytes: &'static [u8]| {
        move |_: &str| vec![Tar::new().entry(Header::new(b'x', "PaxHeader"), bytes).file("f", "x")]
    };
    let record = "invalid tar header: pax record";
    for bytes in [
        &b"99999999999999999999999 path=x\n"[..],
        b"18446744073709551615 path=x\n",
        b"1 path=x\n",
        b"0 path=x\n",
        b"-9 path=x\n",
        b"9 path=x",
        b"8 path=x\n",
        b"9 pathxx\n",
        b"path=x\n",
        b"\0",
    ] {
        check("a record that lies about its length", extended(bytes), Refused(record)).await;
    }
    check(
        "a name with a zero",
        |_| vec![Tar::new().pax(&[("path", b"a\0b")]).file("f", "x")],
        Refused("a\0b: invalid path"),
    )
    .await;
    check(
        "a link with a zero",
        |_| vec![Tar::new().pax(&[("linkpath", b"a\0b")]).symlink("l", "x")],
        Refused("l: invalid input parameter"),
    )
    .await;
    check(
        "an owner beyond all",
        |_| vec![Tar::new().pax(&[("gid", b"99999999999")]).file("f", "x")],
        Refused("invalid tar header: number out of range"),
    )
    .await;
    check(
        "a time beyond all",
        |_| vec![Tar::new().pax(&[("mtime", b"99999999999999999999")]).file("f", "x")],
        Refused("invalid tar header: modification time"),
    )
    .await;
    let huge = vec![b'v'; 70_000];
    check(
        "an attribute beyond all",
        move |_| vec![Tar::new().pax(&[("SCHILY.xattr.user.a", &huge)]).file("f", "x")],
        Refused("f: invalid extended attribute"),
    )
    .await;
    let long = "n".repeat(256);
    check(
        "a name beyond all",
        |_| vec![Tar::new().pax(&[("path", long.as_bytes())]).file("f", "x")],
        Refused(Box::leak(format!("{long}: File name too long (os error 36)").into_boxed_str())),
    )
    .await;
}
