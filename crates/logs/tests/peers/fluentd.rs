//! Before servers of the forward protocol.

use shim_api::log::{LINE_TEXT_BYTES_MAX, Stream};
use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::shim::drained;

/// What MessagePack says, as far as the protocol uses it.
#[derive(Clone, Debug, PartialEq)]
enum Pack {
    Number(u64),
    Text(String),
    List(Vec<Pack>),
    Map(BTreeMap<String, Pack>),
    /// Seconds and nanoseconds.
    Time(u32, u32),
}

impl Pack {
    fn text(&self) -> &str {
        match self {
            Pack::Text(text) => text,
            other => panic!("no text: {other:?}"),
        }
    }

    fn list(&self) -> &[Pack] {
        match self {
            Pack::List(list) => list,
            other => panic!("no list: {other:?}"),
        }
    }

    fn field(&self, name: &str) -> Option<&str> {
        match self {
            Pack::Map(map) => map.get(name).map(Pack::text),
            other => panic!("no map: {other:?}"),
        }
    }
}

async fn bytes(stream: &mut (impl AsyncRead + Unpin), count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    within("bytes", stream.read_exact(&mut bytes)).await.expect("a connection that holds");
    bytes
}

async fn number(stream: &mut (impl AsyncRead + Unpin), count: usize) -> usize {
    bytes(stream, count).await.into_iter().fold(0, |number, byte| number << 8 | usize::from(byte))
}

async fn unpack(stream: &mut (impl AsyncRead + Unpin)) -> Pack {
    let head = bytes(stream, 1).await[0];
    let (kind, length) = match head {
        0x00..=0x7f => return Pack::Number(head.into()),
        0x80..=0x8f => ('m', usize::from(head & 0x0f)),
        0x90..=0x9f => ('a', usize::from(head & 0x0f)),
        0xa0..=0xbf => ('t', usize::from(head & 0x1f)),
        0xd9 => ('t', number(stream, 1).await),
        0xda => ('t', number(stream, 2).await),
        0xdb => ('t', number(stream, 4).await),
        0xdc => ('a', number(stream, 2).await),
        0xdd => ('a', number(stream, 4).await),
        0xde => ('m', number(stream, 2).await),
        0xce => return Pack::Number(number(stream, 4).await as u64),
        0xd7 => {
            assert_eq!(bytes(stream, 1).await, [0], "the extension of times");
            return Pack::Time(number(stream, 4).await as u32, number(stream, 4).await as u32);
        }
        other => panic!("unexpected {other:#x}"),
    };
    match kind {
        't' => Pack::Text(String::from_utf8_lossy(&bytes(stream, length).await).into_owned()),
        'a' => {
            let mut list = Vec::new();
            for _ in 0..length {
                list.push(Box::pin(unpack(stream)).await);
            }
            Pack::List(list)
        }
        _ => {
            let mut map = BTreeMap::new();
            for _ in 0..length {
                let name = Box::pin(unpack(stream)).await.text().to_owned();
                map.insert(name, Box::pin(unpack(stream)).await);
            }
            Pack::Map(map)
        }
    }
}

/// Records of messages until there are so many, with the tag of the last.
async fn records(stream: &mut (impl AsyncRead + Unpin), count: usize) -> (String, Vec<Pack>) {
    let (mut tag, mut found) = (String::new(), Vec::new());
    while found.len() < count {
        let message = unpack(stream).await;
        tag = message.list()[0].text().to_owned();
        found.extend(message.list()[1].list().iter().cloned());
    }
    (tag, found)
}

fn log(entry: &Pack) -> &str {
    entry.list()[1].field("log").unwrap()
}

