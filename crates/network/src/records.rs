//! One file per container: what was given to it, so that a restarted agent finds it again.
//!
//! A record is written before anything is made, hence what exists has a record. It is not flushed to disk:
//! what it describes lives in the kernel and is gone after a power loss as well. A record that cannot be
//! read, or whose namespace is gone, is a leftover to clean up.

use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::NetworkError;
use crate::plan::{Binding, NetworkMode, PortMapping};

pub(crate) const VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub version: u32,
    pub id: String,
    pub mode: NetworkMode,
    /// Present in `bridge` mode.
    pub link: Option<LinkRecord>,
    pub published: Option<Published>,
    /// It is being made. What an agent that died left so has to be made anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub half_made: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LinkRecord {
    pub veth: String,
    pub ip: Ipv4Addr,
}

/// What was asked for and what it became, so that asking again gives the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Published {
    pub mappings: Vec<PortMapping>,
    pub bindings: Vec<Binding>,
}

pub(crate) struct Records {
    folder: PathBuf,
}

impl Records {
    pub fn open(folder: &Path) -> Result<Self, NetworkError> {
        std::fs::create_dir_all(folder).map_err(NetworkError::io("create the folder", folder))?;
        Ok(Self { folder: folder.to_owned() })
    }

    pub fn write(&self, record: &Record) -> Result<(), NetworkError> {
        let path = self.path(&record.id);
        let aside = path.with_extension("tmp");
        let bytes = serde_json::to_vec(record).expect("a record has string keys only");
        std::fs::write(&aside, bytes).map_err(NetworkError::io("write", &aside))?;
        std::fs::rename(&aside, &path).map_err(NetworkError::io("put in place", &path))
    }

    pub fn remove(&self, id: &str) -> Result<(), NetworkError> {
        let path = self.path(id);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(NetworkError::io("remove", &path)(error)),
            _ => Ok(()),
        }
    }

    /// Every container that has a record, with the record where it can be read.
    pub fn list(&self) -> Result<Vec<(String, Option<Record>)>, NetworkError> {
        let read = |error| NetworkError::io("list the folder", &self.folder)(error);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(read)? {
            let path = entry.map_err(read)?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if let Some(id) = name.strip_suffix(".json") {
                let record: Option<Record> = std::fs::read(&path).ok().and_then(|b| serde_json::from_slice(&b).ok());
                found.push((id.to_owned(), record.filter(|r| r.version == VERSION && r.id == id)));
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    fn path(&self, id: &str) -> PathBuf {
        // Not `with_extension`, which would cut an id with a dot in it.
        self.folder.join(format!("{id}.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Protocol;
    use expect_test::expect;

    fn record(id: &str) -> Record {
        Record {
            version: VERSION,
            id: id.to_owned(),
            mode: NetworkMode::Bridge,
            link: Some(LinkRecord { veth: "bv0a1b2c3d4e5f".to_owned(), ip: [172, 29, 0, 2].into() }),
            published: Some(Published {
                mappings: vec![PortMapping {
                    container_port: 80,
                    host_port: 0,
                    protocol: Protocol::Tcp,
                    in_range: false,
                }],
                bindings: vec![Binding {
                    bind_ip: [0, 0, 0, 0].into(),
                    container_port: 80,
                    host_port: 32768,
                    protocol: Protocol::Tcp,
                }],
            }),
            half_made: false,
        }
    }

    #[test]
    fn the_format_stays_readable() {
        let text = serde_json::to_string_pretty(&record("c1")).unwrap();
        expect![[r#"
            {
              "version": 1,
              "id": "c1",
              "mode": "bridge",
              "link": {
                "veth": "bv0a1b2c3d4e5f",
                "ip": "172.29.0.2"
              },
              "published": {
                "mappings": [
                  {
                    "container_port": 80,
                    "host_port": 0,
                    "protocol": "tcp"
                  }
                ],
                "bindings": [
                  {
                    "bind_ip": "0.0.0.0",
                    "container_port": 80,
                    "host_port": 32768,
                    "protocol": "tcp"
                  }
                ]
              }
            }"#]]
        .assert_eq(&text);
    }

    #[test]
    fn broken_records_are_listed_without_content() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(folder.path()).unwrap();
        records.write(&record("a.b")).unwrap();
        records.write(&record("c")).unwrap();
        std::fs::write(folder.path().join("torn.json"), b"{\"version\":1,").unwrap();
        std::fs::write(folder.path().join("c.tmp"), b"half").unwrap();
        std::fs::write(folder.path().join("moved.json"), serde_json::to_vec(&record("c")).unwrap()).unwrap();
        let listed = records.list().unwrap();
        let summary: Vec<_> = listed.iter().map(|(id, record)| (id.as_str(), record.is_some())).collect();
        assert_eq!(summary, [("a.b", true), ("c", true), ("moved", false), ("torn", false)]);
        records.remove("c").unwrap();
        records.remove("c").unwrap();
        assert_eq!(records.list().unwrap().len(), 3);
    }
}
