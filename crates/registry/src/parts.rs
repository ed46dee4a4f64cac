//! A blob that arrives in numbered parts over another protocol than OCI's, and on the same uploads.

use std::io::Write;

use blobs::{Digest, UploadId};

use crate::{BLOB_BYTES_MAX, Registry, RegistryError, RepositoryKey};

impl Registry {
    /// Whether a repository may hand out a blob, and how long it is. Who asks may rely on it next, so it counts as used.
    pub fn find_blob(&self, key: &RepositoryKey, digest: &Digest) -> Result<Option<u64>, RegistryError> {
        match self.use_blob(key, digest) {
            Ok(size) => Ok(Some(size)),
            Err(RegistryError::BlobUnknown { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Begins an upload to a repository that must be there.
    pub fn begin_parts(&self, key: &RepositoryKey) -> Result<UploadId, RegistryError> {
        self.repository(key)?;
        self.start_upload(key)
    }

    /// How many bytes of an upload have arrived.
    pub fn parts_end(&self, key: &RepositoryKey, id: UploadId) -> Result<u64, RegistryError> {
        self.repository(key)?;
        self.upload_offset(key, id)
    }

    /// Writes a part that must begin where the last one ended, and gives the end of it.
    pub fn append_part(
        &self,
        key: &RepositoryKey,
        id: UploadId,
        first_byte: u64,
        bytes: &[u8],
    ) -> Result<u64, RegistryError> {
        self.repository(key)?;
        self.check_upload(key, id)?;
        let mut upload = self.blobs.local().upload(id)?;
        let offset = upload.offset();
        if first_byte != offset {
            return Err(RegistryError::UploadOutOfOrder { offset });
        }
        if offset + bytes.len() as u64 > BLOB_BYTES_MAX {
            return Err(RegistryError::TooLarge { limit: BLOB_BYTES_MAX });
        }
        let written = upload.write_all(bytes);
        written.map_err(|source| RegistryError::Io { action: "write", path: "a blob upload".into(), source })?;
        Ok(upload.offset())
    }

    /// Makes a blob of an upload, and lets the repository have it.
    pub fn finish_parts(&self, key: &RepositoryKey, id: UploadId, digest: &Digest) -> Result<(), RegistryError> {
        self.repository(key)?;
        self.check_upload(key, id)?;
        self.finish_upload(key, self.blobs.local().upload(id)?, digest)
    }
}
