//! A session as an object: as it was shown, and there once the session is over.

use std::io;
use std::sync::Arc;

use agent_api::extras::SessionBucket;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;

use crate::seams::ControlPlane;

pub(super) async fn write(
    control: Arc<dyn ControlPlane>,
    bucket: SessionBucket,
    session: String,
    mut pieces: mpsc::Receiver<Vec<u8>>,
) {
    let key = key(&bucket.key_prefix, &session);
    let written = async {
        let mut object = control.write_object(&bucket, &key).await.map_err(io::Error::other)?;
        while let Some(piece) = pieces.recv().await {
            object.write_all(&piece).await?;
        }
        object.shutdown().await
    };
    if let Err(error) = written.await {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(bucket = bucket.name, key, error, "a session was not written down");
    }
}

/// Source: AWS Systems Manager User Guide, "Logging session data using Amazon S3": an object of the session's name.
fn key(prefix: &str, session: &str) -> String {
    match prefix.trim_matches('/') {
        "" => format!("{session}.log"),
        prefix => format!("{prefix}/{session}.log"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_sessions() {
        assert_eq!(key("", "s"), "s.log");
        assert_eq!(key("exec/prod/", "s"), "exec/prod/s.log");
    }
}
