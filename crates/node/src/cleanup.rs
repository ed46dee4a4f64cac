//! Images that nobody uses any more go by themselves: some in each cycle, as the ECS agent does it, and as many as it takes when the
//! disk fills up.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use images::{Collected, ImageError, Keep, Reference, Stored};
use stdx::{Timestamp, parse_duration};

use crate::Machine;
use crate::limits::{DISK_FULL_PERCENT, PREPULLED_KEPT};

/// When images are removed, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageCleanup {
    /// The time between two cycles; `None` for no cleanup at all, a full disk or not.
    pub interval: Option<Duration>,
    /// How long ago an image must have been pulled.
    pub minimum_age: Duration,
    /// The most images that one cycle removes.
    pub images_per_cycle: usize,
    /// Blobs that were pushed or used within this time stay: a push to the built-in registry may be about to need them.
    pub unused_for: Duration,
    /// The same when the disk is full.
    pub unused_for_when_full: Duration,
    /// From here on, in percent of the disk, age and number do not count.
    pub full: u64,
    /// Until there is this much room again.
    pub relieved: u64,
    /// Names of images that stay, however old they are and however full the disk is.
    pub excluded: Vec<String>,
}

/// How often a disk is looked at.
const DISK_EVERY: Duration = Duration::from_secs(60);

impl Default for ImageCleanup {
    /// Source: Amazon ECS Developer Guide, "Automated task and image cleanup"; the disk's marks are those of the kubelet.
    fn default() -> ImageCleanup {
        ImageCleanup {
            interval: Some(Duration::from_secs(30 * 60)),
            minimum_age: Duration::from_secs(3600),
            images_per_cycle: 5,
            unused_for: Duration::from_secs(24 * 3600),
            unused_for_when_full: Duration::from_secs(3600),
            full: DISK_FULL_PERCENT,
            relieved: 80,
            excluded: Vec::new(),
        }
    }
}

impl ImageCleanup {
    /// The shortest interval. Source: amazon-ecs-agent, `README.md`, `ECS_IMAGE_CLEANUP_INTERVAL`.
    const INTERVAL_MIN: Duration = Duration::from_secs(10 * 60);

    /// What the variables of `ecs.config` say; what they say wrongly is told and stays as it is, which is the official agent's way.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> ImageCleanup {
        let mut cleanup = ImageCleanup::default();
        let wrong = |name: &str, text: &str| tracing::warn!(name, text, "this setting is not understood");
        let duration = |name: &str| {
            let text = variable(name)?;
            let parsed = parse_duration(&text);
            if parsed.is_none() {
                wrong(name, &text);
            }
            parsed
        };
        if let Some(interval) = duration("ECS_IMAGE_CLEANUP_INTERVAL") {
            cleanup.interval = Some(interval.max(ImageCleanup::INTERVAL_MIN));
        }
        if let Some(age) = duration("ECS_IMAGE_MINIMUM_CLEANUP_AGE") {
            cleanup.minimum_age = age;
        }
        if let Some(text) = variable("ECS_NUM_IMAGES_DELETE_PER_CYCLE") {
            match text.parse() {
                Ok(count @ 1..) => cleanup.images_per_cycle = count,
                _ => wrong("ECS_NUM_IMAGES_DELETE_PER_CYCLE", &text),
            }
        }
        if let Some(names) = variable("ECS_IMAGE_CLEANUP_EXCLUDE") {
            cleanup.excluded =
                names.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
        }
        // What is preferred from here must be here. Source: Amazon ECS Developer Guide, `ECS_IMAGE_PULL_BEHAVIOR`.
        if variable("ECS_IMAGE_PULL_BEHAVIOR").as_deref() == Some("prefer-cached") {
            cleanup.interval = None;
        }
        if variable("ECS_DISABLE_IMAGE_CLEANUP").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
            cleanup.interval = None;
        }
        cleanup
    }
}

impl ImageCleanup {
    /// A name without a tag means its `latest`, as in a task definition.
    fn excludes(&self, name: &Reference) -> bool {
        self.excluded.iter().any(|excluded| excluded.parse().is_ok_and(|excluded: Reference| excluded == *name))
    }
}

impl Machine {
    /// Removes unused images for as long as it is awaited.
    ///
    /// Call it when an earlier agent's tasks were taken up: before, nobody knows which images they run.
    pub async fn clean_images(self: Arc<Machine>, cleanup: ImageCleanup) {
        let Some(interval) = cleanup.interval else { return };
        let mut next_cycle = tokio::time::Instant::now() + interval;
        loop {
            let is_cycle = tokio::time::timeout_at(next_cycle, tokio::time::sleep(DISK_EVERY)).await.is_err();
            let done = match is_cycle {
                true => {
                    next_cycle += interval;
                    self.clean_up(&cleanup).await.map(Some)
                }
                false => self.make_room(&cleanup).await,
            };
            if let Err(error) = done {
                tracing::error!(error = crate::failure::chain(&error), "unused images cannot be removed");
            }
        }
    }

