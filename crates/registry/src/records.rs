//! Records that the owner of a repository, or of a whole registry, wants kept beside it.
//!
//! The registry keeps them as they are and does not read them: what a lifecycle policy means is ECR's to know.

use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::layout;
use crate::{Registry, RegistryError, RepositoryKey, Scope};

/// Whose record it is. What belongs to a repository goes with it.
#[derive(Clone, Copy, Debug)]
pub enum Holder<'a> {
    Repository(&'a RepositoryKey),
    Registry(&'a Scope),
}

impl Registry {
    /// Reads a record. A repository must be there; its record need not.
    pub fn record<T: DeserializeOwned>(&self, holder: Holder<'_>, name: &str) -> Result<Option<T>, RegistryError> {
        self.files.read(&self.record_path(holder, name)?)
    }

    /// Puts a record in the place of an older one.
    pub fn put_record<T: Serialize>(&self, holder: Holder<'_>, name: &str, record: &T) -> Result<(), RegistryError> {
        let _turn = self.turn();
        let path = self.record_path(holder, name)?;
        self.files.write_in_new_dir(&path, record)
    }

    /// Reads a record, and puts what `change` makes of it into its place; nothing, when it makes nothing.
    ///
    /// Nobody else changes it in between. A change that is refused changes nothing.
    pub fn change_record<T, A, E>(
        &self,
        holder: Holder<'_>,
        name: &str,
        change: impl FnOnce(Option<T>) -> Result<(Option<T>, A), E>,
    ) -> Result<Result<A, E>, RegistryError>
    where
        T: Serialize + DeserializeOwned,
    {
        let _turn = self.turn();
        let path = self.record_path(holder, name)?;
        let (record, answer) = match change(self.files.read(&path)?) {
            Ok(changed) => changed,
            Err(refusal) => return Ok(Err(refusal)),
        };
        match record {
            Some(record) => self.files.write_in_new_dir(&path, &record)?,
            None => self.files.remove_if_any(&path)?,
        }
        Ok(Ok(answer))
    }

    fn record_path(&self, holder: Holder<'_>, name: &str) -> Result<PathBuf, RegistryError> {
        Ok(match holder {
            Holder::Repository(key) => {
                self.repository(key)?;
                self.dir(key).record(name)
            }
            Holder::Registry(scope) => layout::registry_record(self.files.root(), scope, name),
        })
    }

    /// The registries that have, or had, a repository or a record.
    pub fn scopes(&self) -> Result<Vec<Scope>, RegistryError> {
        layout::scopes(&self.files)
    }
}
