//! The parsers that are private otherwise, for those who feed them nonsense on purpose. Nobody else calls these.

use crate::{RuntimeError, User};

/// Whom `user[:group]` means, with an image's lists of users and groups.
pub fn user(user: &str, passwd: &str, group: &str) -> Result<User, RuntimeError> {
    crate::users::resolve_in(user, passwd, group)
}
