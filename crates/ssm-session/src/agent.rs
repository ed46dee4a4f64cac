//! The agent's end: it shakes hands, starts a program, carries input and output, and says how it ended.

use std::collections::BTreeMap;

use stdx::{Ids, Timestamp};

use crate::contents::{self, *};
use crate::flow::{Incoming, Outgoing};
use crate::frame::{FLAG_LAST, Frame, MessageType, PayloadType, fresh_id, uuid_text};
use crate::limits::*;
use crate::{SessionType, Size, Stream};

/// The plugin compares it with what the official agent could do when.
const AGENT_VERSION: &str = "3.3.0.0";
const IDLE: &str = "Your session timed out due to inactivity.";
const NO_HANDSHAKE: &str = "The client did not answer the handshake.";

/// What happened.
#[derive(Debug)]
pub enum AgentEvent<'a> {
    /// A binary message has come.
    Frame(&'a [u8]),
    /// The program has written. Only when [`AgentSession::wants_output`].
    Output(Stream, &'a [u8]),
    /// The program has taken so many bytes of its input.
    Consumed(usize),
    /// It has ended, or never began, and all its output was handed in.
    Ended(Ended),
    /// The session is to end, with this sentence: its program is to be hung up.
    End(&'a str),
    /// The time of [`AgentSession::look_at`] has come.
    Tick,
}

/// How it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// For the person, when there is something to say.
    pub message: String,
    pub exit_code: Option<i32>,
}

/// What to do, in order.
#[derive(Debug, PartialEq, Eq)]
pub enum AgentAction {
    Send(Vec<u8>),
    /// Start the program, in a terminal of this size if the client has said one.
    Begin(Option<Size>),
    Input(Vec<u8>),
    EndInput,
    Resize(Size),
    /// Send SIGHUP; [`AgentEvent::Ended`] is to follow.
    HangUp,
    /// Everything is said.
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Handshake,
    /// A program that has a terminal begins when it is known how large that is, or nobody says.
    Sizing(Timestamp),
    Running,
    /// The program has ended; what it wrote may not have arrived yet.
    Ending,
    Closed,
}

pub struct AgentSession {
    session_id: String,
    ids: Ids,
    session_type: SessionType,
    phase: Phase,
    outgoing: Outgoing,
    incoming: Incoming,
    paused: bool,
    /// Bytes that the program has not taken yet.
    input_waits: usize,
    /// Acknowledgements that are said when it has, by the number of what they acknowledge.
    held: BTreeMap<i64, Vec<u8>>,
    began: Timestamp,
    /// When somebody last typed or something was last shown.
    active: Timestamp,
    ended: Option<Ended>,
    /// Why it is ended from outside.
    sentence: Option<String>,
}

impl AgentSession {
    /// Begins with the request for a handshake.
    pub fn new(
        session_id: &str,
        session_type: SessionType,
        ids: Ids,
        now: Timestamp,
    ) -> (AgentSession, Vec<AgentAction>) {
        let mut session = AgentSession {
            session_id: session_id.to_owned(),
            ids,
            session_type,
            phase: Phase::Handshake,
            outgoing: Outgoing::new(now),
            incoming: Incoming::default(),
            paused: false,
            input_waits: 0,
            held: BTreeMap::new(),
            began: now,
            active: now,
            ended: None,
            sentence: None,
        };
        let request = HandshakeRequest {
            agent_version: AGENT_VERSION.to_owned(),
            requested_client_actions: vec![RequestedAction {
                action_type: SESSION_TYPE.to_owned(),
                action_parameters: serde_json::json!({ "SessionType": session_type.name(), "Properties": {} }),
            }],
        };
        let hello = session.stream(PayloadType::HandshakeRequest, contents::json(&request), now);
        (session, vec![hello])
    }

    /// Output is left with the program until the client has taken what there is: a slow reader costs no memory.
    pub fn wants_output(&self) -> bool {
        matches!(self.phase, Phase::Running) && !self.paused && self.outgoing.is_open()
    }

    pub fn look_at(&self) -> Option<Timestamp> {
        let patience = match self.phase {
            Phase::Handshake => Some(self.began + HANDSHAKE_WITHIN),
            Phase::Sizing(since) => Some(since + SIZE_WITHIN),
            Phase::Running if self.sentence.is_none() => Some(self.active + IDLE_MAX),
            Phase::Running | Phase::Ending => None,
            Phase::Closed => return None,
        };
        [patience, self.outgoing.look_at()].into_iter().flatten().min()
    }

    pub fn step(&mut self, event: AgentEvent<'_>, now: Timestamp) -> Vec<AgentAction> {
        let mut actions = Vec::new();
        if self.phase == Phase::Closed {
            return actions;
        }
        match event {
            // A frame that is none says nothing; what it should have been comes again.
            AgentEvent::Frame(bytes) => {
                if let Ok(frame) = Frame::decode(bytes) {
                    self.frame(frame, now, &mut actions);
                }
            }
            AgentEvent::Output(stream, bytes) => {
                self.active = now;
                let kind = match stream {
                    Stream::Out => PayloadType::Output,
                    Stream::Err => PayloadType::StdErr,
                };
                for part in bytes.chunks(PAYLOAD_BYTES_MAX) {
                    actions.push(self.stream(kind, part.to_vec(), now));
                }
            }
            AgentEvent::Consumed(bytes) => {
                self.input_waits = self.input_waits.saturating_sub(bytes);
                if self.input_waits < INPUT_BYTES {
                    actions.extend(std::mem::take(&mut self.held).into_values().map(AgentAction::Send));
                }
            }
            AgentEvent::Ended(ended) => {
                self.ended.get_or_insert(ended);
                self.phase = Phase::Ending;
            }
            AgentEvent::End(sentence) => self.end(sentence, &mut actions),
            AgentEvent::Tick => self.tick(now, &mut actions),
        }
        self.say_goodbye(now, &mut actions);
        actions
    }

    fn frame(&mut self, frame: Frame, now: Timestamp, actions: &mut Vec<AgentAction>) {
        match frame.message_type {
            MessageType::Acknowledge => {
                if let Ok(acknowledged) = serde_json::from_slice::<Acknowledge>(&frame.payload) {
                    self.outgoing.acknowledged(acknowledged.sequence, now);
                }
            }
            MessageType::InputStreamData => {
                // For those who send on without being acknowledged. It comes again.
                if self.input_waits >= INPUT_BYTES_MAX {
                    return;
                }
                let sequence = frame.sequence;
                let acknowledgement = acknowledge(&frame, fresh_id(&mut self.ids), now);
                let Some(ready) = self.incoming.take(frame) else { return };
                match self.input_waits >= INPUT_BYTES {
                    true => drop(self.held.insert(sequence, acknowledgement)),
                    false => actions.push(AgentAction::Send(acknowledgement)),
                }
                for frame in ready {
                    self.input(frame, now, actions);
                }
            }
            MessageType::PausePublication => self.paused = true,
            MessageType::StartPublication => self.paused = false,
            MessageType::ChannelClosed => self.end("", actions),
            MessageType::OutputStreamData => {}
        }
    }

    fn input(&mut self, frame: Frame, now: Timestamp, actions: &mut Vec<AgentAction>) {
        if let Phase::Sizing(_) = self.phase
            && frame.payload_type != PayloadType::Size
        {
            self.begin(None, now, actions);
        }
        match frame.payload_type {
            PayloadType::HandshakeResponse if self.phase == Phase::Handshake => {
                self.shaken(&frame.payload, now, actions);
            }
            PayloadType::Output if self.phase == Phase::Running && !frame.payload.is_empty() => {
                self.active = now;
                self.input_waits += frame.payload.len();
                actions.push(AgentAction::Input(frame.payload));
            }
            PayloadType::Size => {
                if let Ok(size) = serde_json::from_slice::<SizeData>(&frame.payload) {
                    let bounded = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
                    let size = Size { columns: bounded(size.cols), rows: bounded(size.rows) };
                    match self.phase {
                        Phase::Sizing(_) => self.begin(Some(size), now, actions),
                        _ => actions.push(AgentAction::Resize(size)),
                    }
                }
            }
            PayloadType::Flag => match <[u8; 4]>::try_from(&*frame.payload).map(u32::from_be_bytes) {
                Ok(flag::DISCONNECT_TO_PORT) => actions.push(AgentAction::EndInput),
                Ok(flag::TERMINATE_SESSION) => self.end("", actions),
                _ => {}
            },
            _ => {}
        }
    }

    fn shaken(&mut self, response: &[u8], now: Timestamp, actions: &mut Vec<AgentAction>) {
        let response: HandshakeResponse = serde_json::from_slice(response).unwrap_or_default();
        let agreed = response.processed_client_actions.iter();
        if !agreed.clone().any(|action| action.action_type == SESSION_TYPE && action.action_status == ACTION_DONE) {
            let errors = response.errors.unwrap_or_default().join("; ");
            return self.fail(format!("The client cannot serve this session. {errors}").trim_end(), actions);
        }
        let took = i64::try_from(now.since(self.began).as_nanos()).unwrap_or(i64::MAX);
        let complete = HandshakeComplete { handshake_time_to_complete: took, customer_message: String::new() };
        actions.push(self.stream(PayloadType::HandshakeComplete, contents::json(&complete), now));
        match self.session_type {
            SessionType::InteractiveCommands => self.phase = Phase::Sizing(now),
            SessionType::NonInteractiveCommands => self.begin(None, now, actions),
        }
    }

    fn begin(&mut self, size: Option<Size>, now: Timestamp, actions: &mut Vec<AgentAction>) {
        self.phase = Phase::Running;
        self.active = now;
        actions.push(AgentAction::Begin(size));
    }

    fn tick(&mut self, now: Timestamp, actions: &mut Vec<AgentAction>) {
        if self.outgoing.is_lost(now) {
            if self.phase == Phase::Running {
                actions.push(AgentAction::HangUp);
            }
            self.phase = Phase::Closed;
            return actions.push(AgentAction::Close);
        }
        match self.phase {
            Phase::Handshake if now.since(self.began) >= HANDSHAKE_WITHIN => return self.fail(NO_HANDSHAKE, actions),
            Phase::Sizing(since) if now.since(since) >= SIZE_WITHIN => self.begin(None, now, actions),
            Phase::Running if now.since(self.active) >= IDLE_MAX => self.end(IDLE, actions),
            _ => {}
        }
        if let Some(again) = self.outgoing.resend(now) {
            actions.push(AgentAction::Send(again));
        }
    }

    /// Before there is a program.
    fn fail(&mut self, message: &str, actions: &mut Vec<AgentAction>) {
        let closed = Ended { message: message.to_owned(), exit_code: None };
        let bytes = channel_closed(&self.session_id, &closed, fresh_id(&mut self.ids), self.began);
        self.phase = Phase::Closed;
        actions.extend([AgentAction::Send(bytes), AgentAction::Close]);
    }

    fn end(&mut self, sentence: &str, actions: &mut Vec<AgentAction>) {
        match self.phase {
            Phase::Handshake | Phase::Sizing(_) => self.fail(sentence, actions),
            Phase::Running if self.sentence.is_none() => {
                self.sentence = Some(sentence.to_owned());
                actions.push(AgentAction::HangUp);
            }
            Phase::Running | Phase::Ending | Phase::Closed => {}
        }
    }

    /// After the last of the output has arrived, since the plugin leaves at once.
    fn say_goodbye(&mut self, now: Timestamp, actions: &mut Vec<AgentAction>) {
        if self.phase != Phase::Ending || !self.outgoing.is_empty() {
            return;
        }
        let mut ended = self.ended.take().unwrap_or_default();
        if let Some(sentence) = self.sentence.take() {
            ended.message = sentence;
        }
        self.phase = Phase::Closed;
        let bytes = channel_closed(&self.session_id, &ended, fresh_id(&mut self.ids), now);
        actions.extend([AgentAction::Send(bytes), AgentAction::Close]);
    }

    fn stream(&mut self, payload_type: PayloadType, payload: Vec<u8>, now: Timestamp) -> AgentAction {
        let frame = Frame::new(MessageType::OutputStreamData, now, fresh_id(&mut self.ids), payload);
        AgentAction::Send(self.outgoing.send(Frame { payload_type, ..frame }, now))
    }
}

/// The message that it is over. Whoever stands between client and agent says it when the agent no longer can.
pub fn channel_closed(session_id: &str, ended: &Ended, id: [u8; 16], now: Timestamp) -> Vec<u8> {
    let content = ChannelClosed {
        message_id: uuid_text(id),
        created_date: now.as_millis().to_string(),
        destination_id: session_id.to_owned(),
        session_id: session_id.to_owned(),
        message_type: MessageType::ChannelClosed.name().to_owned(),
        schema_version: 1,
        output: ended.message.clone(),
        exit_code: ended.exit_code,
    };
    let frame = Frame::new(MessageType::ChannelClosed, now, id, contents::json(&content));
    Frame { flags: FLAG_LAST, ..frame }.encode()
}

/// That a frame has arrived.
pub(crate) fn acknowledge(frame: &Frame, id: [u8; 16], now: Timestamp) -> Vec<u8> {
    let content = Acknowledge {
        message_type: frame.message_type.name().to_owned(),
        message_id: uuid_text(frame.id),
        sequence: frame.sequence,
        is_sequential: true,
    };
    let acknowledgement = Frame::new(MessageType::Acknowledge, now, id, contents::json(&content));
    // Both ends of a sequence of one, as the plugin has it.
    Frame { flags: crate::frame::FLAG_FIRST | FLAG_LAST, ..acknowledgement }.encode()
}
