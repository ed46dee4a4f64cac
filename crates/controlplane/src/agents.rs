//! The agents: their two websockets, what goes down to them and what their telemetry says.
//!
//! State goes up over the ECS API and never here. What should run is read from the snapshot, so a session can be rebuilt at
//! any moment: after a restart of the control plane, of the agent, or of the connection between them.

mod attendant;
mod connection;
mod desired;
mod hub;
mod instance;
mod payload;
pub mod prepull;
mod session;
mod status;
mod telemetry;
mod upgrade;
mod usage;

pub use attendant::{Arrival, Attendant, Effect, Look};
pub use hub::Hub;
pub use instance::{connected, disconnected, forget_connections, forgotten, renewed};
pub use status::changes as status;
pub use telemetry::changes as health;
pub use upgrade::{acs, admit, tcs};
