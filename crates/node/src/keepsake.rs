//! What a later agent must know of a container that runs, and can learn nowhere else: a small file beside its log.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub const NAME: &str = "berth.json";

const VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keepsake {
    /// Of this format.
    pub version: u32,
    /// As the definition or the image has it.
    pub stop_signal: Option<String>,
    /// The image's digest.
    pub image: String,
    pub log_driver: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub log_options: BTreeMap<String, String>,
    /// As its log driver knows the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_subject: Option<logs::Subject>,
    /// Of the task's role: the container's environment has it, and the task's record does not.
    pub credentials_id: Option<String>,
}

impl Keepsake {
    pub fn new(image: String) -> Keepsake {
        Keepsake {
            version: VERSION,
            stop_signal: None,
            image,
            log_driver: None,
            log_options: BTreeMap::new(),
            log_subject: None,
            credentials_id: None,
        }
    }

    /// Makes the directory if it is missing. Not flushed: after a loss of power the container does not run any more.
    pub fn write(&self, container_dir: &Path) -> io::Result<()> {
        std::fs::create_dir_all(container_dir)?;
        let text = serde_json::to_vec(self).map_err(io::Error::from)?;
        std::fs::write(container_dir.join(NAME), text)
    }

    /// `None` when there is none that can be read.
    pub fn read(container_dir: &Path) -> Option<Keepsake> {
        let text = std::fs::read(container_dir.join(NAME)).ok()?;
        serde_json::from_slice::<Keepsake>(&text).ok().filter(|keepsake| keepsake.version == VERSION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keepsake_reads_as_before() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Keepsake::read(dir.path()), None);
        let golden = r#"{"version":1,"stop_signal":"SIGINT","image":"sha256:0","log_driver":"awslogs","log_options":{"awslogs-group":"g"},"credentials_id":null}"#;
        let keepsake = Keepsake {
            stop_signal: Some("SIGINT".to_owned()),
            log_driver: Some("awslogs".to_owned()),
            log_options: [("awslogs-group".to_owned(), "g".to_owned())].into(),
            ..Keepsake::new("sha256:0".to_owned())
        };
        keepsake.write(&dir.path().join("c")).unwrap();
        assert_eq!(std::fs::read_to_string(dir.path().join("c").join(NAME)).unwrap(), golden);
        assert_eq!(Keepsake::read(&dir.path().join("c")), Some(keepsake));
        std::fs::write(dir.path().join(NAME), golden.replace(":1,", ":2,")).unwrap();
        assert_eq!(Keepsake::read(dir.path()), None);
    }
}
