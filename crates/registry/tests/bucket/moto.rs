//! A server that speaks S3, with one bucket.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use object_store::ObjectStore;
use registry::{Config, Registry};

use crate::support::Server;

pub struct Moto {
    process: Child,
    pub address: SocketAddr,
}

impl Moto {
    pub async fn start() -> Moto {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = Command::new("python3")
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &address.port().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 runs");
        let mut moto = Moto { process, address };
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(address).is_err() {
            assert!(moto.process.try_wait().unwrap().is_none(), "moto ended: is it there? `tools/install-deps test`");
            assert!(Instant::now() < deadline, "moto does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let made = Command::new("curl").args(["-sf", "-X", "PUT", &format!("http://{address}/images")]).status();
        assert!(made.expect("curl runs").success(), "the bucket is not made");
        moto
    }

    pub fn store(&self) -> Arc<dyn ObjectStore> {
        store(self.address)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The bucket, as seen through `address`.
pub fn store(address: SocketAddr) -> Arc<dyn ObjectStore> {
    let keys =
        [("AWS_ACCESS_KEY_ID", "here"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_ENDPOINT_URL", "http://wrong:1")];
    let variables = keys.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let options = objects::Options { variables, retry_for: Duration::from_secs(3) };
    objects::open(&format!("s3://images/berth?endpoint=http://{address}").parse().unwrap(), &options).unwrap()
}

pub async fn serve(store: Arc<dyn ObjectStore>, cache_bytes_max: u64) -> Server {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path(), store, cache_bytes_max).await;
    Server::serve(registry, dir).await
}

/// In a directory that is not the server's to remove.
pub async fn serve_at(dir: &Path, store: Arc<dyn ObjectStore>, cache_bytes_max: u64) -> Server {
    Server::serve(open(dir, store, cache_bytes_max).await, tempfile::tempdir().unwrap()).await
}

async fn open(dir: &Path, store: Arc<dyn ObjectStore>, cache_bytes_max: u64) -> Registry {
    let place = dir.join("registry");
    let open = move || Registry::open_in(place, store, cache_bytes_max, Config::default()).unwrap();
    tokio::task::spawn_blocking(open).await.unwrap()
}

/// Bytes that are not alike, so that a wrong order is seen.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}
