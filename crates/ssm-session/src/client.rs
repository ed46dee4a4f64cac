//! The client's end, as a person's terminal has it.

use stdx::{Ids, Timestamp};

use crate::agent::acknowledge;
use crate::contents::{self, *};
use crate::flow::{Incoming, Outgoing};
use crate::frame::{Frame, MessageType, PayloadType, fresh_id};
use crate::limits::PAYLOAD_BYTES_MAX;
use crate::{Ended, SessionType, Size, Stream};

#[derive(Debug)]
pub enum ClientEvent<'a> {
    /// A binary message has come.
    Frame(&'a [u8]),
    /// The person has typed. Only when [`ClientSession::wants_input`].
    Input(&'a [u8]),
    /// There is no more input.
    EndInput,
    Resize(Size),
    /// The time of [`ClientSession::look_at`] has come.
    Tick,
}

#[derive(Debug, PartialEq, Eq)]
pub enum ClientAction {
    Send(Vec<u8>),
    /// The program starts; [`ClientSession::wants_input`] from now on.
    Ready,
    Output(Stream, Vec<u8>),
    /// It is over.
    Closed(Ended),
    /// The agent has not acknowledged anything for minutes.
    Lost,
}

pub struct ClientSession {
    ids: Ids,
    version: String,
    ready: bool,
    over: bool,
    outgoing: Outgoing,
    incoming: Incoming,
}

impl ClientSession {
    /// Begins with a text message, which carries the token.
    pub fn new(version: &str, token: &str, mut ids: Ids, now: Timestamp) -> (ClientSession, String) {
        let open = OpenDataChannel {
            message_schema_version: "1.0".to_owned(),
            request_id: ids.uuid(),
            token_value: token.to_owned(),
            client_id: ids.uuid(),
            client_version: version.to_owned(),
        };
        let text = String::from_utf8(contents::json(&open)).unwrap_or_default();
        let (outgoing, incoming) = (Outgoing::new(now), Incoming::default());
        let version = version.to_owned();
        (ClientSession { ids, version, ready: false, over: false, outgoing, incoming }, text)
    }

    pub fn wants_input(&self) -> bool {
        self.ready && !self.over && self.outgoing.is_open()
    }

    pub fn look_at(&self) -> Option<Timestamp> {
        self.outgoing.look_at().filter(|_| !self.over)
    }

    pub fn step(&mut self, event: ClientEvent<'_>, now: Timestamp) -> Vec<ClientAction> {
        let mut actions = Vec::new();
        if self.over {
            return actions;
        }
        match event {
            ClientEvent::Frame(bytes) => {
                if let Ok(frame) = Frame::decode(bytes) {
                    self.frame(frame, now, &mut actions);
                }
            }
            ClientEvent::Input(bytes) => {
                for part in bytes.chunks(PAYLOAD_BYTES_MAX) {
                    actions.push(self.stream(PayloadType::Output, part.to_vec(), now));
                }
            }
            ClientEvent::EndInput => {
                let no_more = flag::DISCONNECT_TO_PORT.to_be_bytes().to_vec();
                actions.push(self.stream(PayloadType::Flag, no_more, now));
            }
            ClientEvent::Resize(size) => {
                let size = SizeData { cols: size.columns.into(), rows: size.rows.into() };
                actions.push(self.stream(PayloadType::Size, contents::json(&size), now));
            }
            ClientEvent::Tick if self.outgoing.is_lost(now) => {
                self.over = true;
                actions.push(ClientAction::Lost);
            }
            ClientEvent::Tick => actions.extend(self.outgoing.resend(now).map(ClientAction::Send)),
        }
        actions
    }

    fn frame(&mut self, frame: Frame, now: Timestamp, actions: &mut Vec<ClientAction>) {
        match frame.message_type {
            MessageType::Acknowledge => {
                if let Ok(acknowledged) = serde_json::from_slice::<Acknowledge>(&frame.payload) {
                    self.outgoing.acknowledged(acknowledged.sequence, now);
                }
            }
            MessageType::OutputStreamData => {
                let acknowledgement = acknowledge(&frame, fresh_id(&mut self.ids), now);
                let Some(ready) = self.incoming.take(frame) else { return };
                actions.push(ClientAction::Send(acknowledgement));
                ready.into_iter().for_each(|frame| self.output(frame, now, actions));
            }
            MessageType::ChannelClosed => {
                let closed: ChannelClosed = serde_json::from_slice(&frame.payload).unwrap_or_default();
                self.over = true;
                actions.push(ClientAction::Closed(Ended { message: closed.output, exit_code: closed.exit_code }));
            }
            MessageType::InputStreamData | MessageType::StartPublication | MessageType::PausePublication => {}
        }
    }

    fn output(&mut self, frame: Frame, now: Timestamp, actions: &mut Vec<ClientAction>) {
        match frame.payload_type {
            PayloadType::HandshakeRequest => {
                let request: HandshakeRequest = serde_json::from_slice(&frame.payload).unwrap_or_default();
                let response = contents::json(&self.answer(&request));
                actions.push(self.stream(PayloadType::HandshakeResponse, response, now));
            }
            PayloadType::HandshakeComplete => {
                self.ready = true;
                actions.push(ClientAction::Ready);
            }
            PayloadType::Output => actions.push(ClientAction::Output(Stream::Out, frame.payload)),
            PayloadType::StdErr => actions.push(ClientAction::Output(Stream::Err, frame.payload)),
            _ => {}
        }
    }

    fn answer(&self, request: &HandshakeRequest) -> HandshakeResponse {
        let known = [SessionType::InteractiveCommands, SessionType::NonInteractiveCommands].map(SessionType::name);
        let processed = request.requested_client_actions.iter().map(|action| {
            let asked = action.action_parameters["SessionType"].as_str().unwrap_or_default();
            let done = action.action_type == SESSION_TYPE && known.contains(&asked);
            ProcessedAction {
                action_type: action.action_type.clone(),
                action_status: if done { ACTION_DONE } else { ACTION_UNSUPPORTED },
                action_result: serde_json::Value::Null,
                error: if done { String::new() } else { format!("Unsupported action {} {asked}", action.action_type) },
            }
        });
        let processed_client_actions: Vec<ProcessedAction> = processed.collect();
        let errors = processed_client_actions.iter().map(|action| action.error.clone());
        let errors = errors.filter(|error| !error.is_empty()).collect();
        HandshakeResponse { client_version: self.version.clone(), processed_client_actions, errors: Some(errors) }
    }

    fn stream(&mut self, payload_type: PayloadType, payload: Vec<u8>, now: Timestamp) -> ClientAction {
        let frame = Frame::new(MessageType::InputStreamData, now, fresh_id(&mut self.ids), payload);
        ClientAction::Send(self.outgoing.send(Frame { payload_type, ..frame }, now))
    }
}
