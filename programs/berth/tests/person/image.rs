//! `berth image`, against a node that is played here.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tempfile::TempDir;
use tokio::net::UnixListener;

use super::berth::{Ended, command, end};

/// What was asked for, as it came over the wire.
type Asked = Arc<Mutex<Vec<String>>>;

async fn answer(State(asked): State<Asked>, request: Request) -> Response {
    let line = format!("{} {}", request.method(), request.uri());
    asked.lock().unwrap().push(line.clone());
    match line.as_str() {
        "GET /images" => (
            StatusCode::OK,
            r#"{"images": [{"name": "web:1", "digest": "sha256:0123456789abcdef", "size": 7340032, "createdAt": 1000}]}"#,
        ),
        "DELETE /images?name=web%3A1" => (StatusCode::NO_CONTENT, ""),
        line if line.contains("broken") => (StatusCode::BAD_REQUEST, r#"{"message": "broken.tar is no archive"}"#),
        line if line.contains("strange") => (StatusCode::BAD_GATEWAY, "<html>"),
        line if line.starts_with("POST") => (StatusCode::OK, r#"{"names": ["hello-world:1"], "digest": "sha256:ff"}"#),
        _ => (StatusCode::NOT_FOUND, r#"{"message": "there is no image of that name"}"#),
    }
    .into_response()
}

fn node(data_dir: &Path) -> Asked {
    let asked = Asked::default();
    let app = Router::new().fallback(answer).with_state(asked.clone());
    let listener = UnixListener::bind(data_dir.join("node.sock")).unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    asked
}

async fn image(data_dir: &Path, arguments: &[&str]) -> Ended {
    let mut command = command("http://127.0.0.1:1", "image");
    command.args(arguments).env("BERTH_DATA_DIR", data_dir).current_dir(data_dir);
    end(command).await
}

fn ended(code: i32, stdout: &str, stderr: &str) -> Ended {
    Ended { code, stdout: stdout.to_owned(), stderr: stderr.to_owned() }
}

#[tokio::test]
async fn archives_are_loaded_by_their_absolute_path() {
    let directory = TempDir::new().unwrap();
    let asked = node(directory.path());
    for name in ["one.tar", "two & more %.tar", "broken.tar", "strange.tar"] {
        std::fs::write(directory.path().join(name), "").unwrap();
    }
    let loaded = "loaded hello-world:1 (sha256:ff)\n";
    assert_eq!(image(directory.path(), &["load", "one.tar"]).await, ended(0, loaded, ""));
    assert_eq!(image(directory.path(), &["load", "./two & more %.tar"]).await, ended(0, loaded, ""));
    let root = directory.path().canonicalize().unwrap();
    let root = root.display();
    assert_eq!(
        *asked.lock().unwrap(),
        [format!("POST /images?path={root}/one.tar"), format!("POST /images?path={root}/two%20%26%20more%20%25.tar"),]
    );

    let broken = image(directory.path(), &["load", "broken.tar"]).await;
    assert_eq!(broken, ended(1, "", "berth: broken.tar is no archive\n"));
    let missing = image(directory.path(), &["load", "missing.tar"]).await;
    assert_eq!(missing, ended(1, "", "berth: cannot read missing.tar: No such file or directory (os error 2)\n"));
    let strange = image(directory.path(), &["load", "strange.tar"]).await;
    assert!(strange.code == 1 && strange.stderr.contains("the node answered 502"), "{strange:?}");
    let some = image(directory.path(), &["load", "broken.tar", "one.tar", "missing.tar"]).await;
    assert_eq!(
        (some.code, some.stdout.as_str(), some.stderr.lines().last()),
        (1, loaded, Some("berth: 2 of 3 failed"))
    );
}

#[tokio::test]
async fn images_are_listed_and_removed() {
    let directory = TempDir::new().unwrap();
    node(directory.path());
    let listed = image(directory.path(), &["ls"]).await;
    let rows: Vec<Vec<&str>> = listed.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "DIGEST", "SIZE", "CREATED"]);
    assert_eq!(rows[1][..4], ["web:1", "sha256:0123456789ab", "7.0", "MiB"], "{listed:?}");
    assert_eq!(image(directory.path(), &["rm", "web:1"]).await, ended(0, "removed web:1\n", ""));
    let missing = image(directory.path(), &["rm", "web:2"]).await;
    assert_eq!(missing, ended(1, "", "berth: there is no image of that name\n"));
}

#[tokio::test]
async fn no_node() {
    let directory = TempDir::new().unwrap();
    let absent = image(directory.path(), &["ls"]).await;
    let socket = directory.path().join("node.sock");
    let begins = format!("berth: no node listens at {}: is `berth up` or `berth agent` running", socket.display());
    assert!(absent.code == 1 && absent.stderr.starts_with(&begins), "{absent:?}");
    // A node that was killed leaves its socket behind.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    assert_eq!(image(directory.path(), &["ls"]).await, absent);
    let named = image(Path::new("/"), &["ls", "--data-dir", directory.path().to_str().unwrap()]).await;
    assert_eq!(named, absent);
}
