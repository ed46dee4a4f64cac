//! Repositories, their manifests and their tags.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use blobs::{BlobStore, Blobs, Digest, durable};
use object_store::ObjectStore;
use serde::{Deserialize, Serialize};
use stdx::Timestamp;
use tokio::sync::Semaphore;

use crate::fetch::Fetches;
use crate::files::{Files, Objects};
use crate::layout::{self, RepositoryDir};
use crate::limits::{MANIFEST_BYTES_MAX, STREAMS_MAX};
use crate::signing::Signer;
use crate::turns::Turns;
use crate::{
    AppliedFor, Manifest, RegistryError, RepositoryKey, RepositoryName, RepositorySettings, Scope, Tag, Target,
    Upstreams,
};

/// How the registry behaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whose repositories a request means whose host names no account and region.
    pub default_scope: Scope,
    /// Whether a push creates the repository it names. ECR itself answers `NAME_UNKNOWN`; in open mode creating is kinder.
    pub create_on_push: bool,
    /// The most blobs that are being sent at once.
    pub streams_max: usize,
}

impl Default for Config {
    fn default() -> Config {
        let default_scope = Scope::new("000000000000", "us-east-1").expect("the default scope is well formed");
        Config { default_scope, create_on_push: true, streams_max: STREAMS_MAX }
    }
}

/// All repositories, on disk.
///
/// Calls block on the disk, may repeat, and may be concurrent. Whatever was answered is flushed. After a failure or a crash a
/// manifest may be there without its tag, never a tag without its manifest.
#[derive(Debug)]
pub struct Registry {
    pub(crate) config: Config,
    pub(crate) blobs: BlobStore,
    pub(crate) files: Files,
    pub(crate) signer: Signer,
    dir: PathBuf,
    // Writers take turns, so that a tag never names a manifest that is being deleted.
    turn: RwLock<()>,
    // Readers do not wait for the disk as writers do, so they have a lock of their own.
    using: Mutex<()>,
    pub(crate) upstreams: Option<Arc<dyn Upstreams>>,
    pub(crate) fetches: Fetches,
    pub(crate) freshening: Turns<(RepositoryKey, String)>,
    /// Blobs that may still begin to be sent.
    pub(crate) streams: Arc<Semaphore>,
}

/// A repository as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// The version of this record's format.
    version: u32,
    pub created_at: Timestamp,
    #[serde(flatten)]
    pub settings: RepositorySettings,
}

/// A manifest as a repository remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestRecord {
    version: u32,
    pub media_type: String,
    pub artifact_type: Option<String>,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// The manifest's own length in bytes.
    pub size: u64,
    /// What its config and layers take, in bytes; for an index, what the largest of its manifests takes.
    pub content_size: u64,
    pub pushed_at: Timestamp,
    pub subject: Option<Digest>,
    /// The blobs it is made of. Absent in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Vec<Digest>>,
}

/// One image of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    pub digest: Digest,
    pub manifest: ManifestRecord,
    /// Sorted.
    pub tags: Vec<Tag>,
}

#[derive(Serialize, Deserialize)]
struct TagRecord {
    version: u32,
    digest: Digest,
    /// When another registry last said so; absent for a tag that was pushed here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checked_at: Option<Timestamp>,
}

/// Whether what a manifest lists must be here before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parts {
    AreHere,
    /// It comes from another registry when somebody asks for it.
    MayCome,
}

const VERSION: u32 = 1;

impl Registry {
    /// Opens the registry in a directory of its own, over blobs that it may share.
    pub fn open(dir: impl Into<PathBuf>, blobs: Blobs, config: Config) -> Result<Registry, RegistryError> {
        let dir = dir.into();
        let repositories = dir.join("repositories");
        durable::create_dir_all(&repositories).map_err(RegistryError::io("create directory", &repositories))?;
        let (signer, files) = (Signer::open(&dir)?, Files::in_directory(&dir));
        Registry::new(dir, blobs.into(), files, signer, config)
    }

