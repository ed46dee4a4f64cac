//! JSON and documents: the bodies of awsJson 1.0 and 1.1, and later of restJson1.

mod decode;
mod encode;

pub use decode::{NotJson, decode};
pub use encode::{encode, encode_free};
