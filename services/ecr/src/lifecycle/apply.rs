//! Letting policies act: on the images as they are now, and never on one that changed since it was looked at.

use registry::{Holder, Registry, RegistryError, RepositoryKey};
use shape::Timestamp;

use super::evaluate::{Candidate, evaluate};
use super::{Expiring, LifecycleRecord, Policy, parse};

/// What the policies of all registries did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Repositories that have a policy.
    pub repositories: u64,
    /// Images that are gone.
    pub expired: u64,
}

/// What a policy would expire at some time.
pub(crate) fn plan(
    registry: &Registry,
    key: &RepositoryKey,
    policy: &Policy,
    now: Timestamp,
) -> Result<Vec<Expiring>, RegistryError> {
    let mut candidates = Vec::new();
    for image in registry.images(key)? {
        candidates.push(Candidate {
            is_listed: !registry.indexes_with(key, &image.digest)?.is_empty(),
            digest: image.digest,
            tags: image.tags,
            pushed_at: image.manifest.pushed_at,
            subject: image.manifest.subject,
        });
    }
    Ok(evaluate(policy, &candidates, now))
}

/// Applies every policy there is. What goes wrong in one repository is logged, and does not keep the others from theirs.
pub(crate) fn apply_all(registry: &Registry, now: Timestamp) -> Result<Applied, RegistryError> {
    let mut applied = Applied::default();
    for scope in registry.scopes()? {
        for name in registry.repository_names(&scope)? {
            let key = RepositoryKey::new(&scope, name);
            match apply(registry, &key, now) {
                Ok(None) | Err(RegistryError::NameUnknown { .. }) => {}
                Ok(Some(expired)) => {
                    applied.repositories += 1;
                    applied.expired += expired;
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, %key, "a lifecycle policy could not act");
                }
            }
        }
    }
    Ok(applied)
}

/// How many images are gone; nothing when the repository has no policy.
fn apply(registry: &Registry, key: &RepositoryKey, now: Timestamp) -> Result<Option<u64>, RegistryError> {
    let holder = Holder::Repository(key);
    let Some(record) = registry.record::<LifecycleRecord>(holder, LifecycleRecord::NAME)? else { return Ok(None) };
    let policy = match parse(&record.text) {
        Ok(policy) => policy,
        Err(error) => {
            // It was good when it was put: a later version has become stricter. Nothing is lost by waiting for the owner.
            tracing::warn!(%key, message = error.message, "a lifecycle policy is not understood");
            return Ok(None);
        }
    };
    let mut expired = 0;
    // With an index goes what kept its images, so they may be next.
    loop {
        let due = plan(registry, key, &policy, now)?.into_iter().map(|image| (image.digest, image.tags));
        let deleted = registry.delete_images_as(key, &due.collect::<Vec<_>>())?;
        if deleted == 0 {
            break;
        }
        tracing::info!(%key, images = deleted, "a lifecycle policy expired images");
        expired += deleted;
    }
    let evaluated = registry.change_record(holder, LifecycleRecord::NAME, |kept: Option<LifecycleRecord>| {
        // A policy that was put meanwhile was not looked at.
        let kept = kept.map(|kept| match kept.text == record.text {
            true => LifecycleRecord { last_evaluated_at: Some(now), ..kept },
            false => kept,
        });
        Ok::<_, std::convert::Infallible>((kept, ()))
    })?;
    evaluated.unwrap_or_else(|never| match never {});
    Ok(Some(expired))
}
