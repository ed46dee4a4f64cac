//! Pages of a list, and the tokens that lead from one to the next.

use std::fmt::Debug;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::ctx::Ctx;
use crate::error::{Error, invalid};
use crate::limits::PAGE_MAX;

/// How many bytes of a token say which list it belongs to.
const LIST_BYTES: usize = 6;

/// Which page of which list is asked for.
///
/// A token is the place of the last item of its page: a list that changes in between neither repeats nor loses what stays.
/// It also says which list it is of, so that it leads nowhere in another one.
pub(crate) struct Pages {
    list: [u8; LIST_BYTES],
    after: Option<String>,
    size: usize,
}

/// How the list is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Ascending,
    Descending,
}

impl Pages {
    /// `request` is the request without its token and its page size.
    pub fn read(
        ctx: &Ctx<'_>,
        request: &impl Debug,
        token: Option<&str>,
        max_results: Option<i32>,
        default: usize,
    ) -> Result<Pages, Error> {
        let size = match max_results {
            None => default,
            Some(wanted) if (1..=PAGE_MAX as i32).contains(&wanted) => wanted as usize,
            Some(_) => return Err(invalid(format!("maxResults must be between 1 and {PAGE_MAX}."))),
        };
        let digest = Sha256::digest(format!("{} {request:?}", ctx.scope));
        let mut list = [0; LIST_BYTES];
        list.copy_from_slice(&digest[..LIST_BYTES]);
        let after = token.filter(|token| !token.is_empty()).map(|token| place(token, list)).transpose()?;
        Ok(Pages { list, after, size })
    }

    /// The place behind which the page begins; empty for the first page. A source that can begin there saves the way.
    pub fn after(&self) -> &str {
        self.after.as_deref().unwrap_or_default()
    }

    /// One page of items that are sorted by their place, and the token of the next page when there is one.
    pub fn cut<T>(&self, items: impl Iterator<Item = (String, T)>, order: Order) -> (Vec<T>, Option<String>) {
        let mut rest = items.filter(|(place, _)| match (&self.after, order) {
            (None, _) => true,
            (Some(after), Order::Ascending) => place > after,
            (Some(after), Order::Descending) => place < after,
        });
        let (mut page, mut last) = (Vec::new(), None);
        for (place, item) in rest.by_ref().take(self.size) {
            page.push(item);
            last = Some(place);
        }
        let more = rest.next().is_some();
        (page, last.filter(|_| more).map(|last| self.token(&last)))
    }

    fn token(&self, place: &str) -> String {
        URL_SAFE_NO_PAD.encode([&self.list[..], place.as_bytes()].concat())
    }
}

fn place(token: &str, list: [u8; LIST_BYTES]) -> Result<String, Error> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let place = bytes.as_deref().and_then(|bytes| bytes.strip_prefix(&list));
    let place = place.and_then(|place| std::str::from_utf8(place).ok());
    place.map(str::to_owned).ok_or_else(|| invalid("Invalid token."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(list: u8, token: Option<&str>, size: usize) -> Result<Pages, Error> {
        let list = [list; LIST_BYTES];
        Ok(Pages { list, after: token.map(|token| place(token, list)).transpose()?, size })
    }

    #[test]
    fn pages_join_to_the_whole_list() {
        let all: Vec<String> = (0..25).map(|n| format!("{n:02}")).collect();
        for order in [Order::Ascending, Order::Descending] {
            let mut list = all.clone();
            if order == Order::Descending {
                list.reverse();
            }
            let (mut seen, mut token) = (Vec::new(), None);
            loop {
                let items = list.iter().map(|item| (item.clone(), item.clone()));
                let (page, next) = pages(1, token.as_deref(), 10).unwrap().cut(items, order);
                seen.extend(page);
                match next {
                    Some(next) => token = Some(next),
                    None => break,
                }
            }
            assert_eq!(seen, list);
        }
    }

    #[test]
    fn a_token_is_of_its_own_list() {
        let items = ["a", "b"].iter().map(|item| (item.to_string(), *item));
        let token = pages(1, None, 1).unwrap().cut(items, Order::Ascending).1.unwrap();
        assert_eq!(pages(1, Some(&token), 1).unwrap().after(), "a");
        assert!(pages(2, Some(&token), 1).is_err());
        for nonsense in ["%%%", "YQ", "x"] {
            assert!(pages(1, Some(nonsense), 1).is_err(), "{nonsense}");
        }
    }
}
