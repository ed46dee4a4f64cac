//! A directory of the first format, byte by byte as an earlier Berth wrote it.

mod world;

use std::fs;
use std::path::Path;

use log_store::{LogStore, Query, Streams};
use tempfile::TempDir;
use world::{NOW, event, files, group, messages};

fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn signed(out: &mut Vec<u8>, value: i64) {
    number(out, ((value << 1) ^ (value >> 63)) as u64);
}

fn text(out: &mut Vec<u8>, text: &str) {
    number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn frame(out: &mut Vec<u8>, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
    out.extend_from_slice(payload);
}

fn batch(out: &mut Vec<u8>, stream: u64, first: u64, events: &[(i64, &str)]) {
    let (mut payload, mut before) = (Vec::new(), 0);
    number(&mut payload, stream);
    number(&mut payload, first);
    signed(&mut payload, NOW.as_millis());
    number(&mut payload, events.len() as u64);
    for (time, message) in events {
        signed(&mut payload, time - before);
        text(&mut payload, message);
        before = *time;
    }
    frame(out, &payload);
}

/// Two streams; a segment with an index, and the one that was written to.
fn write(root: &Path) {
    let directory = root.join("0000000000000001");
    fs::create_dir_all(&directory).unwrap();
    let meta = r#"{"format":1,"account":"000000000000","region":"us-east-1","name":"/ecs/web","created_ms":1700000000000,"retention_days":null}"#;
    fs::write(directory.join("group.json"), meta).unwrap();
    let mut streams = b"BRTHSTR1".to_vec();
    for (id, name) in [(1, "a"), (2, "b")] {
        let mut created = vec![1];
        number(&mut created, id);
        signed(&mut created, NOW.as_millis());
        text(&mut created, name);
        frame(&mut streams, &created);
    }
    fs::write(directory.join("streams.log"), streams).unwrap();
    let mut first = b"BRTHSEG1".to_vec();
    batch(&mut first, 1, 1, &[(10, "a10"), (20, "a20")]);
    batch(&mut first, 2, 3, &[(15, "b15")]);
    fs::write(directory.join("0000000001.seg"), first).unwrap();
    fs::write(directory.join("0000000001.idx"), b"BRTHIDX1 whatever").unwrap();
    let mut second = b"BRTHSEG1".to_vec();
    batch(&mut second, 1, 4, &[(20, "a20 again"), (30, "a30")]);
    second.extend_from_slice(b"torn");
    fs::write(directory.join("0000000002.seg"), second).unwrap();
}

fn check(store: &LogStore) {
    assert_eq!(messages(store, &Query::new(group()), 2), ["a10", "b15", "a20", "a20 again", "a30"]);
    let of_b = Query { streams: Streams::Named(vec!["b".into()]), ..Query::new(group()) };
    let page = store.read(&of_b, &|_| true).unwrap();
    assert_eq!((page.events[0].event.number, page.events[0].event.ingestion_ms), (3, NOW.as_millis()));
    assert_eq!(store.streams(&group(), "").unwrap()[0].last_event.unwrap().as_millis(), 30);
}

#[tokio::test]
async fn an_old_directory_opens() {
    let directory = TempDir::new().unwrap();
    write(directory.path());
    let store = LogStore::open(directory.path()).unwrap();
    check(&store);
    assert!(store.damages().is_empty());
    let old = directory.path().join("0000000000000001");
    assert_eq!(files(&old, "").len(), 2, "only its two small files are left: {:?}", files(&old, ""));
    store.put(group().stream("a"), vec![event(20, "a20 at last")], NOW).await.unwrap();
    store.seal().await.unwrap();
    drop(store);
    let store = LogStore::open(directory.path()).unwrap();
    assert_eq!(messages(&store, &Query::new(group()), 2)[2..5], ["a20", "a20 again", "a20 at last"]);
}

/// The conversion is interrupted at any of its steps, and done again.
#[tokio::test]
async fn an_interrupted_conversion_does_nothing_twice() {
    let original = TempDir::new().unwrap();
    write(original.path());
    let done = TempDir::new().unwrap();
    write(done.path());
    drop(LogStore::open(done.path()).unwrap());
    for left in
        [&["0000000001.seg"][..], &["0000000001.seg", "0000000001.idx", "0000000002.seg"], &["0000000002.seg"], &[]]
    {
        let between = TempDir::new().unwrap();
        world::copy(done.path(), between.path());
        for name in left.iter().chain(&["group.json"]) {
            let name = Path::new("0000000000000001").join(name);
            fs::copy(original.path().join(&name), between.path().join(&name)).unwrap();
        }
        check(&LogStore::open(between.path()).unwrap());
    }
    // Compressed, and not yet committed.
    let between = TempDir::new().unwrap();
    world::copy(done.path(), between.path());
    world::copy(original.path(), between.path());
    fs::write(between.path().join("manifest.log"), b"BRTHMAN1").unwrap();
    check(&LogStore::open(between.path()).unwrap());
}

#[test]
fn one_that_is_newer_than_this_berth_is_left_alone() {
    let directory = TempDir::new().unwrap();
    write(directory.path());
    let meta = directory.path().join("0000000000000001/group.json");
    let newer = fs::read_to_string(&meta).unwrap().replace("\"format\":1", "\"format\":3");
    fs::write(&meta, newer).unwrap();
    let refused = LogStore::open(directory.path()).err().unwrap().to_string();
    assert!(refused.contains("has format 3"), "{refused}");
}
