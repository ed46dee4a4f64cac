//! What the standard library forgot; nothing of Berth in it.
