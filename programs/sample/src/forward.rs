//! `berth-sample forward`: a log router as small as can be, for whoever tries out FireLens.
//!
//! It takes records of the forward protocol at the socket where FireLens wants them, and on port 24224, and prints each with its
//! tag as one line of JSON. From the configuration that FireLens has written for Fluent Bit it takes the one thing that it can
//! do: the fields that each record is given.
//!
//! Source: fluentd's wiki, "Forward Protocol Specification v1"; the MessagePack specification.

use std::fs;
use std::io::{self, BufReader, Read, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

const CONFIG: &str = "/fluent-bit/etc/fluent-bit.conf";
const SOCKET: &str = "/var/run/fluent.sock";
const ADDRESS: &str = "0.0.0.0:24224";

/// Serves until it is told to stop.
pub fn serve() -> ExitCode {
    match Signals::new([SIGTERM, SIGINT]) {
        Ok(mut stop) => std::thread::spawn(move || {
            stop.forever().next();
            std::process::exit(0);
        }),
        Err(error) => return crate::fail(format_args!("cannot handle signals: {error}")),
    };
    let config = fs::read_to_string(CONFIG).unwrap_or_default();
    let fields = Arc::new(fields(&config));
    let listening = (|| {
        let _ = fs::remove_file(SOCKET);
        let (unix, tcp) = (UnixListener::bind(SOCKET)?, TcpListener::bind(ADDRESS)?);
        let fields_of_tcp = fields.clone();
        std::thread::spawn(move || tcp.incoming().flatten().for_each(|stream| take(stream, &fields_of_tcp)));
        println!("listening at {SOCKET} and {ADDRESS}");
        unix.incoming().flatten().for_each(|stream| take(stream, &fields));
        Ok::<_, io::Error>(())
    })();
    match listening {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => crate::fail(format_args!("cannot listen: {error}")),
    }
}

/// `Record NAME VALUE`
fn fields(config: &str) -> Map<String, Value> {
    let records = config.lines().filter_map(|line| line.trim().strip_prefix("Record ")?.split_once(' '));
    records.map(|(name, value)| (name.to_owned(), json!(value))).collect()
}

fn take(stream: impl Read + Send + 'static, fields: &Arc<Map<String, Value>>) {
    let fields = fields.clone();
    std::thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        // The peer hangs up, or speaks another language.
        while let Ok(message) = unpack(&mut stream) {
            print(&message, &fields);
        }
    });
}

/// A message is `[tag, time, record]` or `[tag, [[time, record], ...]]`.
fn print(message: &Value, fields: &Map<String, Value>) {
    let entries = match &message[1] {
        Value::Array(entries) => entries.clone(),
        time => vec![json!([time, message[2]])],
    };
    let mut out = io::stdout().lock();
    for entry in entries {
        let mut record = entry[1].as_object().cloned().unwrap_or_default();
        record.extend(fields.clone());
        let _ = writeln!(out, "{}", json!({ "tag": message[0], "time": entry[0], "record": record }));
    }
}

/// Nested values are no deeper than this.
const DEPTH_MAX: u32 = 16;

fn unpack(stream: &mut impl Read) -> io::Result<Value> {
    unpack_at(stream, 0)
}

fn unpack_at(stream: &mut impl Read, depth: u32) -> io::Result<Value> {
    if depth > DEPTH_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let head = number(stream, 1)?;
    Ok(match head {
        0x00..=0x7f => json!(head),
        0x80..=0x8f => map(stream, head & 0x0f, depth)?,
        0x90..=0x9f => list(stream, head & 0x0f, depth)?,
        0xa0..=0xbf => text(stream, head & 0x1f)?,
        0xc0 => Value::Null,
        0xc2 | 0xc3 => json!(head == 0xc3),
        0xc4 | 0xd9 => sized(stream, 1, text)?,
        0xc5 | 0xda => sized(stream, 2, text)?,
        0xc6 | 0xdb => sized(stream, 4, text)?,
        0xcc => json!(number(stream, 1)?),
        0xcd => json!(number(stream, 2)?),
        0xce => json!(number(stream, 4)?),
        0xcf => json!(number(stream, 8)?),
        // A time: seconds and nanoseconds.
        0xd7 => {
            number(stream, 1)?;
            json!(number(stream, 4)? as f64 + number(stream, 4)? as f64 / 1e9)
        }
        0xdc => sized(stream, 2, |stream, length| list(stream, length, depth))?,
        0xdd => sized(stream, 4, |stream, length| list(stream, length, depth))?,
        0xde => sized(stream, 2, |stream, length| map(stream, length, depth))?,
        _ => return Err(io::ErrorKind::InvalidData.into()),
    })
}

fn number(stream: &mut impl Read, bytes: usize) -> io::Result<u64> {
    let mut number = [0; 8];
    stream.read_exact(&mut number[8 - bytes..])?;
    Ok(u64::from_be_bytes(number))
}

fn sized<R: Read>(stream: &mut R, bytes: usize, then: impl Fn(&mut R, u64) -> io::Result<Value>) -> io::Result<Value> {
    let length = number(stream, bytes)?;
    then(stream, length)
}

fn text(stream: &mut impl Read, length: u64) -> io::Result<Value> {
    let mut bytes = Vec::new();
    stream.take(length).read_to_end(&mut bytes)?;
    Ok(json!(String::from_utf8_lossy(&bytes)))
}

fn list(stream: &mut impl Read, length: u64, depth: u32) -> io::Result<Value> {
    (0..length).map(|_| unpack_at(stream, depth + 1)).collect::<io::Result<Vec<_>>>().map(Value::Array)
}

fn map(stream: &mut impl Read, length: u64, depth: u32) -> io::Result<Value> {
    let pair = |_| {
        let name = unpack_at(stream, depth + 1)?;
        Ok((name.as_str().unwrap_or_default().to_owned(), unpack_at(stream, depth + 1)?))
    };
    (0..length).map(pair).collect::<io::Result<Map<_, _>>>().map(Value::Object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read() {
        let bytes = b"\x92\xa1t\x91\x92\xd7\x00\x00\x00\x00\x02\x1d\xcd\x65\x00\x81\xa3log\xd9\x02hi";
        let message = unpack(&mut bytes.as_slice()).unwrap();
        assert_eq!(message, json!(["t", [[2.5, { "log": "hi" }]]]));
        assert!(unpack(&mut b"\xc1".as_slice()).is_err());
        assert!(unpack(&mut [0x91; 99].as_slice()).is_err(), "too deep");
    }

    #[test]
    fn fields_of_a_configuration() {
        let config = "[FILTER]\n    Name record_modifier\n    Record ecs_cluster default\n    Record a b c\n";
        assert_eq!(Value::Object(fields(config)), json!({ "ecs_cluster": "default", "a": "b c" }));
    }
}
