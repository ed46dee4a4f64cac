//! What comes over a data channel: from a client that an agent does not trust, and from an agent that a client does not.

use std::time::Duration;

use ssm_session::{
    AgentEvent, AgentSession, ClientEvent, ClientSession, Frame, MessageType, PayloadType, SessionType, Stream, limits,
};
use stdx::{Ids, Timestamp};

/// As one frame; and as payloads of many, each after a byte that says of which kind.
pub(crate) fn session_frames(bytes: &[u8]) {
    let mut now = Timestamp::from_millis(1_000_000);
    if let Ok(frame) = Frame::decode(bytes) {
        let again = Frame::decode(&frame.encode());
        assert_eq!(again, Ok(frame));
    }
    let kind = SessionType::InteractiveCommands;
    let (mut agent, _) = AgentSession::new("session", kind, Ids::from_seed(1), now);
    let (mut client, open) = ClientSession::new("1", "token", Ids::from_seed(2), now);
    let _ = serde_json::from_str::<ssm_session::contents::OpenDataChannel>(&open).map(|open| open.token_value);
    let (mut taken, mut input, mut output) = (0, 0, 0);
    for (sequence, part) in bytes.chunks(128).enumerate() {
        let Some((kind, payload)) = part.split_first() else { break };
        let types = [
            MessageType::InputStreamData,
            MessageType::OutputStreamData,
            MessageType::Acknowledge,
            MessageType::ChannelClosed,
            MessageType::StartPublication,
            MessageType::PausePublication,
        ];
        let payload_types = [
            PayloadType::Output,
            PayloadType::Size,
            PayloadType::HandshakeRequest,
            PayloadType::HandshakeResponse,
            PayloadType::HandshakeComplete,
            PayloadType::Flag,
        ];
        let frame = Frame::new(types[usize::from(kind % 6)], now, [7; 16], payload.to_vec());
        let payload_type = payload_types[usize::from(kind / 6 % 6)];
        let sequence = i64::try_from(sequence).unwrap_or(0) / i64::from(kind / 36 + 1);
        let frame = Frame { sequence, payload_type, ..frame }.encode();
        for action in agent.step(AgentEvent::Frame(&frame), now) {
            if let ssm_session::AgentAction::Input(bytes) = action {
                input += bytes.len();
            }
        }
        client.step(ClientEvent::Frame(&frame), now);
        if agent.wants_output() {
            agent.step(AgentEvent::Output(Stream::Out, payload), now);
            output += 1;
        }
        if client.wants_input() {
            client.step(ClientEvent::Input(payload), now);
        }
        if agent.look_at().is_some_and(|look| look <= now) {
            agent.step(AgentEvent::Tick, now);
        }
        taken += 1;
        now = now + Duration::from_millis(u64::from(*kind));
    }
    assert!(input <= limits::INPUT_BYTES_MAX + limits::FRAME_BYTES_MAX && output <= taken);
    let mut opened = bytes;
    if opened.len() > 4 {
        opened = &opened[..4];
    }
    let _ = serde_json::from_slice::<ssm_session::contents::OpenDataChannel>(opened);
}
