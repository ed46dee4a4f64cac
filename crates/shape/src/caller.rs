//! Who is calling.

/// Everything an operation may know about the request beside its input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Twelve digits.
    pub account: String,
    pub region: String,
    /// None when the request was not signed.
    pub access_key: Option<String>,
    pub principal: Principal,
    /// The id that the answer carries too.
    pub request_id: String,
    /// `scheme://host:port` as the client addressed us: what to put into answers that point back here.
    pub endpoint: Option<String>,
}

/// The identity behind the credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// `arn:aws:iam::111122223333:root`, `arn:aws:iam::111122223333:user/alice`, `arn:aws:sts::…:assumed-role/…`
    pub arn: String,
    /// What `sts get-caller-identity` calls `UserId`.
    pub user_id: String,
}

impl Principal {
    /// The root user of an account, as AWS names it.
    pub fn root(account: &str, region: &str) -> Principal {
        Principal { arn: format!("arn:{}:iam::{account}:root", partition(region)), user_id: account.to_owned() }
    }
}

impl Caller {
    /// The root user of an account, without a request behind it: for calls of our own and for tests.
    pub fn root(account: &str, region: &str) -> Caller {
        Caller {
            account: account.to_owned(),
            region: region.to_owned(),
            access_key: None,
            principal: Principal::root(account, region),
            request_id: "00000000-0000-0000-0000-000000000000".to_owned(),
            endpoint: None,
        }
    }

    /// `aws`, or the partition of the region where it is another.
    pub fn partition(&self) -> &'static str {
        partition(&self.region)
    }

    /// An ARN in the caller's account and region: `caller.arn("ecs", "cluster/default")`.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{resource}", self.partition(), self.region, self.account)
    }
}

/// Source: AWS General Reference, "Amazon Resource Names": partitions.
pub fn partition(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_follow_the_region() {
        let arn = |region| Caller::root("111122223333", region).arn("ecs", "cluster/default");
        assert_eq!(arn("eu-west-1"), "arn:aws:ecs:eu-west-1:111122223333:cluster/default");
        assert_eq!(arn("cn-north-1"), "arn:aws-cn:ecs:cn-north-1:111122223333:cluster/default");
        assert_eq!(Principal::root("111122223333", "us-gov-west-1").arn, "arn:aws-us-gov:iam::111122223333:root");
    }
}
