//! Pages of a list, and the tokens that lead from one to the next.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::{Error, invalid};
use crate::limits::PAGE_MAX;

/// One page of an ordered list of distinct texts, and the token of the next page when there is one.
///
/// A token is the last text of its page: a list that changes in between neither repeats nor loses what stays.
pub(crate) fn page(
    items: impl Iterator<Item = String>,
    token: Option<&str>,
    max_results: Option<i32>,
    default: usize,
    order: Order,
) -> Result<(Vec<String>, Option<String>), Error> {
    let size = match max_results {
        None => default,
        Some(wanted) if (1..=PAGE_MAX as i32).contains(&wanted) => wanted as usize,
        Some(_) => return Err(invalid(format!("maxResults must be between 1 and {PAGE_MAX}."))),
    };
    let after = token.filter(|token| !token.is_empty()).map(decode).transpose()?;
    let mut rest = items.filter(|item| match (&after, order) {
        (None, _) => true,
        (Some(after), Order::Ascending) => item > after,
        (Some(after), Order::Descending) => item < after,
    });
    let items: Vec<String> = rest.by_ref().take(size).collect();
    let more = rest.next().is_some();
    let next = items.last().filter(|_| more).map(|last| URL_SAFE_NO_PAD.encode(last));
    Ok((items, next))
}

/// How the list is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Ascending,
    Descending,
}

fn decode(token: &str) -> Result<String, Error> {
    URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| invalid("Invalid token ."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_join_to_the_whole_list() {
        let all: Vec<String> = (0..25).map(|n| format!("{n:02}")).collect();
        for order in [Order::Ascending, Order::Descending] {
            let list = || -> Box<dyn Iterator<Item = String>> {
                match order {
                    Order::Ascending => Box::new(all.clone().into_iter()),
                    Order::Descending => Box::new(all.clone().into_iter().rev()),
                }
            };
            let (mut seen, mut token) = (Vec::new(), None);
            loop {
                let (items, next) = page(list(), token.as_deref(), Some(10), 100, order).unwrap();
                seen.extend(items);
                match next {
                    Some(next) => token = Some(next),
                    None => break,
                }
            }
            assert_eq!(seen, list().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_token_or_size_that_makes_no_sense_is_refused() {
        let refused = |token, size| page(std::iter::empty(), token, size, 100, Order::Ascending).is_err();
        assert!(refused(Some("%%%"), None));
        assert!(refused(None, Some(0)));
        assert!(refused(None, Some(101)));
    }
}
