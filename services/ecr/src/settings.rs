//! What the owner of a repository may choose, read from a request.

use api_ecr::enums::{encryption_type, image_tag_mutability};
use api_ecr::{EncryptionConfiguration, Error, ErrorCode, ImageTagMutabilityExclusionFilter};
use registry::TagMutability;

use crate::limits::FILTER_WILDCARDS_MAX;
use crate::refusals::{invalid, required};
use crate::views;

pub(crate) fn mutability(text: Option<&str>) -> Result<TagMutability, Error> {
    use TagMutability::*;
    let Some(text) = text else { return Ok(Mutable) };
    [Mutable, Immutable, MutableWithExclusion, ImmutableWithExclusion]
        .into_iter()
        .find(|mutability| views::mutability(*mutability) == text)
        .ok_or_else(|| {
            let values = image_tag_mutability::VALUES.join(", ");
            invalid("imageTagMutability", format_args!("Member must satisfy enum value set: [{values}]"))
        })
}

/// Exclusions must be there for the settings that speak of them, and for no other.
pub(crate) fn exclusions(
    mutability: TagMutability,
    filters: Option<Vec<ImageTagMutabilityExclusionFilter>>,
) -> Result<Vec<String>, Error> {
    const PARAMETER: &str = "imageTagMutabilityExclusionFilters";
    let excludes = matches!(mutability, TagMutability::MutableWithExclusion | TagMutability::ImmutableWithExclusion);
    let clash = |verb: &str| {
        let name = views::mutability(mutability);
        invalid(
            PARAMETER,
            format_args!("ImageTagMutabilityExclusionFilters {verb} be null when imageTagMutability is set as {name}"),
        )
    };
    match filters {
        None if excludes => Err(clash("can't")),
        None => Ok(Vec::new()),
        Some(_) if !excludes => Err(clash("must")),
        Some(filters) => filters
            .into_iter()
            .map(|filter| {
                let pattern = required(filter.filter, PARAMETER)?;
                if pattern.matches('*').count() > FILTER_WILDCARDS_MAX {
                    let constraint =
                        format_args!("A filter must have at most {FILTER_WILDCARDS_MAX} wildcards: {pattern}");
                    return Err(invalid(PARAMETER, constraint));
                }
                Ok(pattern)
            })
            .collect(),
    }
}

/// `AES256` is the default and all there is.
pub(crate) fn refuse_keys(encryption: Option<EncryptionConfiguration>) -> Result<(), Error> {
    let Some(EncryptionConfiguration { encryption_type: Some(encryption), kms_key }) = encryption else {
        return Ok(());
    };
    if encryption != encryption_type::AES256 {
        let message = "The KMS key does not exist or cannot be used: Berth has no KMS. Use the encryption type AES256.";
        return Err(Error::new(ErrorCode::KmsException, message));
    }
    match kms_key {
        Some(_) => Err(invalid("encryptionConfiguration", "kmsKey must be null when encryptionType is AES256")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(patterns: &[&str]) -> Option<Vec<ImageTagMutabilityExclusionFilter>> {
        let filter = |pattern: &&str| ImageTagMutabilityExclusionFilter {
            filter_type: Some("WILDCARD".to_owned()),
            filter: Some((*pattern).to_owned()),
        };
        Some(patterns.iter().map(filter).collect())
    }

    #[test]
    fn exclusions_go_with_the_settings_that_speak_of_them() {
        use TagMutability::*;
        assert_eq!(exclusions(Mutable, None).unwrap(), Vec::<String>::new());
        assert_eq!(exclusions(ImmutableWithExclusion, filters(&["dev*", "*-*"])).unwrap(), ["dev*", "*-*"]);
        let refused = |mutability, filters| exclusions(mutability, filters).unwrap_err().message;
        assert_eq!(
            refused(MutableWithExclusion, None),
            "Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy constraint: \
             'ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set as MUTABLE_WITH_EXCLUSION'"
        );
        assert!(refused(Immutable, filters(&["x"])).contains("must be null"));
        assert!(refused(MutableWithExclusion, filters(&["*a*b*"])).contains("at most 2 wildcards"));
    }

    #[test]
    fn mutability_is_one_of_four() {
        for text in image_tag_mutability::VALUES {
            assert_eq!(views::mutability(mutability(Some(text)).unwrap()), *text);
        }
        assert_eq!(mutability(None).unwrap(), TagMutability::Mutable);
        assert!(mutability(Some("SOMETIMES")).is_err());
    }

    #[test]
    fn there_are_no_keys() {
        let encryption = |encryption_type: &str, kms_key: Option<&str>| {
            refuse_keys(Some(EncryptionConfiguration {
                encryption_type: Some(encryption_type.to_owned()),
                kms_key: kms_key.map(str::to_owned),
            }))
            .map_err(|error| error.code)
        };
        assert_eq!(encryption("AES256", None), Ok(()));
        assert_eq!(encryption("AES256", Some("alias/x")), Err(ErrorCode::InvalidParameterException));
        assert_eq!(encryption("KMS", None), Err(ErrorCode::KmsException));
        assert_eq!(encryption("KMS_DSSE", Some("alias/x")), Err(ErrorCode::KmsException));
    }
}
