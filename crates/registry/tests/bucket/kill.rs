//! `kill -9` in the middle of a commit.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use blobs::Digest;

use crate::moto::{Moto, noise, serve, serve_at, store};

/// A server in a process of its own, which ends with the test or where the variable says.
struct Other {
    process: Child,
    url: String,
}

impl Other {
    fn start(moto: &Moto, dir: &std::path::Path, fail: &str) -> Other {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::child", "--ignored", "--nocapture"])
            .env("REGISTRY_TEST_DIR", dir)
            .env("REGISTRY_TEST_S3", moto.address.to_string())
            .env("BERTH_FAIL", fail)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let url = lines.find_map(|line| Some(line.unwrap().split_once("listens at ")?.1.to_owned())).unwrap();
        Other { process, url }
    }

    fn curl(&self, arguments: &[&str]) -> Option<String> {
        let output = Command::new("curl").arg("-sS").args(arguments).output().expect("curl runs");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
#[ignore = "a process that the other test starts"]
async fn child() {
    let Some(dir) = std::env::var_os("REGISTRY_TEST_DIR") else { return };
    let address = std::env::var("REGISTRY_TEST_S3").unwrap().parse().unwrap();
    let server = serve_at(&PathBuf::from(dir), store(address), 1 << 30).await;
    println!("listens at http://{}", server.address);
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_acknowledged_can_be_sent_again() {
    let moto = Moto::start().await;
    for (number, place) in ["blobs.bucket.part:2", "blobs.bucket.put:1"].into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = noise(20 << 20, 11 + number as u64);
        let digest = Digest::of(&bytes);
        let file = dir.path().join("blob");
        std::fs::write(&file, &bytes).unwrap();

        let one = Other::start(&moto, dir.path(), place);
        let headers =
            one.curl(&["-D", "-", "-o", "/dev/null", "-X", "POST", &format!("{}/v2/web/blobs/uploads/", one.url)]);
        let location =
            headers.unwrap().lines().find_map(|line| Some(line.strip_prefix("location: ")?.trim().to_owned()));
        let location = location.expect("an upload has a place");
        let sent =
            one.curl(&["-f", "-X", "PATCH", "-T", &file.display().to_string(), &format!("{}{location}", one.url)]);
        assert!(sent.is_some(), "the chunk is taken");
        let ended = one.curl(&["-f", "-X", "PUT", &format!("{}{location}?digest={digest}", one.url)]);
        assert_eq!(ended, None, "it died at {place}");
        drop(one);

        let two = Other::start(&moto, dir.path(), "");
        let ended = two.curl(&["-f", "-X", "PUT", &format!("{}{location}?digest={digest}", two.url)]);
        assert!(ended.is_some(), "the upload is still there after {place}");
        drop(two);
        let elsewhere = serve(moto.store(), 0).await;
        assert!(
            elsewhere.get(&format!("/v2/web/blobs/{digest}")).await.expect(200).body == bytes,
            "the bytes are others"
        );
    }
}
