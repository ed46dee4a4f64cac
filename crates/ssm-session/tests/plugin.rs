//! The agent against a client that does what `session-manager-plugin` does, and leaves undone what that leaves undone.
//!
//! Source: `aws/session-manager-plugin`, `src/datachannel/streaming.go`, `src/message/clientmessage.go`,
//! `src/sessionmanagerplugin/session/shellsession`. What matters here: a frame older than the expected one is dropped without an
//! acknowledgement; output before the session's handler is there is dropped too; a frame that is early is kept and
//! acknowledged; publication messages are ignored; a newline that is sent alone becomes a carriage return.

use std::collections::BTreeMap;
use std::time::Duration;

use expect_test::expect;
use serde_json::{Value, json};
use ssm_session::contents::{Acknowledge, ChannelClosed, HandshakeComplete, HandshakeRequest};
use ssm_session::*;
use stdx::{Ids, Timestamp};

const SESSION: &str = "ecs-execute-command-0123456789abcdef0";

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_795_384_329_148) + Duration::from_millis(millis)
}

#[derive(Default)]
struct Plugin {
    /// Of the next output frame, and of the next input frame.
    expected: i64,
    next: i64,
    early: BTreeMap<i64, Frame>,
    /// The session's own handler begins a moment after the handshake is complete.
    has_handler: bool,
    shown: Vec<u8>,
    closed: Option<ChannelClosed>,
    request: Option<HandshakeRequest>,
    complete: Option<HandshakeComplete>,
    /// What the agent acknowledged, by its number.
    acknowledged: Vec<i64>,
}

impl Plugin {
    fn input(&mut self, payload_type: PayloadType, payload: &[u8]) -> Vec<u8> {
        let payload = if payload == b"\n" { b"\r" } else { payload };
        let frame = Frame::new(MessageType::InputStreamData, at(0), [7; 16], payload.to_vec());
        let frame = Frame { sequence: self.next, payload_type, ..frame };
        self.next += 1;
        frame.encode()
    }

    fn acknowledge(frame: &Frame) -> Vec<u8> {
        let content = json!({
            "AcknowledgedMessageType": frame.message_type.name(),
            "AcknowledgedMessageId": "6f1c2d3e-4a5b-4c6d-8e7f-0123456789ab",
            "AcknowledgedMessageSequenceNumber": frame.sequence,
            "IsSequentialMessage": true,
        });
        let frame = Frame::new(MessageType::Acknowledge, at(0), [8; 16], content.to_string().into_bytes());
        // Both flags, as of a sequence of one.
        Frame { flags: 3, ..frame }.encode()
    }

    /// What it answers to a frame.
    fn take(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let frame = Frame::decode(bytes).expect("a frame that the plugin can read");
        let mut answers = Vec::new();
        match frame.message_type {
            MessageType::Acknowledge => {
                let content: Acknowledge = serde_json::from_slice(&frame.payload).unwrap();
                self.acknowledged.push(content.sequence);
            }
            MessageType::ChannelClosed => self.closed = Some(serde_json::from_slice(&frame.payload).unwrap()),
            MessageType::OutputStreamData if frame.sequence > self.expected => {
                answers.push(Plugin::acknowledge(&frame));
                self.early.insert(frame.sequence, frame);
            }
            MessageType::OutputStreamData if frame.sequence == self.expected => self.expected(frame, &mut answers),
            // Older ones come to nothing; so do the others.
            _ => {}
        }
        answers
    }

    fn expected(&mut self, frame: Frame, answers: &mut Vec<Vec<u8>>) {
        match frame.payload_type {
            PayloadType::HandshakeRequest => {
                answers.push(Plugin::acknowledge(&frame));
                let request: HandshakeRequest = serde_json::from_slice(&frame.payload).unwrap();
                let response = self.handshake_response(&request);
                self.request = Some(request);
                answers.push(self.input(PayloadType::HandshakeResponse, response.to_string().as_bytes()));
            }
            PayloadType::HandshakeComplete => {
                answers.push(Plugin::acknowledge(&frame));
                self.complete = Some(serde_json::from_slice(&frame.payload).unwrap());
            }
            _ if !self.has_handler => return,
            _ => {
                self.shown.extend(&frame.payload);
                answers.push(Plugin::acknowledge(&frame));
            }
        }
        self.expected += 1;
        while let Some(frame) = self.early.remove(&self.expected) {
            self.shown.extend(&frame.payload);
            self.expected += 1;
        }
    }

