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
