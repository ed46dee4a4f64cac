//! Client tokens: the same request twice makes things once.
//!
//! Source: Amazon ECS API Reference, "Ensuring idempotency".

use std::fmt::Debug;

use model::ClientToken;
use sha2::{Digest, Sha256};
use state::{Changes, Record};

use crate::ctx::Ctx;
use crate::error::{Error, invalid};

/// A token that came with a request, before it is known whether it was used.
pub(crate) struct Token {
    record: ClientToken,
}

/// What is known about a token.
pub(crate) enum Used {
    /// It is new.
    Never,
    /// The same request came before and made these.
    Before(Vec<String>),
    /// Another request came with it, and made these.
    Otherwise(Vec<String>),
}

impl Token {
    /// Reads the token of a request, if there is one. `request` is what must not differ when the token is used again in the
    /// same cluster.
    pub fn read(
        ctx: &Ctx<'_>,
        (operation, cluster): (&str, &str),
        (token, chars_max): (Option<&str>, usize),
        request: &impl Debug,
    ) -> Result<Option<Token>, Error> {
        let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
        if token.len() > chars_max || !token.bytes().all(|byte| (33..=126).contains(&byte)) {
            return Err(invalid(format!(
                "clientToken can be up to {chars_max} ASCII characters in the range of 33-126 (inclusive)."
            )));
        }
        let record = ClientToken {
            scope: ctx.scope.clone(),
            operation: format!("{operation}/{cluster}"),
            token: hex::encode(token),
            request: hex::encode(Sha256::digest(format!("{request:?}"))),
            resources: Vec::new(),
            used_at: ctx.now,
        };
        Ok(Some(Token { record }))
    }

    pub fn used(&self, ctx: &Ctx<'_>) -> Used {
        match ctx.snapshot.client_tokens.get(&self.record.name()) {
            None => Used::Never,
            Some(known) if known.request == self.record.request => Used::Before(known.resources.clone()),
            Some(known) => Used::Otherwise(known.resources.clone()),
        }
    }

    /// Remembers what the token made.
    pub fn remember(mut self, ctx: &Ctx<'_>, changes: &mut Changes, resources: Vec<String>) {
        self.record.resources = resources;
        changes.put(ctx.snapshot, &self.record);
    }
}
