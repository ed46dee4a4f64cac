//! Addresses of blobs that need no login, and that end.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use blobs::{Digest, durable};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use stdx::Timestamp;
use uuid::Uuid;

use crate::files::Files;
use crate::{Registry, RegistryError, RepositoryKey};

/// Where such addresses begin.
pub(crate) const PATH: &str = "/_berth/layers";

/// What the addresses are signed with. It outlives a restart, as they do.
pub(crate) struct Signer([u8; 32]);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer")
    }
}

/// What a signed address says.
#[derive(Clone, Debug)]
pub(crate) struct Claim<'a> {
    pub key: &'a RepositoryKey,
    pub digest: &'a Digest,
    pub expires: &'a str,
}

impl Signer {
    /// Reads the key of a registry's directory, which only its owner may read; makes it when there is none.
    pub(crate) fn open(dir: &Path) -> Result<Signer, RegistryError> {
        let path = dir.join("signing-key");
        if let Some(key) = read(&path)? {
            return Ok(Signer(key));
        }
        // Two random ids are 244 bits of the system's randomness.
        let key = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
        let aside = dir.join(format!("{}{}", durable::TEMPORARY_PREFIX, Uuid::new_v4().simple()));
        let written = (|| {
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
            file.write_all(&key)?;
            file.sync_all()?;
            // Another process that opens the same directory must end up with the same key.
            match fs::hard_link(&aside, &path) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
                _ => durable::sync_dir(dir),
            }
        })();
        let _ = fs::remove_file(&aside);
        written.map_err(RegistryError::io("write", &path))?;
        let key = read(&path)?.ok_or_else(|| RegistryError::io("read", &path)(std::io::ErrorKind::NotFound.into()))?;
        Ok(Signer(key))
    }

    /// The key of a registry that several servers have: what one signed, all accept.
    pub(crate) fn shared(files: &Files) -> Result<Signer, RegistryError> {
        let path = files.root().join("signing-key.json");
        let fresh = hex::encode([Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat());
        let key = match files.read::<String>(&path)? {
            Some(key) => key,
            None if files.write_new(&path, &fresh)? => fresh,
            None => files.read(&path)?.ok_or_else(|| RegistryError::io("read", &path)(ErrorKind::NotFound.into()))?,
        };
        let wrong = || RegistryError::io("read", &path)(ErrorKind::InvalidData.into());
        let key = hex::decode(key).ok().and_then(|key| key.try_into().ok()).ok_or_else(wrong)?;
        Ok(Signer(key))
    }

    fn mac(&self, claim: &Claim<'_>) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        let scope = &claim.key.scope;
        let text =
            [scope.account(), scope.region(), claim.key.name.as_str(), &claim.digest.hex(), claim.expires].join("\n");
        mac.update(text.as_bytes());
        mac
    }

    pub(crate) fn verify(&self, claim: &Claim<'_>, signature: &str) -> bool {
        hex::decode(signature).is_ok_and(|signature| self.mac(claim).verify_slice(&signature).is_ok())
    }
}

fn read(path: &Path) -> Result<Option<[u8; 32]>, RegistryError> {
    match fs::read(path) {
        Ok(bytes) => {
            let key =
                bytes.try_into().map_err(|_| RegistryError::io("read", path)(std::io::ErrorKind::InvalidData.into()));
            key.map(Some)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(RegistryError::io("read", path)(error)),
    }
}

impl Registry {
    /// Where a blob can be had until `expires` without a login: a path and a query, for the host that serves
    /// [`crate::router`].
    pub fn signed_path(&self, key: &RepositoryKey, digest: &Digest, expires: Timestamp) -> String {
        let expires = (expires.as_millis() / 1000).to_string();
        let claim = Claim { key, digest, expires: &expires };
        let signature = hex::encode(self.signer.mac(&claim).finalize().into_bytes());
        let (account, region) = (key.scope.account(), key.scope.region());
        format!("{PATH}/{account}/{region}/{}/{digest}?expires={expires}&signature={signature}", key.name)
    }
}
