//! The parsers that are private otherwise, for those who feed them nonsense on purpose. Nobody else calls these.

use bytes::Bytes;
use store::Change;

/// The changes of one row of the history.
pub fn changes(bytes: Bytes) -> Option<Vec<Change>> {
    crate::codec::decode(bytes)
}
