//! Which permission each operation asks for. Open mode asks for none; `--auth iam` will.
//!
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon Elastic Container Registry".

/// The IAM action of an operation, the kind of resource it is asked for, and the condition keys it knows beside the global ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    pub operation: &'static str,
    pub action: &'static str,
    /// `*` when the action cannot be narrowed to a resource.
    pub resource: &'static str,
    pub condition_keys: &'static [&'static str],
}

/// Every action on a repository knows the tags of it.
const REPOSITORY: &[&str] = &["aws:ResourceTag/${TagKey}", "ecr:ResourceTag/${TagKey}"];
/// What brings tags along knows those too.
const TAGGING: &[&str] =
    &["aws:ResourceTag/${TagKey}", "ecr:ResourceTag/${TagKey}", "aws:RequestTag/${TagKey}", "aws:TagKeys"];
const UNTAGGING: &[&str] = &["aws:ResourceTag/${TagKey}", "ecr:ResourceTag/${TagKey}", "aws:TagKeys"];
const SETTING: &[&str] = &["ecr:AccountSetting"];
const NONE: &[&str] = &[];

macro_rules! access {
    ($($operation:literal on $resource:literal knows $keys:ident,)*) => {
        &[$(Access {
            operation: $operation,
            action: concat!("ecr:", $operation),
            resource: $resource,
            condition_keys: $keys,
        },)*]
    };
}

pub const ACCESS: &[Access] = access! {
    "BatchCheckLayerAvailability" on "repository" knows REPOSITORY,
    "BatchDeleteImage" on "repository" knows REPOSITORY,
    "BatchGetImage" on "repository" knows REPOSITORY,
    "BatchGetRepositoryScanningConfiguration" on "repository" knows REPOSITORY,
    "CompleteLayerUpload" on "repository" knows REPOSITORY,
    "CreatePullThroughCacheRule" on "*" knows NONE,
    "CreateRepository" on "repository" knows TAGGING,
    "CreateRepositoryCreationTemplate" on "*" knows NONE,
    "DeleteLifecyclePolicy" on "repository" knows REPOSITORY,
    "DeletePullThroughCacheRule" on "*" knows NONE,
    "DeleteRegistryPolicy" on "*" knows NONE,
    "DeleteRepository" on "repository" knows REPOSITORY,
    "DeleteRepositoryCreationTemplate" on "*" knows NONE,
    "DeleteRepositoryPolicy" on "repository" knows REPOSITORY,
    "DescribeImageReplicationStatus" on "repository" knows REPOSITORY,
    "DescribeImageScanFindings" on "repository" knows REPOSITORY,
    "DescribeImages" on "repository" knows REPOSITORY,
    "DescribePullThroughCacheRules" on "*" knows NONE,
    "DescribeRegistry" on "*" knows NONE,
    "DescribeRepositories" on "repository" knows REPOSITORY,
    "DescribeRepositoryCreationTemplates" on "*" knows NONE,
    "GetAccountSetting" on "*" knows SETTING,
    "GetAuthorizationToken" on "*" knows NONE,
    "GetDownloadUrlForLayer" on "repository" knows REPOSITORY,
    "GetLifecyclePolicy" on "repository" knows REPOSITORY,
    "GetLifecyclePolicyPreview" on "repository" knows REPOSITORY,
    "GetRegistryPolicy" on "*" knows NONE,
    "GetRegistryScanningConfiguration" on "*" knows NONE,
    "GetRepositoryPolicy" on "repository" knows REPOSITORY,
    "InitiateLayerUpload" on "repository" knows REPOSITORY,
    "ListImageReferrers" on "repository" knows REPOSITORY,
    "ListImages" on "repository" knows REPOSITORY,
    "ListTagsForResource" on "repository" knows REPOSITORY,
    "PutAccountSetting" on "*" knows SETTING,
    "PutImage" on "repository" knows REPOSITORY,
    "PutImageScanningConfiguration" on "repository" knows REPOSITORY,
    "PutImageTagMutability" on "repository" knows REPOSITORY,
    "PutLifecyclePolicy" on "repository" knows REPOSITORY,
    "PutRegistryPolicy" on "*" knows NONE,
    "PutRegistryScanningConfiguration" on "*" knows NONE,
    "PutReplicationConfiguration" on "*" knows NONE,
    "SetRepositoryPolicy" on "repository" knows REPOSITORY,
    "StartImageScan" on "repository" knows REPOSITORY,
    "StartLifecyclePolicyPreview" on "repository" knows REPOSITORY,
    "TagResource" on "repository" knows TAGGING,
    "UntagResource" on "repository" knows UNTAGGING,
    "UpdatePullThroughCacheRule" on "*" knows NONE,
    "UpdateRepositoryCreationTemplate" on "*" knows NONE,
    "UploadLayerPart" on "repository" knows REPOSITORY,
    "ValidatePullThroughCacheRule" on "*" knows NONE,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_asks_for_a_permission() {
        let mut asked: Vec<_> = ACCESS.iter().map(|access| access.operation).collect();
        let mut served: Vec<_> = api_ecr::MODEL.operations.iter().map(|operation| operation.name).collect();
        asked.sort_unstable();
        served.sort_unstable();
        assert_eq!(asked, served);
    }

    #[test]
    fn what_is_about_one_repository_can_be_narrowed_to_it() {
        for operation in api_ecr::MODEL.operations {
            let access = ACCESS.iter().find(|access| access.operation == operation.name).unwrap();
            let names_one = match operation.input.kind {
                shape::Kind::Structure(members) => {
                    members.iter().any(|member| ["repositoryName", "resourceArn"].contains(&member.name))
                }
                _ => false,
            };
            assert!(!names_one || access.resource == "repository", "{}", operation.name);
        }
    }
}
