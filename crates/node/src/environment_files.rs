//! `environmentFiles`: variables from files in a bucket.

use agent::plan::{ContainerPlan, TaskPlan};
use objects::{Buckets, Place};
use task_engine::{Failure, FailureKind};

use crate::limits::ENVIRONMENT_FILE_BYTES_MAX;

/// The variables of all files of a container, the first file's before the second's. A failure is the task's.
pub async fn fetch(buckets: &Buckets, task: &TaskPlan, plan: &ContainerPlan) -> Result<Vec<(String, String)>, Failure> {
    let mut variables: Vec<(String, String)> = Vec::new();
    for file in &plan.payload.environment_files {
        let text = one(buckets, task, &file.value)
            .await
            .map_err(|why| Failure::new(FailureKind::Resource, format!("failed to download env files: {why}")))?;
        for (name, value) in parse(&text) {
            // As the official agent has it, the file that is named first wins.
            if !variables.iter().any(|(known, _)| *known == name) {
                variables.push((name, value));
            }
        }
    }
    Ok(variables)
}

async fn one(buckets: &Buckets, task: &TaskPlan, arn: &str) -> Result<String, String> {
    let place = objects::place(arn).ok_or_else(|| format!("invalid s3 arn: {arn}"))?;
    let failed = |error: &dyn std::error::Error| {
        let (error, Place { bucket, key }) = (crate::failure::chain(error), place);
        format!("unable to download env file with key {key} from bucket {bucket}, error: {error}")
    };
    let found = buckets.get(task.region(), place, ENVIRONMENT_FILE_BYTES_MAX).await;
    String::from_utf8(found.map_err(|error| failed(&error))?).map_err(|error| failed(&error))
}

/// `NAME=value` a line. Quotes and spaces are part of the value; a line that begins with `#`, has no `=`, or nothing on one
/// of its sides is skipped.
///
/// Source: Amazon ECS Developer Guide, "Pass environment variables to an Amazon ECS container".
fn parse(text: &str) -> Vec<(String, String)> {
    let line = |line: &str| {
        let (name, value) = line.strip_suffix('\r').unwrap_or(line).split_once('=')?;
        let good = !line.starts_with('#') && !name.is_empty() && !value.is_empty();
        good.then(|| (name.to_owned(), value.to_owned()))
    };
    // The later line wins, in the place of the first.
    let mut found: Vec<(String, String)> = Vec::new();
    for (name, value) in text.lines().filter_map(line) {
        match found.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => found.push((name, value)),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_the_official_agent_reads_them() {
        let text = "# a comment\nA=1\n\nB = two words \nEMPTY=\n=nothing\nno sign\nC=\"quoted\"\r\nURL=http://x/?a=b\nA=2\n #D=4\n";
        let found = parse(text);
        let expected = [("A", "2"), ("B ", " two words "), ("C", "\"quoted\""), ("URL", "http://x/?a=b"), (" #D", "4")];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
