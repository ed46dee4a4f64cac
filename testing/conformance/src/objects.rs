//! As much of S3 as an agent needs to read files, so that the suite runs on a machine with little else: an object is put, and
//! can be got. Who asks is not looked at; `testing/e2e/tests/objects.rs` speaks to a server that does more.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use crate::S3_SERVER;

/// Serves until the process is killed.
pub fn serve() {
    let listener = TcpListener::bind(S3_SERVER).expect("the address is free");
    let mut objects = BTreeMap::new();
    for stream in listener.incoming().flatten() {
        // Whoever goes away in the middle has got no answer, and the next one does.
        let _ = answer(stream, &mut objects);
    }
}

fn answer(stream: TcpStream, objects: &mut BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut content = vec![0; length];
    reader.read_exact(&mut content)?;
    let (status, body) = match (method.as_str(), objects.get(&path)) {
        ("PUT", _) => {
            objects.insert(path, content);
            ("200 OK", Vec::new())
        }
        ("GET", Some(content)) => ("200 OK", content.clone()),
        ("GET", None) => ("404 Not Found", b"<Error><Code>NoSuchKey</Code></Error>".to_vec()),
        _ => ("501 Not Implemented", Vec::new()),
    };
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut stream = reader.into_inner();
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)
}
