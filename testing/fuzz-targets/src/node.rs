//! What a node reads: its shims, and lists of users that images bring.

use shim_api::log::{Frame, segment_number};
use shim_api::{ExitRecord, Message, Request};

use crate::{line, text};

/// Requests, messages, frames of output and exit records.
pub(crate) fn shim_frames(bytes: &[u8]) {
    let said = text(bytes);
    if let Ok(request) = Request::decode(said) {
        assert_eq!(Request::decode(&request.encode()), Ok(request));
    }
    if let Ok(message) = Message::decode(said) {
        assert_eq!(Message::decode(&message.encode()), Ok(message));
    }
    let (first, _) = line(bytes);
    if let Some(frame) = Frame::decode(first) {
        let mut out = Vec::new();
        frame.encode(&mut out);
        assert_eq!(Frame::decode(&out[..out.len() - 1]), Some(frame));
    }
    if let Some(exit) = ExitRecord::from_json(said) {
        assert_eq!(ExitRecord::from_json(&exit.to_json()), Some(exit));
    }
    let _ = (segment_number(said), logs::parsers::position(said));
}

/// The first line says whom, the second list ends the first where a line is empty.
pub(crate) fn users(bytes: &[u8]) {
    let (user, lists) = line(bytes);
    let (passwd, group) = text(lists).split_once("\n\n").unwrap_or((text(lists), ""));
    let _ = runtime::parsers::user(text(user), passwd, group);
}
