//! `{"type": "...", "message": {...}}`, in both directions of both sockets.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What a frame turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded<M> {
    Known(M),
    /// A well-formed envelope of a type we do not know. Neither side may take it for an error: the peer may be newer.
    Unknown {
        message_type: String,
    },
}

impl<M> Decoded<M> {
    pub fn known(self) -> Option<M> {
        match self {
            Decoded::Known(message) => Some(message),
            Decoded::Unknown { .. } => None,
        }
    }
}

/// Why a frame is not a message.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("the frame is not an envelope of a type and a message")]
    Envelope(#[source] serde_json::Error),
    #[error("the body of {message_type} does not have its shape")]
    Body {
        message_type: String,
        #[source]
        source: serde_json::Error,
    },
}

#[derive(Deserialize)]
struct Incoming<'a> {
    #[serde(rename = "type")]
    message_type: String,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Outgoing<'a, M> {
    #[serde(rename = "type")]
    message_type: &'a str,
    message: &'a M,
}

pub(crate) fn encode<M: Serialize>(message_type: &str, message: &M) -> String {
    // Maps have string keys and floats serialize as null when they are not finite, so there is nothing left to fail.
    serde_json::to_string(&Outgoing { message_type, message }).expect("an agent message is always valid JSON")
}

pub(crate) fn split(text: &str) -> Result<(String, &str), DecodeError> {
    let incoming: Incoming<'_> = serde_json::from_str(text).map_err(DecodeError::Envelope)?;
    Ok((incoming.message_type, incoming.message.map_or("{}", RawValue::get)))
}

pub(crate) fn body<M: DeserializeOwned>(message_type: &str, body: &str) -> Result<M, DecodeError> {
    serde_json::from_str(body).map_err(|source| DecodeError::Body { message_type: message_type.to_owned(), source })
}

/// One direction of one socket: a closed list of message names, and the way into and out of text.
macro_rules! messages {
    ($(#[$doc:meta])* $name:ident { $($wire:literal => $variant:ident($body:ty),)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub enum $name {
            $($variant($body),)+
        }

        impl $name {
            /// The name in the envelope's `type`.
            pub fn message_type(&self) -> &'static str {
                match self {
                    $($name::$variant(_) => $wire,)+
                }
            }

            /// The text of one websocket frame.
            pub fn encode(&self) -> String {
                match self {
                    $($name::$variant(body) => $crate::envelope::encode($wire, body),)+
                }
            }

            /// Reads one websocket frame. An integer written with a fraction is an error, as it is for the official agent.
            pub fn decode(text: &str) -> Result<$crate::Decoded<Self>, $crate::DecodeError> {
                let (message_type, body) = $crate::envelope::split(text)?;
                Ok(match message_type.as_str() {
                    $($wire => $crate::Decoded::Known($name::$variant($crate::envelope::body($wire, body)?)),)+
                    _ => $crate::Decoded::Unknown { message_type },
                })
            }
        }
    };
}
pub(crate) use messages;
