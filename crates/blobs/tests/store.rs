//! What the registry and the image store rely on.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::time::Duration;

use blobs::{BlobError, Blobs, Digest, PumpError, pump};
use bytes::Bytes;

fn store() -> (tempfile::TempDir, Blobs) {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path()).unwrap();
    (dir, blobs)
}

fn files(dir: &std::path::Path) -> usize {
    std::fs::read_dir(dir).unwrap().count()
}

#[test]
fn a_blob_appears_under_its_digest_and_goes_away() {
    let (dir, blobs) = store();
    let mut writer = blobs.writer().unwrap();
    writer.write_all(b"hello ").unwrap();
    writer.write_all(b"world").unwrap();
    let digest = Digest::of(b"hello world");
    assert!(!blobs.exists(&digest).unwrap(), "nothing is visible before the commit");
    assert_eq!(writer.commit(Some(digest)).unwrap(), digest);

    assert_eq!(blobs.size(&digest).unwrap(), Some(11));
    assert_eq!(blobs.read(&digest, 11).unwrap(), b"hello world");
    assert!(matches!(blobs.read(&digest, 10), Err(BlobError::TooLarge { .. })));
    assert_eq!(blobs.list().unwrap(), [digest]);
    assert_eq!(files(&dir.path().join("tmp")), 0);

    assert!(blobs.delete(&digest).unwrap());
    assert!(!blobs.delete(&digest).unwrap());
    assert!(matches!(blobs.file(&digest), Err(BlobError::NotFound { .. })));
}

#[test]
fn a_wrong_digest_stores_nothing() {
    let (dir, blobs) = store();
    let mut writer = blobs.writer().unwrap();
    writer.write_all(b"corrupted").unwrap();
    let error = writer.commit(Some(Digest::of(b"intact"))).unwrap_err();
    assert!(matches!(error, BlobError::Mismatch { actual, .. } if actual == Digest::of(b"corrupted")), "{error}");
    assert!(blobs.list().unwrap().is_empty());
    assert_eq!(files(&dir.path().join("tmp")), 0);
}

#[test]
fn many_writers_of_one_blob_agree() {
    let (_dir, blobs) = store();
    let bytes = vec![7_u8; 300_000];
    let digest = Digest::of(&bytes);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut writer = blobs.writer().unwrap();
                bytes.chunks(4096).for_each(|chunk| writer.write_all(chunk).unwrap());
                writer.commit(Some(digest)).unwrap();
                let mut read = Vec::new();
                blobs.file(&digest).unwrap().read_to_end(&mut read).unwrap();
                assert_eq!(Digest::of(&read), digest);
            });
        }
    });
    assert_eq!(blobs.list().unwrap(), [digest]);
}

#[test]
fn an_upload_survives_a_restart() {
    let (dir, blobs) = store();
    let id = blobs.start_upload().unwrap();
    blobs.upload(id).unwrap().write_all(b"first half, ").unwrap();
    assert_eq!(blobs.upload_offset(id).unwrap(), 12);
    drop(blobs);

    let blobs = Blobs::open(dir.path()).unwrap();
    assert_eq!(blobs.upload_offset(id).unwrap(), 12);
    let mut upload = blobs.upload(id).unwrap();
    assert_eq!(upload.offset(), 12);
    upload.write_all(b"second half").unwrap();
    let digest = Digest::of(b"first half, second half");
    upload.commit(digest).unwrap();
    assert_eq!(blobs.read(&digest, 100).unwrap(), b"first half, second half");
    assert!(matches!(blobs.upload(id), Err(BlobError::UploadNotFound { .. })));
    assert!(matches!(blobs.upload_offset(id), Err(BlobError::UploadNotFound { .. })));
}

#[test]
fn an_upload_has_one_writer_and_ends_when_cancelled_or_wrong() {
    let (dir, blobs) = store();
    let id = blobs.start_upload().unwrap();
    let upload = blobs.upload(id).unwrap();
    assert!(matches!(blobs.upload(id), Err(BlobError::UploadBusy { .. })));
    upload.cancel();
    assert!(matches!(blobs.upload(id), Err(BlobError::UploadNotFound { .. })));

    let id = blobs.start_upload().unwrap();
    let error = blobs.upload(id).unwrap().commit(Digest::of(b"something else")).unwrap_err();
    assert!(matches!(error, BlobError::Mismatch { .. }));
    assert!(matches!(blobs.upload(id), Err(BlobError::UploadNotFound { .. })));
    assert_eq!(files(&dir.path().join("uploads")), 0);
}

#[test]
fn a_sweep_keeps_what_is_needed_or_young() {
    let (_dir, blobs) = store();
    let needed = blobs.put(b"needed").unwrap();
    let stray = blobs.put(b"stray").unwrap();
    let keep = HashSet::from([needed]);
    assert_eq!(blobs.sweep(&keep, Duration::from_secs(3600)).unwrap().blobs, 0);
    let swept = blobs.sweep(&keep, Duration::ZERO).unwrap();
    assert_eq!((swept.blobs, swept.bytes), (1, 5));
    assert!(blobs.exists(&needed).unwrap() && !blobs.exists(&stray).unwrap());
}

#[tokio::test]
async fn a_broken_stream_leaves_an_upload_that_continues() {
    let (_dir, blobs) = store();
    let id = blobs.start_upload().unwrap();
    let broken = futures::stream::iter([Ok(Bytes::from_static(b"abc")), Err("connection reset")]);
    let (upload, result) = pump(blobs.upload(id).unwrap(), broken, 100).await;
    assert!(matches!(result, Err(PumpError::Stream("connection reset"))));
    drop(upload);
    assert_eq!(blobs.upload_offset(id).unwrap(), 3);

    let rest = futures::stream::iter([Ok::<_, String>(Bytes::from_static(b"def"))]);
    let (upload, result) = pump(blobs.upload(id).unwrap(), rest, 100).await;
    assert_eq!(result.unwrap(), 3);
    upload.unwrap().commit(Digest::of(b"abcdef")).unwrap();
}

#[tokio::test]
async fn a_stream_longer_than_allowed_is_refused() {
    let (_dir, blobs) = store();
    let endless = futures::stream::repeat_with(|| Ok::<_, String>(Bytes::from_static(&[0; 1000])));
    let (_, result) = pump(blobs.writer().unwrap(), endless, 10_000).await;
    assert!(matches!(result, Err(PumpError::TooLong { limit: 10_000 })));
}
