//! The two websockets of the scripted control plane. Whoever does not sign is refused.

use std::sync::Arc;

use agent_api::close::UpgradeRefusal;
use agent_api::query::AcsQuery;
use agent_api::session::Event;
use agent_api::tcs::{Frame, ToAgent};
use agent_api::{FromAgent, tcs};
use axum::Router;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use axum::extract::{State, WebSocketUpgrade};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use wire::sigv4::{Claim, Unsigned, verify};

use crate::control_plane::{Scripted, Telemetry};
use crate::machine::now;
use crate::rig::SECRET;

/// What a test sends down a socket.
pub enum Outgoing {
    Text(String),
    Close(u16),
    /// The connection breaks without a word.
    Break,
}

pub fn routes(control: Arc<Scripted>) -> Router {
    Router::new().route("/acs/ws", get(acs)).route("/tcs/ws", get(tcs)).with_state(control)
}

fn signed(uri: &Uri, headers: &HeaderMap, body: &str) -> bool {
    let query = uri.query().unwrap_or_default();
    let Ok(claim) = Claim::of(headers, query) else { return false };
    let payload_hash = hex::encode(Sha256::digest(body));
    let request = Unsigned {
        method: &Method::GET,
        path: uri.path(),
        query,
        headers,
        payload_hash: &payload_hash,
        service: "ecs",
    };
    verify(&claim, SECRET, &request, now()).is_ok()
}

fn refuse(refusal: &UpgradeRefusal) -> Response {
    (StatusCode::from_u16(refusal.status()).unwrap(), refusal.encode()).into_response()
}

async fn acs(State(control): State<Arc<Scripted>>, uri: Uri, headers: HeaderMap, up: WebSocketUpgrade) -> Response {
    let unsigned = (!signed(&uri, &headers, "")).then(|| UpgradeRefusal::AccessDenied("the signature".to_owned()));
    let refusal = unsigned.or_else(|| control.lock().refusal.clone());
    if let Some(refusal) = refusal {
        control.change(|state| state.acs_refused += 1);
        return refuse(&refusal);
    }
    let query = AcsQuery::parse(uri.query().unwrap()).unwrap();
    up.on_upgrade(move |socket| async move {
        let (outbox, outgoing) = mpsc::unbounded_channel();
        control.acs_opened(query, outbox);
        let received = |text: &str| {
            let message = FromAgent::decode(text).unwrap().known().unwrap();
            control.change(|state| {
                state.from_agent.push(message.clone());
                state.step(Event::Received(message));
            });
            None
        };
        serve(socket, outgoing, received).await;
        control.change(|state| {
            state.acs_closed += 1;
            // A newer connection may have taken its place.
            if state.acs_closed == state.acs.len() {
                state.step(Event::Disconnected);
            }
        });
    })
}

async fn tcs(State(control): State<Arc<Scripted>>, uri: Uri, headers: HeaderMap, up: WebSocketUpgrade) -> Response {
    if !signed(&uri, &headers, "") {
        return refuse(&UpgradeRefusal::AccessDenied("the signature".to_owned()));
    }
    up.on_upgrade(move |socket| async move {
        let (outbox, outgoing) = mpsc::unbounded_channel();
        control.tcs_opened(outbox);
        let received = |text: &str| {
            let frame = Frame::decode(text);
            let message = tcs::FromAgent::decode(frame.envelope).unwrap().known().unwrap();
            let lines = frame.headers.iter().map(|(name, value)| (header(name), HeaderValue::from_str(value).unwrap()));
            let signed = signed(&uri, &lines.collect(), frame.envelope);
            let header_names = frame.headers.iter().map(|(name, _)| (*name).to_owned()).collect();
            let answer = ToAgent::acknowledge(&message).encode();
            control.change(|state| state.telemetry.push(Telemetry { header_names, signed, message }));
            Some(answer)
        };
        serve(socket, outgoing, received).await;
        control.change(|state| state.tcs_closed += 1);
    })
}

fn header(name: &str) -> HeaderName {
    name.parse().unwrap()
}

async fn serve(
    mut socket: WebSocket,
    mut outgoing: mpsc::UnboundedReceiver<Outgoing>,
    received: impl Fn(&str) -> Option<String>,
) {
    loop {
        tokio::select! {
            Some(message) = outgoing.recv() => {
                let message = match message {
                    Outgoing::Text(text) => Message::text(text),
                    Outgoing::Close(code) => Message::Close(Some(CloseFrame { code, reason: "".into() })),
                    Outgoing::Break => return,
                };
                let _ = socket.send(message).await;
            }
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => if let Some(answer) = received(&text) {
                    let _ = socket.send(Message::text(answer)).await;
                },
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
        }
    }
}
