//! Before a journal.

use std::io::Read as _;
use std::os::unix::net::UnixDatagram;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use shim_api::log::Stream;

use super::*;
use crate::shim::drained;

/// The fields of an entry, by systemd's description of its protocol.
fn fields(mut entry: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    while !entry.is_empty() {
        let end = entry.iter().position(|byte| *byte == b'\n').expect("a whole line");
        let (line, rest) = (&entry[..end], &entry[end + 1..]);
        match line.iter().position(|byte| *byte == b'=') {
            Some(at) => {
                found.insert(String::from_utf8(line[..at].to_vec()).unwrap(), line[at + 1..].to_vec());
                entry = rest;
            }
            None => {
                let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
                found.insert(String::from_utf8(line.to_vec()).unwrap(), rest[8..8 + length].to_vec());
                assert_eq!(rest[8 + length], b'\n');
                entry = &rest[9 + length..];
            }
        }
    }
    found
}

/// One entry, in the datagram or in a file that comes with it.
fn receive(socket: &UnixDatagram) -> BTreeMap<String, Vec<u8>> {
    let mut buffer = vec![0; 1 << 20];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received =
        rustix::net::recvmsg(socket, &mut [std::io::IoSliceMut::new(&mut buffer)], &mut ancillary, RecvFlags::empty());
    let length = received.expect("an entry in time").bytes;
    let handed = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    match handed {
        None => fields(&buffer[..length]),
        Some(file) => {
            let seals = rustix::fs::fcntl_get_seals(&file).unwrap();
            assert!(seals.contains(rustix::fs::SealFlags::WRITE | rustix::fs::SealFlags::SHRINK), "{seals:?}");
            let mut file = std::fs::File::from(file);
            std::io::Seek::rewind(&mut file).unwrap();
            let mut entry = Vec::new();
            file.read_to_end(&mut entry).unwrap();
            fields(&entry)
        }
    }
}

#[tokio::test]
async fn lines_are_entries() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let journal = UnixDatagram::bind(&path).unwrap();
    journal.set_read_timeout(Some(PATIENCE)).unwrap();
    let drivers = drivers().with_journal(path.clone());
    let given = options(&[("labels", "team"), ("env", "STAGE"), ("tag", "{{.ImageName}}")]);
    let mut shim = Shim::new();
    let following = drivers.open("journald", &given, &subject()).await.unwrap().follow(shim.dir());
    let next = async || {
        let journal = journal.try_clone().unwrap();
        tokio::task::spawn_blocking(move || receive(&journal)).await.unwrap()
    };
    shim.shout("hello = world");
    let entry = next().await;
    let text = |name: &str| String::from_utf8(entry[name].clone()).unwrap();
    for (name, expected) in [
        ("MESSAGE", "hello = world"),
        ("PRIORITY", "3"),
        ("CONTAINER_ID", "0123456789ab"),
        ("CONTAINER_ID_FULL", &*"0123456789abcdef".repeat(4)),
        ("CONTAINER_NAME", "ecs-web-1-app-cafe"),
        ("CONTAINER_TAG", "nginx:1"),
        ("SYSLOG_IDENTIFIER", "nginx:1"),
        ("IMAGE_NAME", "nginx:1"),
        ("TEAM", "web"),
        ("STAGE", "prod"),
    ] {
        assert_eq!(text(name), expected, "{name}");
    }
    shim.write(Stream::Stdout, b"no \xff text");
    assert_eq!(next().await["MESSAGE"], b"no \xff text");

    // The journal is away, and comes back.
    drop(journal);
    std::fs::remove_file(&path).unwrap();
    shim.say("meanwhile");
    a_moment().await;
    let journal = UnixDatagram::bind(&path).unwrap();
    journal.set_read_timeout(Some(PATIENCE)).unwrap();
    let entry = tokio::task::spawn_blocking(move || receive(&journal)).await.unwrap();
    assert_eq!(entry["MESSAGE"], b"meanwhile");
    shim.exit();
    drained(&following).await;
}

#[tokio::test]
async fn an_entry_longer_than_a_datagram_comes_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let journal = UnixDatagram::bind(&path).unwrap();
    journal.set_read_timeout(Some(PATIENCE)).unwrap();
    // A line is 16 KiB at most, labels are as long as somebody likes.
    let label = "l".repeat(2 << 20);
    let subject = Subject { labels: options(&[("long", &label)]), ..subject() };
    let mut shim = Shim::new();
    let opened = drivers().with_journal(path).open("journald", &options(&[("labels", "long")]), &subject).await;
    let following = opened.unwrap().follow(shim.dir());
    shim.say("hello");
    shim.exit();
    let entry = tokio::task::spawn_blocking(move || receive(&journal)).await.unwrap();
    assert_eq!((&*entry["MESSAGE"], entry["LONG"].len()), (b"hello".as_slice(), label.len()));
    drained(&following).await;
}

#[tokio::test]
async fn no_journal_no_start() {
    let drivers = drivers().with_journal("/nonexistent/socket".into());
    let error = drivers.open("journald", &options(&[]), &subject()).await.map(drop).unwrap_err();
    assert_eq!(error.to_string(), "failed to initialize logging driver: journald is not enabled on this host");
    let error = drivers.open("journald", &options(&[("x", "y")]), &subject()).await.map(drop).unwrap_err();
    assert_eq!(error.to_string(), "unknown log opt 'x' for journald log driver");
}
