//! The program itself, as a container would run it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_berth-sample");

struct Sample {
    child: Child,
    stdout: BufReader<ChildStdout>,
    port: u16,
}

impl Drop for Sample {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Sample {
    fn start(environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.env("PORT", "0").envs(environment.iter().copied()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut sample = Self { stdout: BufReader::new(child.stdout.take().unwrap()), child, port: 0 };
        let line = sample.line();
        sample.port = line.rsplit(' ').next().unwrap().parse().unwrap_or_else(|_| panic!("{line}"));
        sample
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Sends a request; the answer is read later.
    fn send(&self, path: &str, accept: &str) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nAccept: {accept}\r\n\r\n").unwrap();
        stream
    }

    fn get(&self, path: &str) -> String {
        read(self.send(path, "*/*"))
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status().unwrap();
        assert!(sent.success());
    }
}

fn read(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_answers_and_logs_one_line_for_each_request() {
    let mut sample = Sample::start(&[("SAMPLE_VERSION", "2")]);
    assert!(sample.get("/").ends_with(", answer 1\n"));
    assert!(sample.line().starts_with("GET / 200 "));
    let page = read(sample.send("/", "text/html"));
    assert!(page.contains("text/html") && page.contains("class=\"sunset\""));
    assert!(sample.line().starts_with("GET / 200 "));
    assert!(sample.get("/healthz").contains(" 200 OK"));
    sample.line();
    sample.get("/log?lines=2");
    assert!(sample.line().starts_with("line 1 of 2 "));
    assert!(sample.line().starts_with("line 2 of 2 "));
}

#[test]
fn a_stop_lets_a_request_finish_and_exits_with_0() {
    let mut sample = Sample::start(&[]);
    let slow = sample.send("/slow?ms=700", "*/*");
    // Once a later request was answered the slow one is under way as well, or about to be.
    sample.get("/healthz");
    assert!(sample.line().starts_with("GET /healthz"));
    sample.signal("TERM");
    assert!(read(slow).ends_with("waited 700 ms\n"));
    assert_eq!(sample.child.wait().unwrap().code(), Some(0));
}

#[test]
fn it_exits_and_crashes_as_told() {
    let mut sample = Sample::start(&[]);
    assert!(sample.get("/exit?code=7").ends_with("exiting with code 7\n"));
    assert_eq!(sample.child.wait().unwrap().code(), Some(7));
    let mut sample = Sample::start(&[]);
    assert!(sample.get("/crash").ends_with("crashing\n"));
    assert_eq!(sample.child.wait().unwrap().code(), None, "ended by a signal");
}

#[test]
fn check_tells_well_from_sick() {
    let sample = Sample::start(&[]);
    let check = || {
        let mut command = Command::new(PROGRAM);
        command.arg("check").env("PORT", sample.port.to_string()).stderr(Stdio::null()).status().unwrap().code()
    };
    assert_eq!(check(), Some(0));
    sample.get("/healthz?sick=1");
    assert_eq!(check(), Some(1));
}

#[test]
fn it_learns_its_task_from_the_metadata_endpoint() {
    let endpoint = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}/v4/1234", endpoint.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = endpoint.accept().unwrap();
        // To the empty line: closing with anything unread would reset the connection.
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let head: Vec<String> = lines.map(|line| line.unwrap()).take_while(|line| !line.is_empty()).collect();
        assert_eq!(head[0], "GET /v4/1234/task HTTP/1.0");
        let body = r#"{"TaskARN":"arn:aws:ecs:us-east-1:000000000000:task/default/abc","Family":"web","Revision":"4"}"#;
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{body}").unwrap();
    });
    let sample = Sample::start(&[("ECS_CONTAINER_METADATA_URI_V4", &uri)]);
    server.join().unwrap();
    let answer = read(sample.send("/", "application/json"));
    assert!(answer.contains(r#""task":"abc""#) && answer.contains(r#""task_definition":"web:4""#), "{answer}");
}

#[test]
fn a_bad_port_is_named() {
    let output = Command::new(PROGRAM).env("PORT", "eighty").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "sample: PORT is `eighty`, which is not a port number\n");
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = Command::new(PROGRAM).env("PORT", &port).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&format!("cannot listen on port {port}")));
}
