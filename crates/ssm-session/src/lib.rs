//! The data channel of AWS Systems Manager Session Manager: what `session-manager-plugin` and an agent say to each other.
//!
//! A [`Frame`] is one binary websocket message. Stream data is numbered, acknowledged one by one, sent again when nobody
//! acknowledges, and put in order by who receives it. [`AgentSession`] and [`ClientSession`] are the two ends as state
//! machines: they take what happened and answer what to do, read no clock and touch no socket.
//!
//! Start reading at [`AgentSession`]. [`contents`] are the JSON payloads, `flow` the numbers and the waiting, [`limits`] the sizes.
//! Source: the public repositories `aws/session-manager-plugin` and `aws/amazon-ssm-agent`.

#![forbid(unsafe_code)]

mod agent;
mod client;
pub mod contents;
mod flow;
mod frame;
pub mod limits;

pub use agent::{AgentAction, AgentEvent, AgentSession, Ended, channel_closed};
pub use client::{ClientAction, ClientEvent, ClientSession};
pub use frame::{Frame, FrameError, MessageType, PayloadType};

/// Which of a program's two outputs. A terminal has only the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
}

/// A terminal's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub columns: u16,
    pub rows: u16,
}

/// What kind of session an agent asks its client for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionType {
    /// With a terminal.
    InteractiveCommands,
    /// With pipes.
    NonInteractiveCommands,
}

impl SessionType {
    pub fn name(self) -> &'static str {
        match self {
            SessionType::InteractiveCommands => "InteractiveCommands",
            SessionType::NonInteractiveCommands => "NonInteractiveCommands",
        }
    }
}
