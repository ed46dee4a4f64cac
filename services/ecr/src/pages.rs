//! Pages of a list, and the tokens that lead from one to the next.

use api_ecr::Error;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::limits::{PAGE_DEFAULT, PAGE_MAX};
use crate::refusals::invalid;

/// Which part of a list the caller wants.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    after: Option<String>,
    size: usize,
}

impl Wanted {
    pub(crate) fn parse(token: Option<&str>, max_results: Option<i32>) -> Result<Wanted, Error> {
        Wanted::new(token, max_results, PAGE_DEFAULT, PAGE_MAX)
    }

    /// The same of a list whose pages have `max` items when nobody says, and never more.
    pub(crate) fn of(token: Option<&str>, max_results: Option<i32>, max: usize) -> Result<Wanted, Error> {
        Wanted::new(token, max_results, max, max)
    }

    fn new(token: Option<&str>, max_results: Option<i32>, default: usize, max: usize) -> Result<Wanted, Error> {
        let size = match max_results.map(usize::try_from) {
            None => default,
            Some(Ok(size)) if (1..=max).contains(&size) => size,
            Some(_) => {
                return Err(invalid("maxResults", format_args!("Member must have value between 1 and {max}")));
            }
        };
        Ok(Wanted { after: token.map(decode).transpose()?, size })
    }

    /// The page of `items`, which are sorted by their `key`, and the token of the next page when there is one.
    ///
    /// A token is the last key of its page: a list that changes in between neither repeats nor loses what stays.
    pub(crate) fn page<T>(&self, items: Vec<T>, key: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
        let mut rest =
            items.into_iter().skip_while(|item| self.after.as_ref().is_some_and(|after| key(item) <= *after));
        let page: Vec<T> = rest.by_ref().take(self.size).collect();
        let more = rest.next().is_some();
        let next = page.last().filter(|_| more).map(|last| URL_SAFE_NO_PAD.encode(key(last)));
        (page, next)
    }
}

fn decode(token: &str) -> Result<String, Error> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| invalid("nextToken", "must be a token of an earlier answer"))
}

/// Things that are named one by one do not come in pages.
pub(crate) fn refuse_with(names: &str, token: Option<&str>, max_results: Option<i32>) -> Result<(), Error> {
    let given = [("nextToken", token.is_some()), ("maxResults", max_results.is_some())];
    match given.into_iter().find(|(_, given)| *given) {
        Some((parameter, _)) => Err(invalid(parameter, format_args!("must be null when {names} is specified"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_join_to_the_whole_list() {
        let all: Vec<String> = (0..250).map(|n| format!("{n:03}")).collect();
        for (size, pages) in [(None, 3), (Some(1), 250), (Some(125), 2), (Some(1000), 1)] {
            let (mut seen, mut token, mut count) = (Vec::new(), None::<String>, 0);
            loop {
                let wanted = Wanted::parse(token.as_deref(), size).unwrap();
                let (page, next) = wanted.page(all.clone(), String::clone);
                seen.extend(page);
                count += 1;
                token = next;
                if token.is_none() {
                    break;
                }
            }
            assert_eq!((seen, count), (all.clone(), pages), "{size:?}");
        }
    }

    #[test]
    fn a_token_or_size_that_makes_no_sense_is_refused() {
        for (token, size) in [(Some("%%%"), None), (None, Some(0)), (None, Some(1001)), (None, Some(-1))] {
            assert!(Wanted::parse(token, size).is_err(), "{token:?} {size:?}");
        }
        assert!(refuse_with("imageIds", Some("x"), None).is_err());
        assert!(refuse_with("imageIds", None, Some(1)).is_err());
        assert!(refuse_with("imageIds", None, None).is_ok());
    }
}
