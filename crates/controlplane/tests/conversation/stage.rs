//! The control plane on a port of its own, and the official agent's way of speaking to it: signed HTTP by hand, and websockets.

use std::sync::Arc;
use std::time::Duration;

use api_ecs::Router as EcsRouter;
use controlplane::{Clock, ControlPlane, ManualClock, Served};
use futures::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;
use service_ecs::{EcsService, Environment};
use shape::Principal;
use stdx::{Ids, Timestamp};
use store::MemoryEngine;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use wire::sigv4::{Credentials, sign_headers};
use wire::{AuthMode, CredentialStore, Gateway, Key};

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Short enough for the messages of a script.
const FRAGMENTED_FROM: usize = 300;

const ACCOUNT: &str = "123456789012";
const REGION: &str = "us-east-1";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const USER_AGENT: &str = "Amazon ECS Agent - v1.105.1 (*a8b3e7d3) (linux; al2023) (+http://aws.amazon.com/ecs/)";

pub struct Stage {
    engine: Arc<MemoryEngine>,
    pub clock: Arc<ManualClock>,
    iam: bool,
    running: Option<(ControlPlane, Served)>,
    address: String,
}

struct World(Arc<ManualClock>);

impl Environment for World {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn ids(&self) -> Ids {
        controlplane::seed()
    }
}

/// One key, which is its account's name, so that it means the same account when nothing is checked.
struct OneKey;

impl CredentialStore for OneKey {
    fn find(&self, access_key: &str) -> Option<Key> {
        (access_key == ACCOUNT).then(|| Key {
            secret: SECRET.into(),
            session_token: None,
            expires: None,
            account: ACCOUNT.into(),
            principal: Principal::root(ACCOUNT, REGION),
        })
    }
}

impl Stage {
    pub async fn new(iam: bool) -> Stage {
        let clock = Arc::new(ManualClock::at(controlplane::now()));
        let engine = Arc::new(MemoryEngine::new());
        let mut stage = Stage { engine, clock, iam, running: None, address: "127.0.0.1:0".into() };
        stage.start().await;
        stage
    }

    /// On the address that it had: agents keep what they were told.
    async fn start(&mut self) {
        let auth = || if self.iam { AuthMode::Verify(Arc::new(OneKey)) } else { AuthMode::Open };
        let plane =
            ControlPlane::start_at(self.engine.clone(), auth(), self.clock.clone(), Default::default()).await.unwrap();
        let world = Arc::new(World(self.clock.clone()));
        let ecs = Arc::new(EcsRouter(Arc::new(EcsService::new(plane.ledger(), world))));
        let gateway = Arc::new(Gateway::new(vec![ecs], auth()));
        let listener = TcpListener::bind(&self.address).await.unwrap();
        self.address = listener.local_addr().unwrap().to_string();
        let served = controlplane::serve(listener, plane.router(gateway, axum::Router::new()));
        self.running = Some((plane, served));
    }

    pub async fn restart(&mut self) {
        if let Some((plane, served)) = self.running.take() {
            drop(plane);
            served.leave().await;
        }
        self.start().await;
    }