    /// One cycle.
    pub async fn clean_up(&self, cleanup: &ImageCleanup) -> Result<Collected, ImageError> {
        let unused = self.unused_images(cleanup, cleanup.minimum_age);
        self.remove_images(unused.into_iter().take(cleanup.images_per_cycle).collect(), cleanup.unused_for).await
    }

    /// Removes as many images as it takes, if the disk is full; `None` when it is not.
    pub async fn make_room(&self, cleanup: &ImageCleanup) -> Result<Option<Collected>, ImageError> {
        let before = self.images().disk_use().await?.percent();
        if before < cleanup.full {
            return Ok(None);
        }
        tracing::warn!(percent = before, "the disk is nearly full; unused images are removed");
        // What nothing needs goes first, and then one image after the other.
        self.make_room_of_stopped().await;
        let mut total = self.remove_images(Vec::new(), cleanup.unused_for_when_full).await?;
        while self.images().disk_use().await?.percent() > cleanup.relieved {
            let unused = self.unused_images(cleanup, Duration::ZERO);
            let Some(oldest) = unused.into_iter().next() else {
                if self.let_prepulled_go(Duration::ZERO) {
                    continue;
                }
                tracing::warn!("the disk is nearly full, and every image that is left is in use");
                break;
            };
            let removed = self.remove_images(vec![oldest], cleanup.unused_for_when_full).await?;
            total.layers += removed.layers;
            total.blobs += removed.blobs;
            total.blob_bytes += removed.blob_bytes;
        }
        Ok(Some(total))
    }

    fn unused_images(&self, cleanup: &ImageCleanup, minimum_age: Duration) -> Vec<Stored> {
        self.let_prepulled_go(PREPULLED_KEPT);
        let mut unused = self.images().unused(&self.images_in_use(), minimum_age, now());
        unused.retain(|stored| !cleanup.excludes(&stored.name));
        unused
    }

    async fn remove_images(&self, unused: Vec<Stored>, unused_for: Duration) -> Result<Collected, ImageError> {
        for stored in &unused {
            self.images().remove(&stored.name).await?;
            tracing::info!(image = %stored.name, digest = %stored.digest, "an unused image is removed");
        }
        let keep = Keep { images: self.images_in_use(), unused_for };
        let collected = self.images().collect(keep).await?;
        if collected != Collected::default() {
            let Collected { layers, blobs, blob_bytes } = collected;
            tracing::info!(images = unused.len(), layers, blobs, blob_bytes, "removed what no image needs");
        }
        Ok(collected)
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_what_ecs_config_says() {
        let read = |settings: &[(&str, &str)]| {
            ImageCleanup::from_environment(|name| {
                settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        let usual = ImageCleanup::default();
        assert_eq!(read(&[]), usual);
        let set = read(&[
            ("ECS_IMAGE_CLEANUP_INTERVAL", "1h"),
            ("ECS_IMAGE_MINIMUM_CLEANUP_AGE", "2h"),
            ("ECS_NUM_IMAGES_DELETE_PER_CYCLE", "7"),
        ]);
        assert_eq!(set.interval, Some(Duration::from_secs(3600)));
        assert_eq!((set.minimum_age, set.images_per_cycle), (Duration::from_secs(7200), 7));
        assert_eq!(read(&[("ECS_IMAGE_CLEANUP_INTERVAL", "1s")]).interval, Some(ImageCleanup::INTERVAL_MIN));
        assert_eq!(read(&[("ECS_DISABLE_IMAGE_CLEANUP", "true")]).interval, None);
        assert_eq!(read(&[("ECS_IMAGE_PULL_BEHAVIOR", "prefer-cached")]).interval, None);
        assert_eq!(read(&[("ECS_IMAGE_PULL_BEHAVIOR", "once")]).interval, usual.interval);
        let excluding = read(&[("ECS_IMAGE_CLEANUP_EXCLUDE", "nginx, 127.0.0.1:4566/web:2,,UPPER")]);
        let excludes = |name: &str| excluding.excludes(&name.parse().unwrap());
        assert!(excludes("nginx:latest") && excludes("docker.io/library/nginx") && excludes("127.0.0.1:4566/web:2"));
        assert!(!excludes("nginx:1") && !excludes("127.0.0.1:4566/web:1"));
        for wrong in [("ECS_NUM_IMAGES_DELETE_PER_CYCLE", "0"), ("ECS_IMAGE_MINIMUM_CLEANUP_AGE", "soon")] {
            assert_eq!(read(&[wrong]), usual);
        }
    }
}
