//! The node's own socket.

mod world;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use images::{ImageStore, Options};
use node::control::{self, ControlError};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

fn store(dir: &Path) -> ImageStore {
    ImageStore::open(Options::new(dir.join("images"), blobs::Blobs::open(dir.join("blobs")).unwrap())).unwrap()
}

async fn ask(socket: &Path, request: &str) -> (u16, Value) {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    stream
        .write_all(format!("{request} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split_whitespace().nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap())
}

#[tokio::test]
async fn images_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("node.sock");
    let _control = control::serve(&socket, store(dir.path()), None).await.unwrap();
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(ask(&socket, "GET /images").await, (200, json!({ "images": [] })));

    let layout = dir.path().join("image");
    world::image::write(&layout, "probe:1", b"not much of a program");
    let (status, loaded) = ask(&socket, &format!("POST /images?path={}", layout.display())).await;
    assert_eq!((status, &loaded["names"]), (200, &json!(["probe:1"])));
    let digest = loaded["digest"].as_str().unwrap().to_owned();
    assert!(digest.starts_with("sha256:"));
    let (_, listed) = ask(&socket, "GET /images").await;
    let image = &listed["images"][0];
    assert_eq!((&image["name"], &image["digest"]), (&json!("probe:1"), &json!(digest)));
    assert!(image["size"].as_u64().unwrap() > 0 && image["createdAt"].as_str().unwrap().ends_with('Z'));

    assert_eq!(ask(&socket, "DELETE /images?name=probe:1").await, (200, json!({})));
    let gone = json!({ "message": "No such image: probe:1" });
    assert_eq!(ask(&socket, "DELETE /images?name=probe:1").await, (404, gone));
    let (status, refused) = ask(&socket, "DELETE /images?name=UPPER").await;
    assert_eq!(status, 400, "{refused}");
    let relative = json!({ "message": "image is not an absolute path" });
    assert_eq!(ask(&socket, "POST /images?path=image").await, (400, relative));
    let (status, refused) = ask(&socket, "POST /images?path=/nowhere/image.tar").await;
    assert!(status == 404 && refused["message"].as_str().unwrap().contains("/nowhere/image.tar"), "{status} {refused}");
}

#[tokio::test]
async fn one_node_answers_at_a_socket() {
    let dir = tempfile::tempdir().unwrap();
    // Longer than a socket's address may be.
    let deep = dir.path().join("d".repeat(120));
    std::fs::create_dir(&deep).unwrap();
    let socket = deep.join("node.sock");
    let images = store(dir.path());
    // Left by a node that was killed.
    let stale = dir.path().join("stale.sock");
    drop(UnixListener::bind(&stale).unwrap());
    std::fs::rename(&stale, &socket).unwrap();

    let first = control::serve(&socket, images.clone(), None).await.unwrap();
    let second = control::serve(&socket, images.clone(), None).await;
    assert!(matches!(second, Err(ControlError::InUse { .. })));
    drop(first);
    assert!(!socket.exists());
    drop(control::serve(&socket, images.clone(), None).await.unwrap());
    let nowhere = control::serve(&dir.path().join("no/such/node.sock"), images, None).await;
    assert!(matches!(nowhere, Err(ControlError::Io { .. })));
    assert_eq!(std::fs::read_dir(&deep).unwrap().count(), 0);
}
