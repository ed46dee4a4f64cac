//! Quotas and defaults, each with the AWS page it comes from.

use std::time::Duration;

/// Source: Amazon ECR service quotas, "Registered repositories", for each region of an account.
pub const REPOSITORIES_MAX: usize = 100_000;
/// How many items a page has when nobody says. Source: DescribeRepositories, ListImages, DescribeImages, `maxResults`.
pub const PAGE_DEFAULT: usize = 100;
/// Source: the same.
pub const PAGE_MAX: usize = 1000;
/// Source: Amazon ECR API Reference, `TooManyTagsException`.
pub const RESOURCE_TAGS_MAX: usize = 50;
/// Source: Amazon ECR API Reference, `Tag`, in characters.
pub const RESOURCE_TAG_KEY_MAX: usize = 128;
/// Source: the same.
pub const RESOURCE_TAG_VALUE_MAX: usize = 256;
/// Source: Amazon ECR User Guide, "Preventing image tags from being overwritten": two wildcards a filter.
pub const FILTER_WILDCARDS_MAX: usize = 2;
/// Source: GetAuthorizationToken: "The authorization token is valid for 12 hours."
pub const TOKEN_LIFE: Duration = Duration::from_secs(12 * 3600);
/// What InitiateLayerUpload tells a client to send at once. Source: Amazon ECR API Reference, InitiateLayerUpload, example.
pub const LAYER_PART_SIZE: u64 = 10 * 1024 * 1024;
/// Source: Amazon ECR API Reference, `LayerPartTooSmallException`: "Layer parts must be at least 5 MiB in size."
pub const LAYER_PART_MIN: u64 = 5 * 1024 * 1024;
/// How long an address of a layer lasts. Source: Amazon ECR User Guide, "Pulling an image": links are presigned for an hour.
pub const LAYER_URL_LIFE: Duration = Duration::from_secs(3600);
/// Source: Amazon ECR service quotas, "Rules per lifecycle policy".
pub const LIFECYCLE_RULES_MAX: usize = 50;
/// Source: Amazon ECR User Guide, "Lifecycle policy properties": `tagPatternList`, wildcards in one string.
pub const LIFECYCLE_WILDCARDS_MAX: usize = 4;
/// How many items a page of a lifecycle preview has when nobody says, and at most. Source: GetLifecyclePolicyPreview.
pub const PREVIEW_PAGE: usize = 100;
/// How long a preview can be read. Source: GetLifecyclePolicyPreview, status `EXPIRED`; 24 hours as for their results.
pub const PREVIEW_LIFE: Duration = Duration::from_secs(24 * 3600);
/// Source: Amazon ECR service quotas, "Unique destinations across all rules in a replication configuration".
pub const REPLICATION_DESTINATIONS_MAX: usize = 25;
/// Source: Amazon ECR service quotas, "Pull through cache rules per registry".
pub const CACHE_RULES_MAX: usize = 50;
/// Source: Amazon ECR service quotas, "Maximum number of repository creation templates" of a registry.
pub const TEMPLATES_MAX: usize = 50;
/// How many items a page of referrers has. Source: ListImageReferrers, `maxResults`.
pub const REFERRERS_PAGE: usize = 50;
