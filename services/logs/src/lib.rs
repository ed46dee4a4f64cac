//! Amazon CloudWatch Logs.
