//! Uploads, each of one repository.

use std::fs;

use blobs::{Digest, Upload, UploadId};

use crate::files::names;
use crate::limits::UPLOADS_MAX;
use crate::{Registry, RegistryError, RepositoryKey};

impl Registry {
    /// Begins an upload. The mark that it is this repository's is as lasting as its bytes: neither is flushed before the end.
    pub(crate) fn start_upload(&self, key: &RepositoryKey) -> Result<UploadId, RegistryError> {
        if self.blobs.local().uploads_under_way() >= UPLOADS_MAX {
            return Err(RegistryError::TooManyUploads);
        }
        let dir = self.local_dir(key);
        fs::create_dir_all(dir.uploads()).map_err(RegistryError::io("create directory", &dir.uploads()))?;
        let id = self.blobs.local().start_upload()?;
        let mark = dir.upload(&id);
        fs::File::create(&mark).map_err(RegistryError::io("write", &mark))?;
        Ok(id)
    }

    /// An upload of another repository is none of this one's.
    pub(crate) fn check_upload(&self, key: &RepositoryKey, id: UploadId) -> Result<(), RegistryError> {
        if self.local_dir(key).upload(&id).exists() { Ok(()) } else { Err(RegistryError::UploadUnknown) }
    }

    pub(crate) fn upload_offset(&self, key: &RepositoryKey, id: UploadId) -> Result<u64, RegistryError> {
        self.check_upload(key, id)?;
        Ok(self.blobs.local().upload_offset(id)?)
    }

    pub(crate) fn cancel_upload(&self, key: &RepositoryKey, id: UploadId) -> Result<(), RegistryError> {
        self.check_upload(key, id)?;
        self.blobs.local().upload(id)?.cancel();
        self.forget_upload(key, id);
        Ok(())
    }

    /// Makes a blob of the repository of what was uploaded. Bytes of another digest end the upload.
    pub(crate) fn finish_upload(
        &self,
        key: &RepositoryKey,
        upload: Upload,
        digest: &Digest,
    ) -> Result<(), RegistryError> {
        let id = upload.id();
        let committed = self.blobs.commit_upload(upload, *digest);
        if matches!(committed, Ok(_) | Err(blobs::BlobError::Mismatch { .. })) {
            self.forget_upload(key, id);
        }
        committed?;
        self.link_blob(key, digest)
    }

    fn forget_upload(&self, key: &RepositoryKey, id: UploadId) {
        // A mark that stays is removed by the next collection.
        let _ = fs::remove_file(self.local_dir(key).upload(&id));
    }

    /// Removes the marks of uploads that are gone.
    pub(crate) fn prune_uploads(&self, key: &RepositoryKey) -> Result<(), RegistryError> {
        for name in names(&self.local_dir(key).uploads())? {
            if let Ok(id) = name.parse()
                && self.blobs.local().upload_offset(id).is_err()
            {
                self.forget_upload(key, id);
            }
        }
        Ok(())
    }
}
