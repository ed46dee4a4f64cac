//! Client tokens: the same request twice makes things once.

use std::fmt::Debug;

use model::ClientToken;
use sha2::{Digest, Sha256};
use state::Changes;

use crate::ctx::Ctx;
use crate::error::{Error, ErrorCode, invalid};
use crate::limits::CLIENT_TOKEN_CHARS_MAX;

/// A token that came with a request, before it is known whether it was used.
pub(crate) struct Token {
    record: ClientToken,
}

impl Token {
    /// Reads the token of a request, if there is one. `request` is what must not differ when the token is used again.
    pub fn read(ctx: &Ctx<'_>, operation: &str, token: Option<&str>, request: &impl Debug) -> Result<Option<Token>, Error> {
        let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
        if token.chars().count() > CLIENT_TOKEN_CHARS_MAX {
            return Err(invalid(format!("clientToken length must be at most {CLIENT_TOKEN_CHARS_MAX}.")));
        }
        let record = ClientToken {
            scope: ctx.scope.clone(),
            operation: operation.to_owned(),
            token: hex::encode(token),
            request: hex::encode(Sha256::digest(format!("{request:?}"))),
            resources: Vec::new(),
            used_at: ctx.now,
        };
        Ok(Some(Token { record }))
    }

    /// What the token made before; nothing when it is new. Another request under the same token is a conflict.
    pub fn used(&self, ctx: &Ctx<'_>) -> Result<Option<Vec<String>>, Error> {
        match ctx.snapshot.client_tokens.get(&state::Record::name(&self.record)) {
            None => Ok(None),
            Some(known) if known.request == self.record.request => Ok(Some(known.resources.clone())),
            Some(_) => Err(Error::new(
                ErrorCode::ConflictException,
                "The request was made with the same client token as an earlier request, but with different parameters.",
            )),
        }
    }

    /// Remembers what the token made.
    pub fn remember(mut self, ctx: &Ctx<'_>, changes: &mut Changes, resources: Vec<String>) {
        self.record.resources = resources;
        changes.put(ctx.snapshot, &self.record);
    }
}