    /// Status and body of an API call.
    pub async fn call(&self, operation: &str, input: &Value) -> (u16, Value) {
        let body = input.to_string();
        let mut headers = self.headers();
        let target = format!("AmazonEC2ContainerServiceV20141113.{operation}");
        headers.insert("content-type", HeaderValue::from_static("application/x-amz-json-1.1"));
        headers.insert("x-amz-target", target.parse().unwrap());
        sign(SECRET, controlplane::now(), (&Method::POST, "/", ""), &mut headers, body.as_bytes());
        headers.insert("user-agent", HeaderValue::from_static(USER_AGENT));
        let mut request = "POST / HTTP/1.1\r\nconnection: close\r\n".to_owned();
        for (name, value) in &headers {
            request.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
        }
        request.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
        read.expect("no answer came").unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}")))
    }

    /// An upgrade. The signature covers the query as a URL has it, with `%20`; what is sent has a form's `+`.
    pub async fn upgrade(
        &self,
        path: &str,
        query: &[(String, String)],
        secret: Option<&str>,
    ) -> Result<Socket, (u16, Value)> {
        let encode = |space: &str| {
            let pairs = query.iter().map(|(name, value)| format!("{name}={}", escaped(value, space)));
            pairs.collect::<Vec<_>>().join("&")
        };
        let mut headers = self.headers();
        let signed = (&Method::GET, path, encode("%20"));
        sign(secret.unwrap_or(SECRET), self.clock.now(), (signed.0, signed.1, &signed.2), &mut headers, b"");
        let mut request = format!("ws://{}{path}?{}", self.address, encode("+")).into_client_request().unwrap();
        for name in ["authorization", "x-amz-date"] {
            request.headers_mut().insert(name, headers[name].clone());
        }
        request.headers_mut().insert("user-agent", HeaderValue::from_static("Go-http-client/1.1"));
        let stream = TcpStream::connect(&self.address).await.unwrap();
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, _)) => Ok(Socket(socket)),
            Err(WsError::Http(answer)) => {
                let body = answer.body().clone().unwrap_or_default();
                Err((answer.status().as_u16(), serde_json::from_slice(&body).unwrap_or(Value::Null)))
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// The header lines before a TCS message.
    pub fn telemetry_headers(&self, envelope: &str) -> String {
        let mut headers = self.headers();
        sign(SECRET, self.clock.now(), (&Method::GET, "/tcs/ws", ""), &mut headers, envelope.as_bytes());
        let line = |name: &str| format!("{name}: {}\r\n", headers[name].to_str().unwrap());
        [line("authorization"), line("host"), line("x-amz-date"), "\r\n".to_owned()].concat()
    }

    fn headers(&self) -> HeaderMap {
        HeaderMap::from_iter([(http::header::HOST, self.address.parse().unwrap())])
    }
}

fn sign(secret: &str, now: Timestamp, request: (&Method, &str, &str), headers: &mut HeaderMap, body: &[u8]) {
    let credentials = Credentials { access_key: ACCOUNT.into(), secret: secret.into(), session_token: None };
    sign_headers(&credentials, (REGION, "ecs"), now, request, headers, body);
}

fn escaped(text: &str, space: &str) -> String {
    let one = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        b' ' => space.to_owned(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

pub struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// The next text, or how the connection ended: code and reason, 1006 without a close frame.
    pub async fn text(&mut self) -> Result<String, (u16, String)> {
        loop {
            match tokio::time::timeout(PATIENCE, self.0.next()).await.expect("nothing came") {
                Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                Some(Ok(Message::Close(frame))) => {
                    let said = frame.map(|frame| (frame.code.into(), frame.reason.as_str().to_owned()));
                    return Err(said.unwrap_or((1005, String::new())));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err((1006, String::new())),
            }
        }
    }

    /// In two fragments when it is long, as the official agent does from 32 KiB on.
    pub async fn send(&mut self, text: &str) {
        let middle = (0..=text.len() / 2).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        if text.len() < FRAGMENTED_FROM {
            return self.0.send(Message::text(text)).await.unwrap();
        }
        let (head, tail) = text.as_bytes().split_at(middle);
        for (part, code, is_last) in [(head, Data::Text, false), (tail, Data::Continue, true)] {
            let frame = Frame::message(part.to_vec(), OpCode::Data(code), is_last);
            self.0.send(Message::Frame(frame)).await.unwrap();
        }
    }

    /// Says goodbye and waits for the answer.
    pub async fn close(mut self, code: u16) -> u16 {
        self.0.send(Message::Close(Some(CloseFrame { code: code.into(), reason: "expired".into() }))).await.unwrap();
        loop {
            match self.text().await {
                Ok(_) => {}
                Err((code, _)) => return code,
            }
        }
    }
}
