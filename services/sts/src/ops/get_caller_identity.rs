//! GetCallerIdentity.

use api_sts::GetCallerIdentityResponse;
use shape::Caller;

pub(crate) fn view(caller: &Caller) -> GetCallerIdentityResponse {
    GetCallerIdentityResponse {
        user_id: Some(caller.principal.user_id.clone()),
        account: Some(caller.account.clone()),
        arn: Some(caller.principal.arn.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_user_is_its_account() {
        let identity = view(&Caller::root("111122223333", "eu-west-1"));
        assert_eq!(identity.user_id.as_deref(), Some("111122223333"));
        assert_eq!(identity.account.as_deref(), Some("111122223333"));
        assert_eq!(identity.arn.as_deref(), Some("arn:aws:iam::111122223333:root"));
    }
}
