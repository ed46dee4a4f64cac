//! The json-file driver over a container's directory.

mod shim;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use logs::fake::FakeSink;
use logs::{Drivers, Following, JSON_LOG_NAME, Subject};
use serde_json::Value;
use shim::{Shim, drained, until};
use shim_api::log::{LINE_TEXT_BYTES_MAX, Stream};

async fn follow(shim: &Shim, options: &[(&str, &str)]) -> Following {
    let options: BTreeMap<_, _> = options.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    let drivers = Drivers::new(|_| Arc::new(FakeSink::default()));
    drivers.open("json-file", &options, &Subject::default()).await.unwrap().follow(shim.dir())
}

fn read(shim: &Shim, suffix: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(shim.dir().join(format!("{JSON_LOG_NAME}{suffix}"))).unwrap_or_default();
    let entry = |line: &str| {
        let entry: Value = serde_json::from_str(line).unwrap();
        (entry["stream"].as_str().unwrap().to_owned(), entry["log"].as_str().unwrap().to_owned())
    };
    text.lines().map(entry).collect()
}

#[tokio::test]
async fn lines_become_entries() {
    let mut shim = Shim::new();
    let following = follow(&shim, &[]).await;
    shim.say("one");
    until("it is there", || read(&shim, "").len() == 1).await;
    shim.shout("two");
    shim.say("");
    shim.write(Stream::Stdout, &[b'x'; LINE_TEXT_BYTES_MAX + 1]);
    shim.exit();
    drained(&following).await;
    let entry = |stream: &str, text: &str| (stream.to_owned(), text.to_owned());
    let expected = [
        entry("stdout", "one\n"),
        entry("stderr", "two\n"),
        entry("stdout", "\n"),
        entry("stdout", &"x".repeat(LINE_TEXT_BYTES_MAX)),
        entry("stdout", "x\n"),
    ];
    assert_eq!(read(&shim, ""), expected);
}

#[tokio::test]
async fn a_stopped_follower_resumes_without_gap_or_repetition() {
    let mut shim = Shim::new();
    for life in 0..5 {
        let following = follow(&shim, &[]).await;
        for number in 0..200 {
            shim.say(&format!("{life} {number}"));
        }
        until("they are there", || read(&shim, "").len() == (life + 1) * 200).await;
        following.stop();
        drained(&following).await;
    }
    shim.exit();
    drained(&follow(&shim, &[]).await).await;
    let expected = (0..5).flat_map(|life| (0..200).map(move |number| format!("{life} {number}\n")));
    assert_eq!(read(&shim, "").into_iter().map(|(_, text)| text).collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn full_files_are_moved_aside_and_the_oldest_dropped() {
    let mut shim = Shim::new();
    for number in 0..5000 {
        shim.say(&number.to_string());
    }
    shim.exit();
    drained(&follow(&shim, &[("max-size", "100k"), ("max-file", "3")]).await).await;
    let files: Vec<_> = [".2", ".1", ""].iter().map(|suffix| read(&shim, suffix)).collect();
    assert!(!shim.dir().join("json.log.3").exists());
    assert!(files.iter().all(|file| !file.is_empty()));
    let numbers: Vec<usize> = files.concat().iter().map(|(_, text)| text.trim_end().parse().unwrap()).collect();
    assert_eq!(numbers, (5000 - numbers.len()..5000).collect::<Vec<_>>());
    let size = fs::metadata(shim.dir().join("json.log.1")).unwrap().len();
    assert!((100_000..101_000).contains(&size), "{size}");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_tried_again() {
    let mut shim = Shim::new();
    // A directory is in the way.
    let path = shim.dir().join(JSON_LOG_NAME);
    fs::create_dir(&path).unwrap();
    let following = follow(&shim, &[]).await;
    shim.say("one");
    shim.exit();
    assert!(tokio::time::timeout(std::time::Duration::from_millis(300), following.drained()).await.is_err());
    fs::remove_dir(&path).unwrap();
    drained(&following).await;
    assert_eq!(read(&shim, ""), [("stdout".to_owned(), "one\n".to_owned())]);
}

#[tokio::test]
async fn entries_have_the_attributes_that_are_asked_for() {
    let mut shim = Shim::new();
    let given = [("labels", "team"), ("env-regex", "^ST"), ("tag", "{{.Name}}/{{.ID}}")];
    let options: BTreeMap<String, String> = given.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let subject = Subject {
        id: "0123456789abcdef".into(),
        name: "web".into(),
        labels: [("team".to_owned(), "a".to_owned()), ("other".to_owned(), "b".to_owned())].into(),
        env: vec!["STAGE=prod".into(), "SECRET=x".into()],
        ..Subject::default()
    };
    let drivers = Drivers::new(|_| Arc::new(FakeSink::default()));
    let following = drivers.open("json-file", &options, &subject).await.unwrap().follow(shim.dir());
    shim.say("hello");
    shim.exit();
    drained(&following).await;
    let text = fs::read_to_string(shim.dir().join(JSON_LOG_NAME)).unwrap();
    let entry: Value = serde_json::from_str(text.trim_end()).unwrap();
    let expected = serde_json::json!({ "team": "a", "STAGE": "prod", "tag": "web/0123456789ab" });
    assert_eq!((&entry["log"], &entry["attrs"]), (&"hello\n".into(), &expected));
}