    /// Opens the registry that an object store has, blobs and all; other servers may have it open too. `dir` has what is
    /// this server's own: uploads that are not ended, and what was pushed or read last, at most so many bytes.
    pub fn open_in(
        dir: impl Into<PathBuf>,
        objects: Arc<dyn ObjectStore>,
        cache_bytes_max: u64,
        config: Config,
    ) -> Result<Registry, RegistryError> {
        let dir = dir.into();
        let cache = dir.join("cache");
        durable::create_dir_all(&cache).map_err(RegistryError::io("create directory", &cache))?;
        let blobs = BlobStore::in_objects(Blobs::open(cache)?, objects.clone(), cache_bytes_max);
        let files = Files::in_objects(Objects::new(objects));
        let signer = Signer::shared(&files)?;
        Registry::new(dir, blobs, files, signer, config)
    }

    fn new(
        dir: PathBuf,
        blobs: BlobStore,
        files: Files,
        signer: Signer,
        config: Config,
    ) -> Result<Registry, RegistryError> {
        Ok(Registry {
            streams: Arc::new(Semaphore::new(config.streams_max)),
            config,
            blobs,
            files,
            signer,
            dir,
            turn: RwLock::default(),
            using: Mutex::default(),
            upstreams: None,
            fetches: Fetches::default(),
            freshening: Turns::default(),
        })
    }

    /// With repositories that are copies of others.
    pub fn with_upstreams(self, upstreams: Arc<dyn Upstreams>) -> Registry {
        Registry { upstreams: Some(upstreams), ..self }
    }

    pub(crate) fn dir(&self, key: &RepositoryKey) -> RepositoryDir {
        RepositoryDir::of(self.files.root(), key)
    }

    /// Where the marks of this server's uploads are.
    pub(crate) fn local_dir(&self, key: &RepositoryKey) -> RepositoryDir {
        RepositoryDir::of(&self.dir, key)
    }

    /// Whether other servers may have the same registry.
    pub fn is_shared(&self) -> bool {
        self.blobs.is_shared()
    }

    pub(crate) fn root(&self) -> &Path {
        &self.dir
    }