    fn handshake_response(&self, request: &HandshakeRequest) -> Value {
        let mut errors = Vec::new();
        let mut process = |action: &contents::RequestedAction| {
            let kind = action.action_parameters["SessionType"].as_str().unwrap_or_default();
            let known = ["Standard_Stream", "InteractiveCommands", "NonInteractiveCommands", "Port"].contains(&kind);
            match action.action_type.as_str() {
                "SessionType" if known => {
                    json!({ "ActionType": "SessionType", "ActionStatus": 1, "ActionResult": null, "Error": "" })
                }
                // Its status is never set: the number goes into the result.
                other => {
                    errors.push(format!("Unsupported action {other}"));
                    json!({ "ActionType": other, "ActionStatus": 0, "ActionResult": 3, "Error": format!("Unsupported action {other}") })
                }
            }
        };
        let processed: Vec<Value> = request.requested_client_actions.iter().map(&mut process).collect();
        let errors = if errors.is_empty() { Value::Null } else { json!(errors) };
        json!({ "ClientVersion": "1.2.707.0", "ProcessedClientActions": processed, "Errors": errors })
    }
}

/// Both, with everything that travels from one to the other at once.
struct Talk {
    agent: AgentSession,
    plugin: Plugin,
    /// Of the agent, in order.
    sent: Vec<Vec<u8>>,
    done: Vec<AgentAction>,
    now: u64,
}

impl Talk {
    fn new(kind: SessionType) -> Talk {
        let (agent, hello) = AgentSession::new(SESSION, kind, Ids::from_seed(1), at(0));
        let plugin = Plugin { has_handler: true, ..Plugin::default() };
        let mut talk = Talk { agent, plugin, sent: Vec::new(), done: Vec::new(), now: 0 };
        talk.carry_out(hello);
        talk
    }

    fn carry_out(&mut self, actions: Vec<AgentAction>) {
        for action in actions {
            match action {
                AgentAction::Send(bytes) => {
                    self.sent.push(bytes.clone());
                    for answer in self.plugin.take(&bytes) {
                        self.agent(AgentEvent::Frame(&answer));
                    }
                }
                other => self.done.push(other),
            }
        }
    }

    fn agent(&mut self, event: AgentEvent<'_>) {
        let actions = self.agent.step(event, at(self.now));
        self.carry_out(actions);
    }

    fn types(&mut self, payload_type: PayloadType, payload: &[u8]) {
        let bytes = self.plugin.input(payload_type, payload);
        self.agent(AgentEvent::Frame(&bytes));
    }

    fn wait(&mut self, millis: u64) {
        self.now += millis;
        self.agent(AgentEvent::Tick);
    }

    /// `sequence flags message type/payload type` of everything that the agent sent but acknowledgements.
    fn frames(&self) -> Vec<String> {
        let frames = self.sent.iter().map(|bytes| Frame::decode(bytes).unwrap());
        let frames = frames.filter(|frame| frame.message_type != MessageType::Acknowledge);
        let shown = |frame: Frame| {
            format!("{} {} {}/{}", frame.sequence, frame.flags, frame.message_type.name(), frame.payload_type.number())
        };
        frames.map(shown).collect()
    }
}

