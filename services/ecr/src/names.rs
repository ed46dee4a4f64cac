//! Whose repository a request means.

use api_ecr::{Error, ErrorCode};
use registry::{RepositoryKey, RepositoryName, Scope};
use shape::Caller;

use crate::refusals::{bad_request, invalid, required};

/// The caller's registry.
pub(crate) fn scope(caller: &Caller) -> Result<Scope, Error> {
    Scope::new(&caller.account, &caller.region)
        .ok_or_else(|| bad_request(format!("The region '{}' has no registry.", caller.region)))
}

/// Refuses a registry that is not the caller's. `resource` is what the caller asked for there, for the message.
pub(crate) fn refuse_foreign(
    caller: &Caller,
    registry_id: Option<&str>,
    operation: &str,
    resource: &str,
) -> Result<(), Error> {
    let Some(account) = registry_id.filter(|account| *account != caller.account) else {
        return Ok(());
    };
    let (partition, region) = (caller.partition(), &caller.region);
    let message = format!(
        "User: {} is not authorized to perform: ecr:{operation} on resource: \
         arn:{partition}:ecr:{region}:{account}:repository/{resource} \
         because no resource-based policy allows the ecr:{operation} action",
        caller.principal.arn
    );
    Err(Error::new(ErrorCode::AccessDeniedException, message))
}

/// The repository of a request that must name one.
pub(crate) fn repository(
    caller: &Caller,
    registry_id: Option<&str>,
    name: Option<&str>,
    operation: &str,
) -> Result<RepositoryKey, Error> {
    let name = required(name, "repositoryName")?;
    refuse_foreign(caller, registry_id, operation, name)?;
    Ok(RepositoryKey::new(&scope(caller)?, parse(name)?))
}

pub(crate) fn parse(name: &str) -> Result<RepositoryName, Error> {
    // The model's pattern is the registry's own, so only a typed caller can come here with another name.
    name.parse().map_err(|_| {
        let pattern = api_ecr::schemas::REPOSITORY_NAME.pattern.unwrap_or_default();
        invalid("repositoryName", format_args!("must satisfy regular expression '{pattern}'"))
    })
}

/// The repository that an ARN names: the caller's own.
pub(crate) fn of_arn(caller: &Caller, arn: Option<&str>, operation: &str) -> Result<RepositoryKey, Error> {
    let arn = required(arn, "resourceArn")?;
    let malformed = || invalid("resourceArn", "Invalid ARN");
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [_, _, service, region, account, resource] = parts[..] else { return Err(malformed()) };
    let is_ours = arn.starts_with(&format!("arn:{}:", caller.partition())) && service == "ecr";
    let name = resource.strip_prefix("repository/").filter(|_| is_ours).ok_or_else(malformed)?;
    let name: RepositoryName = name.parse().map_err(|_| malformed())?;
    refuse_foreign(caller, Some(account), operation, name.as_str())?;
    if region != caller.region {
        return Err(invalid("resourceArn", format_args!("The ARN is of region '{region}', not '{}'", caller.region)));
    }
    Ok(RepositoryKey::new(&scope(caller)?, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_belongs_to_the_caller() {
        let caller = Caller::root("111122223333", "eu-west-1");
        let key = |registry| repository(&caller, registry, Some("team/web"), "ListImages");
        let own = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/web";
        assert_eq!(key(None).unwrap().to_string(), own);
        assert_eq!(key(Some("111122223333")).unwrap().to_string(), own);
        let denied = key(Some("444455556666")).unwrap_err();
        assert_eq!(denied.code, ErrorCode::AccessDeniedException);
        assert_eq!(
            denied.message,
            "User: arn:aws:iam::111122223333:root is not authorized to perform: ecr:ListImages on resource: \
             arn:aws:ecr:eu-west-1:444455556666:repository/team/web because no resource-based policy allows the \
             ecr:ListImages action"
        );
    }

    #[test]
    fn an_arn_names_a_repository_of_the_caller() {
        let caller = Caller::root("111122223333", "eu-west-1");
        let of = |arn: &str| of_arn(&caller, Some(arn), "TagResource").map_err(|error| error.code);
        let key = of("arn:aws:ecr:eu-west-1:111122223333:repository/team/web").unwrap();
        assert_eq!(key.to_string(), "111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/web");
        for (arn, code) in [
            ("web", ErrorCode::InvalidParameterException),
            ("", ErrorCode::InvalidParameterException),
            ("arn:aws:ecr:eu-west-1:111122223333:web", ErrorCode::InvalidParameterException),
            ("arn:aws:ecr:eu-west-1:111122223333:repository/Web", ErrorCode::InvalidParameterException),
            ("arn:aws:ecs:eu-west-1:111122223333:repository/web", ErrorCode::InvalidParameterException),
            ("arn:aws-cn:ecr:eu-west-1:111122223333:repository/web", ErrorCode::InvalidParameterException),
            ("arn:aws:ecr:us-east-1:111122223333:repository/web", ErrorCode::InvalidParameterException),
            ("arn:aws:ecr:eu-west-1:444455556666:repository/web", ErrorCode::AccessDeniedException),
        ] {
            assert_eq!(of(arn), Err(code), "{arn}");
        }
    }

    #[test]
    fn bad_names_and_regions_are_refused() {
        let caller = Caller::root("111122223333", "eu-west-1");
        for name in [None, Some("Web"), Some("../etc"), Some("")] {
            let refused = repository(&caller, None, name, "ListImages").unwrap_err();
            assert_eq!(refused.code, ErrorCode::InvalidParameterException, "{name:?}");
        }
        assert!(scope(&Caller::root("111122223333", "Mars/1")).is_err());
    }
}
