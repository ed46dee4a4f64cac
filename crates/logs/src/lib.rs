//! Log drivers on a node: from the shim's files to CloudWatch Logs.