#[tokio::test]
async fn over_tcp_and_in_pieces() {
    let (listener, address) = listener().await;
    let given = [
        ("fluentd-address", &*address.to_string()),
        ("fluentd-sub-second-precision", "true"),
        ("labels", "team"),
        ("tag", "docker.{{.Name}}"),
    ];
    let mut shim = Shim::new();
    let following = follow(&shim, "fluentd", &given).await;
    let (mut peer, _) = within("a connection", listener.accept()).await.unwrap();
    shim.shout("hello");
    let (tag, found) = records(&mut peer, 1).await;
    assert_eq!(tag, "docker.ecs-web-1-app-cafe");
    let record = &found[0].list()[1];
    for (name, expected) in [
        ("log", "hello"),
        ("source", "stderr"),
        ("container_name", "/ecs-web-1-app-cafe"),
        ("container_id", &*"0123456789abcdef".repeat(4)),
        ("team", "web"),
    ] {
        assert_eq!(record.field(name), Some(expected), "{name}");
    }
    assert_eq!(record.field("partial_id"), None);
    assert!(matches!(found[0].list()[0], Pack::Time(seconds, _) if seconds > 1_700_000_000));

    shim.write(Stream::Stdout, &[b'x'; LINE_TEXT_BYTES_MAX * 2 + 1]);
    let (_, found) = records(&mut peer, 3).await;
    let parts: Vec<_> = found
        .iter()
        .map(|entry| {
            let field = |name: &str| entry.list()[1].field(name).unwrap().to_owned();
            (field("partial_ordinal"), field("partial_last"), log(entry).len())
        })
        .collect();
    let part = |ordinal: &str, last: &str, length| (ordinal.to_owned(), last.to_owned(), length);
    assert_eq!(
        parts,
        [part("1", "false", LINE_TEXT_BYTES_MAX), part("2", "false", LINE_TEXT_BYTES_MAX), part("3", "true", 1)]
    );
    let ids: Vec<_> = found.iter().map(|entry| entry.list()[1].field("partial_id").unwrap()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    shim.exit();
    drained(&following).await;
}

#[tokio::test]
async fn a_batch_that_is_not_acknowledged_is_sent_again() {
    let (listener, address) = listener().await;
    let given = [("fluentd-address", &*address.to_string()), ("fluentd-request-ack", "true")];
    let mut shim = Shim::new();
    let following = follow(&shim, "fluentd", &given).await;
    let (mut peer, _) = within("a connection", listener.accept()).await.unwrap();
    shim.say("one");
    let message = unpack(&mut peer).await;
    assert_eq!(log(&message.list()[1].list()[0]), "one");
    assert!(matches!(message.list()[1].list()[0].list()[0], Pack::Number(seconds) if seconds > 1_700_000_000));
    // It dies before it answers.
    drop(peer);
    let (mut peer, _) = within("another connection", listener.accept()).await.unwrap();
    let message = unpack(&mut peer).await;
    assert_eq!(log(&message.list()[1].list()[0]), "one");
    let chunk = message.list()[2].field("chunk").unwrap().to_owned();
    let answer = [b"\x81\xa3ack\xd9".as_slice(), &[chunk.len() as u8], chunk.as_bytes()].concat();
    peer.write_all(&answer).await.unwrap();
    shim.say("two");
    let message = unpack(&mut peer).await;
    let entries = message.list()[1].list();
    assert_eq!((entries.len(), log(&entries[0])), (1, "two"), "what was acknowledged is not sent again");
    following.stop();
    drained(&following).await;

    // Another agent goes on behind what was acknowledged.
    let following = resume(&shim, "fluentd", &given[..1]);
    let (mut peer, _) = within("a connection of another agent", listener.accept()).await.unwrap();
    assert_eq!(log(&records(&mut peer, 1).await.1[0]), "two");
    shim.exit();
    drained(&following).await;
}

#[tokio::test]
async fn an_async_container_starts_before_its_peer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fluent.sock");
    let url = format!("unix://{}", path.display());
    let reason = refusal("fluentd", &[("fluentd-address", &url)]).await;
    let expected = format!(
        "failed to initialize logging driver: dial unix {}: connect: no such file or directory",
        path.display()
    );
    assert_eq!(reason, expected);
    let given = [("fluentd-address", &*url), ("fluentd-async", "true"), ("tag", "app-firelens-1")];
    let mut shim = Shim::new();
    let following = follow(&shim, "fluentd", &given).await;
    shim.say("early");
    a_moment().await;
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let (mut peer, _) = within("a connection", listener.accept()).await.unwrap();
    let (tag, found) = records(&mut peer, 1).await;
    assert_eq!((tag.as_str(), log(&found[0])), ("app-firelens-1", "early"));
    shim.exit();
    drained(&following).await;
}