#[test]
fn the_handshake_asks_for_a_kind_of_session_and_for_no_key() {
    let talk = Talk::new(SessionType::InteractiveCommands);
    let request = serde_json::to_value(talk.plugin.request.as_ref().unwrap()).unwrap();
    expect![[r#"{"AgentVersion":"3.3.0.0","RequestedClientActions":[{"ActionParameters":{"Properties":{},"SessionType":"InteractiveCommands"},"ActionType":"SessionType"}]}"#]]
        .assert_eq(&request.to_string());
    let complete = talk.plugin.complete.unwrap();
    assert_eq!((complete.customer_message.as_str(), complete.handshake_time_to_complete), ("", 0));
    assert_eq!(talk.plugin.acknowledged, [0], "the response was heard");
}

#[test]
fn numbers_count_from_nothing_and_flags_mark_the_first_and_the_last() {
    let mut talk = Talk::new(SessionType::NonInteractiveCommands);
    talk.agent(AgentEvent::Output(Stream::Out, b"one"));
    talk.agent(AgentEvent::Output(Stream::Err, b"two"));
    talk.agent(AgentEvent::Ended(Ended { message: String::new(), exit_code: Some(3) }));
    expect![[r#"
        0 1 output_stream_data/5
        1 0 output_stream_data/7
        2 0 output_stream_data/1
        3 0 output_stream_data/11
        0 2 channel_closed/0
    "#]]
    .assert_eq(&talk.frames().iter().map(|line| format!("{line}\n")).collect::<String>());
    assert_eq!(talk.plugin.shown, b"onetwo");
    let closed = talk.plugin.closed.unwrap();
    assert_eq!((closed.session_id.as_str(), closed.message_type.as_str()), (SESSION, "channel_closed"));
    assert_eq!((closed.schema_version, closed.output.as_str(), closed.exit_code), (1, "", Some(3)));
    assert!(!closed.message_id.is_empty() && !closed.created_date.is_empty(), "{closed:?}");
}

#[test]
fn the_exit_code_is_no_frame_of_its_own_for_the_plugin_would_show_it() {
    let mut talk = Talk::new(SessionType::NonInteractiveCommands);
    talk.agent(AgentEvent::Ended(Ended { message: String::new(), exit_code: Some(255) }));
    let exit_code = format!("/{}", PayloadType::ExitCode.number());
    assert!(talk.frames().iter().all(|frame| !frame.ends_with(&exit_code)), "{:?}", talk.frames());
    assert_eq!(talk.plugin.closed.unwrap().exit_code, Some(255));
}

#[test]
fn what_comes_before_the_plugin_has_its_handler_comes_again() {
    let mut talk = Talk::new(SessionType::NonInteractiveCommands);
    talk.plugin.has_handler = false;
    talk.agent(AgentEvent::Output(Stream::Out, b"first "));
    talk.agent(AgentEvent::Output(Stream::Out, b"second "));
    assert_eq!(talk.plugin.shown, b"", "the first is dropped, and the second kept");
    talk.agent(AgentEvent::Ended(Ended::default()));
    assert!(talk.plugin.closed.is_none(), "the goodbye waits for what was not heard");
    talk.plugin.has_handler = true;
    talk.wait(199);
    assert_eq!(talk.plugin.shown, b"");
    talk.wait(1000);
    assert_eq!(talk.plugin.shown, b"first second ");
    assert!(talk.plugin.closed.is_some());
}

#[test]
fn a_second_copy_is_not_acknowledged_and_does_no_harm() {
    let mut talk = Talk::new(SessionType::NonInteractiveCommands);
    talk.agent(AgentEvent::Output(Stream::Out, b"once"));
    let copy = talk.sent.last().unwrap().clone();
    assert_eq!(talk.plugin.take(&copy), Vec::<Vec<u8>>::new());
    assert_eq!(talk.plugin.shown, b"once");
    talk.wait(60_000);
    assert_eq!(talk.frames().len(), 3, "it was acknowledged once, and that is enough");
}

#[test]
fn input_is_acknowledged_by_its_own_number_each_time_it_comes() {
    let mut talk = Talk::new(SessionType::NonInteractiveCommands);
    let typed = talk.plugin.input(PayloadType::Output, b"ls");
    talk.agent(AgentEvent::Frame(&typed));
    talk.agent(AgentEvent::Frame(&typed));
    assert_eq!(talk.plugin.acknowledged, [0, 1, 1], "its acknowledgement may have been lost");
    let input: Vec<&AgentAction> = talk.done.iter().filter(|action| matches!(action, AgentAction::Input(_))).collect();
    assert_eq!(input, [&AgentAction::Input(b"ls".to_vec())], "but it is typed once");
}

#[test]
fn input_that_overtakes_other_input_waits_for_it() {
    let mut talk = Talk::new(SessionType::NonInteractiveCommands);
    let frames: Vec<Vec<u8>> =
        [&b"a"[..], b"b", b"c"].iter().map(|text| talk.plugin.input(PayloadType::Output, text)).collect();
    for index in [2, 1, 0] {
        talk.agent(AgentEvent::Frame(&frames[index]));
    }
    let typed: Vec<u8> = talk
        .done
        .iter()
        .filter_map(|action| match action {
            AgentAction::Input(bytes) => Some(bytes.clone()),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!((typed.as_slice(), &talk.plugin.acknowledged[1..]), (&b"abc"[..], &[3, 2, 1][..]));
}

#[test]
fn a_newline_alone_is_a_carriage_return() {
    let mut talk = Talk::new(SessionType::InteractiveCommands);
    talk.types(PayloadType::Size, br#"{"cols":80,"rows":24}"#);
    talk.types(PayloadType::Output, b"\n");
    assert_eq!(talk.done.last(), Some(&AgentAction::Input(b"\r".to_vec())), "the terminal makes a newline of it");
}

#[test]
fn the_terminal_has_the_size_that_the_plugin_says_also_later() {
    let mut talk = Talk::new(SessionType::InteractiveCommands);
    assert!(talk.done.is_empty(), "the size is waited for");
    talk.types(PayloadType::Size, br#"{"cols":132,"rows":43}"#);
    talk.types(PayloadType::Size, br#"{"cols":100000,"rows":24}"#);
    talk.types(PayloadType::Size, b"no JSON");
    let size = |columns, rows| Size { columns, rows };
    let expected = [AgentAction::Begin(Some(size(132, 43))), AgentAction::Resize(size(u16::MAX, 24))];
    assert_eq!(talk.done, expected);
}

#[test]
fn a_plugin_that_types_before_it_says_a_size_is_heard() {
    let mut talk = Talk::new(SessionType::InteractiveCommands);
    talk.types(PayloadType::Output, b"x");
    assert_eq!(talk.done, [AgentAction::Begin(None), AgentAction::Input(b"x".to_vec())]);
}

#[test]
fn a_client_that_cannot_serve_the_session_is_told_so() {
    let (mut agent, _) = AgentSession::new(SESSION, SessionType::InteractiveCommands, Ids::from_seed(1), at(0));
    let mut plugin = Plugin::default();
    let request = HandshakeRequest {
        agent_version: "3".to_owned(),
        requested_client_actions: vec![contents::RequestedAction {
            action_type: "KMSEncryption".to_owned(),
            action_parameters: json!({ "KMSKeyId": "alias/none" }),
        }],
    };
    let response = plugin.handshake_response(&request).to_string();
    let bytes = plugin.input(PayloadType::HandshakeResponse, response.as_bytes());
    let actions = agent.step(AgentEvent::Frame(&bytes), at(1));
    for action in &actions {
        if let AgentAction::Send(bytes) = action {
            plugin.take(bytes);
        }
    }
    assert_eq!(actions.last(), Some(&AgentAction::Close));
    assert_eq!(plugin.closed.unwrap().output, "The client cannot serve this session. Unsupported action KMSEncryption");
}

#[test]
fn publication_is_paused_and_what_was_sent_before_is_still_heard() {
    let mut talk = Talk::new(SessionType::NonInteractiveCommands);
    let say = |kind| Frame::new(kind, at(0), [9; 16], Vec::new()).encode();
    talk.agent(AgentEvent::Output(Stream::Out, b"before "));
    talk.agent(AgentEvent::Frame(&say(MessageType::PausePublication)));
    assert!(!talk.agent.wants_output());
    talk.types(PayloadType::Output, b"typed meanwhile");
    assert!(talk.done.contains(&AgentAction::Input(b"typed meanwhile".to_vec())), "input goes on");
    talk.agent(AgentEvent::Frame(&say(MessageType::StartPublication)));
    assert!(talk.agent.wants_output());
    talk.agent(AgentEvent::Output(Stream::Out, b"after"));
    assert_eq!(talk.plugin.shown, b"before after");
}

#[test]
fn the_service_may_close_the_channel() {
    let mut talk = Talk::new(SessionType::NonInteractiveCommands);
    let closed = Frame::new(MessageType::ChannelClosed, at(0), [9; 16], b"{}".to_vec());
    talk.agent(AgentEvent::Frame(&closed.encode()));
    assert_eq!(talk.done.last(), Some(&AgentAction::HangUp));
    talk.agent(AgentEvent::Ended(Ended { message: "hung up".to_owned(), exit_code: Some(129) }));
    let closed = talk.plugin.closed.unwrap();
    assert_eq!((closed.output.as_str(), closed.exit_code), ("", Some(129)), "nobody is told what they did themselves");
}
