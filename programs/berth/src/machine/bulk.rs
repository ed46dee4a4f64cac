//! Where bulky data lies: in the data directory, or in an object store.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use blobs::durable;
use object_store::ObjectStore;
use objects::Address;
use serde::{Deserialize, Serialize};

use super::dirs::DataDir;

#[derive(clap::Args)]
pub struct BulkArgs {
    /// Keep images and the sealed segments of logs in s3://BUCKET/PREFIX, not in the data directory; a server other than
    /// Amazon's is named by ?endpoint=URL. Keys come from the environment, as for any AWS SDK.
    #[arg(long, env = "BERTH_OBJECTS", value_name = "URL")]
    objects: Option<Address>,
    /// How many GiB of the images that were pushed or pulled last stay on this disk too.
    #[arg(long, env = "BERTH_OBJECTS_CACHE_GIB", value_name = "GIB", default_value_t = 10)]
    objects_cache_gib: u32,
}

/// An object store, and what of it is whose.
pub struct Bulk {
    /// Shared by all servers that have this address.
    pub registry: Arc<dyn ObjectStore>,
    pub cache_bytes_max: u64,
    /// Of this data directory alone: its own records say what is in it.
    pub logs: Arc<dyn ObjectStore>,
    /// The same.
    pub s3: Arc<dyn ObjectStore>,
}

/// What a data directory says about the store that has its bulky data.
#[derive(Serialize, Deserialize)]
struct Record {
    version: u32,
    bucket: String,
    prefix: String,
    /// Under which name its logs are there.
    id: String,
}

impl BulkArgs {
    /// Opens the object store, if there is to be one. What a data directory began with, it stays with.
    pub async fn open(&self, dir: &DataDir) -> anyhow::Result<Option<Bulk>> {
        let path = dir.path().join("objects.json");
        let record = read(&path)?;
        let Some(address) = &self.objects else {
            if let Some(Record { bucket, prefix, .. }) = record {
                bail!(
                    "the images and logs of {} are in the object store s3://{bucket}/{prefix}: give its address with --objects",
                    dir.path().display()
                );
            }
            return Ok(None);
        };
        let id = match record {
            Some(record) => {
                ensure!(
                    (&record.bucket, &record.prefix) == (&address.bucket, &address.prefix),
                    "the images and logs of {} are in the object store s3://{}/{}, not in {address}",
                    dir.path().display(),
                    record.bucket,
                    record.prefix
                );
                Some(record.id)
            }
            None => {
                ensure!(
                    is_empty(&dir.registry().join("repositories")) && is_empty(&dir.logs()),
                    "{} has images or logs already: an object store is chosen with a new data directory",
                    dir.path().display()
                );
                None
            }
        };
        let store = objects::open(address, &objects::Options::default())?;
        objects::check(address, &*store).await?;
        let id = match id {
            Some(id) => id,
            None => {
                let id = uuid::Uuid::new_v4().simple().to_string();
                let (bucket, prefix) = (address.bucket.clone(), address.prefix.clone());
                let text = serde_json::to_vec(&Record { version: 1, bucket, prefix, id: id.clone() })?;
                durable::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
                id
            }
        };
        Ok(Some(Bulk {
            registry: objects::part(&store, "registry"),
            cache_bytes_max: u64::from(self.objects_cache_gib) << 30,
            logs: objects::part(&store, &format!("logs/{id}")),
            s3: objects::part(&store, &format!("s3/{id}")),
        }))
    }
}

fn read(path: &Path) -> anyhow::Result<Option<Record>> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).with_context(|| format!("cannot read {}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_data_directory_stays_with_its_store() {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::take(folder.path()).unwrap();
        let open = async |objects: Option<&str>| {
            let objects = objects.map(|text| text.parse().unwrap());
            let opened = BulkArgs { objects, objects_cache_gib: 1 }.open(&dir).await;
            opened.map(|bulk| bulk.is_some()).map_err(|error| error.to_string())
        };
        assert_eq!(open(None).await, Ok(false));
        fs::create_dir_all(dir.registry().join("repositories/000000000000")).unwrap();
        assert!(open(Some("s3://bucket/a")).await.unwrap_err().contains("has images or logs already"));

        let record = Record { version: 1, bucket: "bucket".into(), prefix: "a".into(), id: "x".into() };
        fs::write(folder.path().join("objects.json"), serde_json::to_vec(&record).unwrap()).unwrap();
        assert!(open(None).await.unwrap_err().contains("s3://bucket/a: give its address with --objects"));
        assert!(open(Some("s3://bucket/b")).await.unwrap_err().contains("not in s3://bucket/b"));
    }
}
