//! Which permission each operation asks for. Open mode asks for none; `--auth iam` will.
//!
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon CloudWatch Logs".

/// The IAM action of an operation, the kind of resource it is asked for, and what a condition may look at beside the
/// tags of that resource (`aws:ResourceTag/${TagKey}`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    pub operation: &'static str,
    pub action: &'static str,
    /// `*` when the action cannot be narrowed to a resource.
    pub resource: &'static str,
    pub conditions: &'static [&'static str],
}

macro_rules! access {
    ($($operation:literal on $resource:literal $(if $($condition:literal)&&+)?,)*) => {
        &[$(Access {
            operation: $operation,
            action: concat!("logs:", $operation),
            resource: $resource,
            conditions: &[$($($condition),+)?],
        },)*]
    };
}

pub const ACCESS: &[Access] = access! {
    "CreateLogGroup" on "log-group" if "aws:RequestTag/${TagKey}" && "aws:TagKeys",
    "CreateLogStream" on "log-group",
    "DeleteLogGroup" on "log-group",
    "DeleteLogStream" on "log-stream",
    "DeleteMetricFilter" on "log-group",
    "DeleteQueryDefinition" on "*",
    "DeleteRetentionPolicy" on "log-group",
    "DeleteSubscriptionFilter" on "log-group",
    "DescribeLogGroups" on "log-group",
    "DescribeLogStreams" on "log-group",
    "DescribeMetricFilters" on "log-group",
    "DescribeQueries" on "*",
    "DescribeQueryDefinitions" on "*",
    "DescribeSubscriptionFilters" on "log-group",
    "FilterLogEvents" on "log-group",
    "GetLogEvents" on "log-stream",
    "GetLogGroupFields" on "log-group",
    "GetLogRecord" on "log-group",
    "GetQueryResults" on "*",
    "ListLogGroupsForQuery" on "*",
    "ListTagsForResource" on "log-group",
    "ListTagsLogGroup" on "log-group",
    "PutLogEvents" on "log-stream",
    "PutMetricFilter" on "log-group",
    "PutQueryDefinition" on "*",
    "PutRetentionPolicy" on "log-group",
    "PutSubscriptionFilter" on "log-group" if "logs:DestinationArn",
    "StartLiveTail" on "log-group",
    "StartQuery" on "log-group",
    "StopQuery" on "*",
    "TagLogGroup" on "log-group" if "aws:RequestTag/${TagKey}" && "aws:TagKeys",
    "TagResource" on "log-group" if "aws:RequestTag/${TagKey}" && "aws:TagKeys",
    "TestMetricFilter" on "*",
    "UntagLogGroup" on "log-group" if "aws:TagKeys",
    "UntagResource" on "log-group" if "aws:TagKeys",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_asks_for_a_permission() {
        let mut asked: Vec<_> = ACCESS.iter().map(|access| access.operation).collect();
        let mut served: Vec<_> = api_logs::MODEL.operations.iter().map(|operation| operation.name).collect();
        asked.sort_unstable();
        served.sort_unstable();
        assert_eq!(asked, served);
    }
}
