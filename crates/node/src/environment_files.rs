//! `environmentFiles`: variables from files in a bucket.

use agent::plan::{ContainerPlan, TaskPlan};
use objects::{Address, Options};
use task_engine::{Failure, FailureKind};

use crate::limits::ENVIRONMENT_FILE_BYTES_MAX;

/// The variables of all files of a container, the first file's before the second's. A failure is the task's.
pub async fn fetch(task: &TaskPlan, plan: &ContainerPlan) -> Result<Vec<(String, String)>, Failure> {
    let mut variables: Vec<(String, String)> = Vec::new();
    for file in &plan.payload.environment_files {
        let text = one(task, &file.value)
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

/// Keys come from the agent's own environment, as does the address of a server other than Amazon's: `AWS_ENDPOINT_URL_S3`.
async fn one(task: &TaskPlan, arn: &str) -> Result<String, String> {
    let (bucket, key) = place(arn).ok_or_else(|| format!("invalid s3 arn: {arn}"))?;
    let failed = |error: &dyn std::error::Error| {
        let error = crate::failure::chain(error);
        format!("unable to download env file with key {key} from bucket {bucket}, error: {error}")
    };
    let region = task.arn().split(':').nth(3).filter(|region| !region.is_empty());
    let address =
        Address { bucket: bucket.to_owned(), prefix: String::new(), endpoint: None, region: region.map(str::to_owned) };
    let bytes = async {
        let store = objects::open(&address, &Options::default()).map_err(|error| failed(&error))?;
        let found = objects::get(&*store, key, ENVIRONMENT_FILE_BYTES_MAX).await;
        found.map_err(|error| failed(&error))
    };
    String::from_utf8(bytes.await?).map_err(|error| failed(&error))
}

/// `arn:aws:s3:::bucket/key`
fn place(arn: &str) -> Option<(&str, &str)> {
    let mut parts = arn.splitn(6, ':');
    let of_s3 = parts.next()? == "arn" && parts.next()?.starts_with("aws") && parts.next()? == "s3";
    let (bucket, key) = parts.nth(2)?.split_once('/')?;
    (of_s3 && !bucket.is_empty() && !key.is_empty()).then_some((bucket, key))
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

    #[test]
    fn an_arn_names_bucket_and_key() {
        assert_eq!(place("arn:aws:s3:::bucket/a/b.env"), Some(("bucket", "a/b.env")));
        assert_eq!(place("arn:aws-cn:s3:::b/k"), Some(("b", "k")));
        for bad in ["s3://bucket/key", "arn:aws:s3:::bucket", "arn:aws:s3:::/key", "arn:aws:ec2:::a/b", ""] {
            assert_eq!(place(bad), None, "{bad}");
        }
    }
}