    /// For whoever changes something.
    pub(crate) fn turn(&self) -> RwLockWriteGuard<'_, ()> {
        // It guards no memory, only an order.
        self.turn.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// For whoever looks at several files and must not see half of a change: an image that has lost its tags is about to go.
    fn look(&self) -> RwLockReadGuard<'_, ()> {
        self.turn.read().unwrap_or_else(PoisonError::into_inner)
    }

    // Repositories.

    /// Creates a repository; one that exists is an error.
    pub fn create_repository(
        &self,
        key: &RepositoryKey,
        settings: RepositorySettings,
    ) -> Result<Repository, RegistryError> {
        let _turn = self.turn();
        if self.find_repository(key)?.is_some() {
            return Err(exists(key));
        }
        self.create_in_turn(key, settings, |_| Ok(()))
    }

    /// Creates a repository with whatever `furnish` puts beside it.
    pub(crate) fn create_in_turn(
        &self,
        key: &RepositoryKey,
        settings: RepositorySettings,
        furnish: impl FnOnce(&RepositoryDir) -> Result<(), RegistryError>,
    ) -> Result<Repository, RegistryError> {
        let repository = Repository { version: VERSION, created_at: now(), settings };
        let dir = self.dir(key);
        dir.create(&self.files)?;
        furnish(&dir)?;
        if !self.files.write_new(&dir.settings(), &repository)? {
            return Err(exists(key));
        }
        Ok(repository)
    }

    /// The repository that a push goes to; created when the registry is configured so.
    pub(crate) fn repository_for_push(&self, key: &RepositoryKey) -> Result<Repository, RegistryError> {
        if let Some(repository) = self.find_repository(key)? {
            return Ok(repository);
        }
        if !self.config.create_on_push {
            return Err(unknown(key));
        }
        self.repository_or_new(key, AppliedFor::CreateOnPush)
    }

    pub fn find_repository(&self, key: &RepositoryKey) -> Result<Option<Repository>, RegistryError> {
        self.files.read(&self.dir(key).settings())
    }

    pub fn repository(&self, key: &RepositoryKey) -> Result<Repository, RegistryError> {
        self.find_repository(key)?.ok_or_else(|| unknown(key))
    }

    /// Changes what the owner chose. A change that is refused changes nothing.
    pub fn change_repository<E>(
        &self,
        key: &RepositoryKey,
        change: impl FnOnce(&mut RepositorySettings) -> Result<(), E>,
    ) -> Result<Result<Repository, E>, RegistryError> {
        let _turn = self.turn();
        let mut repository = self.repository(key)?;
        if let Err(refusal) = change(&mut repository.settings) {
            return Ok(Err(refusal));
        }
        self.files.write(&self.dir(key).settings(), &repository)?;
        Ok(Ok(repository))
    }

    /// The names of all repositories of an account in a region, sorted.
    pub fn repository_names(&self, scope: &Scope) -> Result<Vec<RepositoryName>, RegistryError> {
        layout::repository_names(&self.files, scope)
    }

    // Blobs.

    /// The length of a blob that the repository has.
    pub fn blob_size(&self, key: &RepositoryKey, digest: &Digest) -> Result<u64, RegistryError> {
        self.repository(key)?;
        let unknown = || RegistryError::BlobUnknown { digest: *digest, name: key.name.to_string() };
        if !self.files.exists(&self.dir(key).blob(digest))? {
            return Err(unknown());
        }
        self.blobs.size(digest)?.ok_or_else(unknown)
    }

    /// The same, for a client that looked because it will rely on the blob: it pushes a manifest next.
    pub(crate) fn use_blob(&self, key: &RepositoryKey, digest: &Digest) -> Result<u64, RegistryError> {
        let size = self.blob_size(key, digest)?;
        let gone = || RegistryError::BlobUnknown { digest: *digest, name: key.name.to_string() };
        if !self.blobs.keep(digest)? {
            return Err(gone());
        }
        self.note_use(key, digest).map_err(|_| gone())?;
        Ok(size)
    }

    fn note_use(&self, key: &RepositoryKey, digest: &Digest) -> Result<(), RegistryError> {
        // Between servers, only age protects a mark; within one, nobody should wait for another's request.
        let _using = (!self.files.are_shared()).then(|| self.using());
        self.files.touch(&self.dir(key).blob(digest))
    }

    /// Held for the moment in which a repository's blob becomes used, or is forgotten: never both.
    pub(crate) fn using(&self) -> MutexGuard<'_, ()> {
        self.using.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that a repository has a blob.
    pub(crate) fn link_blob(&self, key: &RepositoryKey, digest: &Digest) -> Result<(), RegistryError> {
        let _turn = self.turn();
        self.repository(key)?;
        // It may be there, and old enough for a collection that is looking at it.
        if self.note_use(key, digest).is_ok() {
            return Ok(());
        }
        self.files.mark(&self.dir(key).blob(digest))
    }

    pub(crate) fn unlink_blob(&self, key: &RepositoryKey, digest: &Digest) -> Result<(), RegistryError> {
        self.blob_size(key, digest)?;
        let _turn = self.turn();
        self.files.remove(&self.dir(key).blob(digest))
    }

    /// Lets a repository have a blob of another one. False when the other does not have it.
    pub(crate) fn mount_blob(
        &self,
        from: &RepositoryKey,
        to: &RepositoryKey,
        digest: &Digest,
    ) -> Result<bool, RegistryError> {
        if self.blob_size(from, digest).is_err() || !self.blobs.keep(digest)? {
            return Ok(false);
        }
        self.link_blob(to, digest)?;
        Ok(true)
    }

    /// Every blob that some manifest of some repository needs, the manifests included, and what was pushed but is
    /// not referenced yet.
    pub fn needed_blobs(&self) -> Result<HashSet<Digest>, RegistryError> {
        let mut needed = HashSet::new();
        for scope in layout::scopes(&self.files)? {
            for name in self.repository_names(&scope)? {
                let dir = self.dir(&RepositoryKey::new(&scope, name));
                needed.extend(self.files.digests(&dir.manifests())?);
                needed.extend(self.files.digests(&dir.blobs())?);
            }
        }
        Ok(needed)
    }

    // Manifests.

    /// Stores a manifest, under a tag or under its digest, after everything it references has been stored; and copies it
    /// to where the registry's rules say.
    pub fn put_manifest(
        &self,
        key: &RepositoryKey,
        target: &Target,
        content_type: Option<&str>,
        bytes: &[u8],
    ) -> Result<(Digest, Manifest), RegistryError> {
        let (digest, manifest) = self.store_manifest(key, target, content_type, bytes)?;
        match target {
            Target::Tag(tag) => self.replicate(key, &digest, std::slice::from_ref(tag))?,
            Target::Digest(_) => self.replicate(key, &digest, &[])?,
        }
        Ok((digest, manifest))
    }

    pub(crate) fn store_manifest(
        &self,
        key: &RepositoryKey,
        target: &Target,
        content_type: Option<&str>,
        bytes: &[u8],
    ) -> Result<(Digest, Manifest), RegistryError> {
        self.store_parts(key, target, content_type, bytes, Parts::AreHere)
    }

    pub(crate) fn store_parts(
        &self,
        key: &RepositoryKey,
        target: &Target,
        content_type: Option<&str>,
        bytes: &[u8],
        parts: Parts,
    ) -> Result<(Digest, Manifest), RegistryError> {
        let manifest = Manifest::parse(content_type, bytes)?;
        let digest = match target {
            Target::Tag(_) => Digest::of(bytes),
            Target::Digest(expected) => expected.of_same_kind(bytes),
        };
        if let Target::Digest(expected) = target
            && *expected != digest
        {
            return Err(RegistryError::DigestMismatch { expected: *expected, actual: digest });
        }
        self.repository_for_push(key)?;
        self.blobs.put_by(digest.algorithm(), bytes)?;

        let _turn = self.turn();
        let repository = self.repository(key)?;
        let dir = self.dir(key);
        let missing = |digest: Digest| RegistryError::ManifestBlobUnknown { digest, name: key.name.to_string() };
        for part in &manifest.blobs {
            // Used, not only looked at: a collection in progress leaves both.
            let is_here = self.files.exists(&dir.blob(part))? && self.blobs.keep(part)?;
            match parts {
                _ if is_here => self.note_use(key, part)?,
                Parts::AreHere => return Err(missing(*part)),
                Parts::MayCome => {}
            }
        }
        let mut content_size = manifest.content_size;
        for part in &manifest.manifests {
            match self.files.read::<ManifestRecord>(&dir.manifest(part))? {
                Some(part) => content_size = content_size.max(part.content_size),
                None if parts == Parts::AreHere => return Err(missing(*part)),
                None => {}
            }
        }
        let existing: Option<ManifestRecord> = self.files.read(&dir.manifest(&digest))?;
        if let Target::Tag(tag) = target {
            let tagged: Option<TagRecord> = self.files.read(&dir.tag(tag))?;
            let moves = tagged.is_some_and(|tagged| tagged.digest != digest);
            if moves && !repository.settings.may_move(tag) {
                return Err(RegistryError::TagImmutable { tag: tag.to_string(), name: key.name.to_string() });
            }
        }
        if existing.is_none() {
            if let Some(subject) = &manifest.subject {
                self.files.mark_in(&dir.referrers(subject), &digest)?;
            }
            for part in &manifest.manifests {
                self.files.mark_in(&dir.indexes(part), &digest)?;
            }
            let record = ManifestRecord {
                version: VERSION,
                media_type: manifest.media_type.as_str().to_owned(),
                artifact_type: manifest.artifact_type.clone(),
                annotations: manifest.annotations.clone(),
                size: bytes.len() as u64,
                content_size,
                pushed_at: now(),
                subject: manifest.subject,
                needs: Some(manifest.blobs.clone()),
            };
            self.files.write(&dir.manifest(&digest), &record)?;
        }
        if self.files.are_shared() {
            // Another server's collection may have forgotten one of them before it could see who needs it.
            for part in manifest.blobs.iter().filter(|_| parts == Parts::AreHere) {
                self.files.mark(&dir.blob(part))?;
            }
        }
        if let Target::Tag(tag) = target {
            let checked_at = (parts == Parts::MayCome).then(now);
            self.files.write(&dir.tag(tag), &TagRecord { version: VERSION, digest, checked_at })?;
        }
        Ok((digest, manifest))
    }

    /// Finds the manifest that a tag or digest names.
    pub fn resolve(&self, key: &RepositoryKey, target: &Target) -> Result<(Digest, ManifestRecord), RegistryError> {
        self.repository(key)?;
        let dir = self.dir(key);
        let digest = match target {
            Target::Digest(digest) => *digest,
            Target::Tag(tag) => {
                let tagged: TagRecord = self.files.read(&dir.tag(tag))?.ok_or(RegistryError::ManifestUnknown)?;
                tagged.digest
            }
        };
        let record = self.files.read(&dir.manifest(&digest))?.ok_or(RegistryError::ManifestUnknown)?;
        Ok((digest, record))
    }

    /// When another registry last said what a tag names.
    pub(crate) fn tag_checked_at(&self, key: &RepositoryKey, tag: &Tag) -> Result<Option<Timestamp>, RegistryError> {
        Ok(self.files.read::<TagRecord>(&self.dir(key).tag(tag))?.and_then(|tagged| tagged.checked_at))
    }

    /// The bytes of a manifest, exactly as they were pushed.
    pub fn manifest_bytes(&self, digest: &Digest) -> Result<Vec<u8>, RegistryError> {
        Ok(self.blobs.read(digest, MANIFEST_BYTES_MAX as u64)?)
    }

    /// The tags of a repository, sorted.
    pub fn tags(&self, key: &RepositoryKey) -> Result<Vec<Tag>, RegistryError> {
        self.repository(key)?;
        Ok(self.files.names(&self.dir(key).tags())?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    pub(crate) fn tags_by_digest(&self, key: &RepositoryKey) -> Result<BTreeMap<Digest, Vec<Tag>>, RegistryError> {
        let dir = self.dir(key);
        let mut by_digest: BTreeMap<Digest, Vec<Tag>> = BTreeMap::new();
        let tags = self.tags(key)?;
        let paths: Vec<PathBuf> = tags.iter().map(|tag| dir.tag(tag)).collect();
        for (tag, record) in tags.into_iter().zip(self.files.read_all::<TagRecord>(&paths)?) {
            // A tag that was deleted since the listing is simply gone.
            if let Some(record) = record {
                by_digest.entry(record.digest).or_default().push(tag);
            }
        }
        Ok(by_digest)
    }

    /// All images of a repository, by digest.
    pub fn images(&self, key: &RepositoryKey) -> Result<Vec<Image>, RegistryError> {
        let _look = self.look();
        let mut tags = self.tags_by_digest(key)?;
        let dir = self.dir(key);
        let mut images = Vec::new();
        let digests = self.files.digests(&dir.manifests())?;
        let paths: Vec<PathBuf> = digests.iter().map(|digest| dir.manifest(digest)).collect();
        for (digest, manifest) in digests.into_iter().zip(self.files.read_all(&paths)?) {
            if let Some(manifest) = manifest {
                images.push(Image { digest, manifest, tags: tags.remove(&digest).unwrap_or_default() });
            }
        }
        Ok(images)
    }

    /// The manifests that are about `subject`.
    pub fn referrers(
        &self,
        key: &RepositoryKey,
        subject: &Digest,
    ) -> Result<Vec<(Digest, ManifestRecord)>, RegistryError> {
        self.repository(key)?;
        let dir = self.dir(key);
        let mut found = Vec::new();
        let digests = self.files.digests(&dir.referrers(subject))?;
        let paths: Vec<PathBuf> = digests.iter().map(|digest| dir.manifest(digest)).collect();
        for (digest, record) in digests.into_iter().zip(self.files.read_all(&paths)?) {
            if let Some(record) = record {
                found.push((digest, record));
            }
        }
        Ok(found)
    }
}

fn exists(key: &RepositoryKey) -> RegistryError {
    RegistryError::RepositoryExists { name: key.name.to_string(), account: key.scope.account().to_owned() }
}

fn unknown(key: &RepositoryKey) -> RegistryError {
    RegistryError::NameUnknown { name: key.name.to_string(), account: key.scope.account().to_owned() }
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
