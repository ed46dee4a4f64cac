//! `application/x-www-form-urlencoded`, from a body or a query string.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;

use percent_encoding::percent_decode;

/// The parameters of a query protocol, sorted by name. The last of several with one name counts.
#[derive(Debug, Default)]
pub(crate) struct Form(BTreeMap<String, String>);

impl Form {
    pub fn parse(parts: &[&[u8]]) -> Form {
        let mut parameters = BTreeMap::new();
        for part in parts {
            for pair in part.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
                let (name, value) = match pair.iter().position(|byte| *byte == b'=') {
                    Some(at) => (&pair[..at], &pair[at + 1..]),
                    None => (pair, &[][..]),
                };
                parameters.insert(decoded(name), decoded(value));
            }
        }
        Form(parameters)
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// True when the parameter, or anything below it, is present.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some() || self.below(name).next().is_some()
    }

    /// The numbers `N` for which `name.N` or anything below it is present, ascending.
    pub fn indices(&self, name: &str) -> Vec<u32> {
        let mut indices: Vec<u32> = self.below(name).filter_map(|rest| rest.split('.').next()?.parse().ok()).collect();
        indices.sort_unstable();
        indices.dedup();
        indices
    }

    /// What stands after `name.` in every parameter that begins so.
    fn below<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let prefix = format!("{name}.");
        let length = prefix.len();
        self.0
            .range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded))
            .map(|(name, _)| name.as_str())
            .take_while({
                let prefix = prefix.clone();
                move |name| name.starts_with(&prefix)
            })
            .map(move |name| &name[length..])
    }
}

/// In a form a plus sign is a space.
fn decoded(bytes: &[u8]) -> String {
    let spaced: Cow<[u8]> = if bytes.contains(&b'+') {
        bytes.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect()
    } else {
        bytes.into()
    };
    percent_decode(&spaced).decode_utf8_lossy().into_owned()
}
