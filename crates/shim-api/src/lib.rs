//! What the agent and a shim say to each other: tiny, and slow to change.
