//! What is in a bucket, key by key, or folder by folder.

use std::sync::Arc;

use model::{Bucket, Object};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use state::Snapshot;

/// What to list.
pub(crate) struct Wanted<'a> {
    pub prefix: &'a str,
    pub delimiter: &'a str,
    /// The keys and folders after this one.
    pub after: &'a str,
    pub max: usize,
}

/// A page of a list, in the order of the keys.
#[derive(Default)]
pub(crate) struct Page {
    pub objects: Vec<Arc<Object>>,
    /// Keys up to and with the delimiter.
    pub folders: Vec<String>,
    /// The last key or folder of the page, when more come.
    pub next: Option<String>,
}

pub(crate) fn list(snapshot: &Snapshot, bucket: &Bucket, wanted: &Wanted) -> Page {
    let mut page = Page::default();
    let mut last = String::new();
    let all = format!("{}/{}", bucket.name, wanted.prefix);
    // A marker that ends with the delimiter stands for a folder, of which nothing more is said.
    let mut rest = match wanted.after.strip_prefix(wanted.prefix) {
        Some(rest) if is_folder(rest, wanted.delimiter) => Some(format!("{rest}{BEHIND}")),
        Some(rest) => Some(rest.to_owned()),
        // The prefix is behind the marker, or all before it.
        None if wanted.after < wanted.prefix => None,
        None => return page,
    };
    loop {
        let next = match &rest {
            None => snapshot.objects.range(&all).next(),
            Some(rest) => snapshot.objects.range_after(&all, rest).next(),
        };
        let Some(object) = next else { return page };
        if page.objects.len() + page.folders.len() == wanted.max {
            page.next = Some(last).filter(|_| wanted.max > 0);
            return page;
        }
        let below = &object.key[wanted.prefix.len()..];
        let folder = below.find(wanted.delimiter).filter(|_| !wanted.delimiter.is_empty());
        match folder {
            Some(at) => {
                let folder = &below[..at + wanted.delimiter.len()];
                last = format!("{}{folder}", wanted.prefix);
                page.folders.push(last.clone());
                rest = Some(format!("{folder}{BEHIND}"));
            }
            None => {
                last.clone_from(&object.key);
                page.objects.push(Arc::clone(object));
                rest = Some(below.to_owned());
            }
        }
    }
}

/// No key goes on with more than this.
const BEHIND: char = '\u{10FFFF}';

fn is_folder(rest: &str, delimiter: &str) -> bool {
    !delimiter.is_empty() && rest.ends_with(delimiter) && rest.find(delimiter) == Some(rest.len() - delimiter.len())
}

/// What `encoding-type=url` leaves as it is: as a path, so slashes too.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*').remove(b'/');

/// A key as a list says it.
pub(crate) fn said(text: &str, is_encoded: bool) -> String {
    if is_encoded { utf8_percent_encode(text, PLAIN).to_string() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use model::Scope;
    use shape::Timestamp;
    use state::Changes;

    use super::*;

    fn check(prefix: &str, delimiter: &str, max: usize, expected: &[&str]) {
        let bucket = Bucket {
            name: "b".into(),
            scope: Scope::new("000000000000", "us-east-1"),
            created_at: Timestamp::from_millis(0),
            is_closing: false,
        };
        let empty = Snapshot::default();
        let mut changes = Changes::new();
        for (bucket, key) in ["a", "a/1", "a/2", "a/b/3", "a0", "b/", "b/x", "é", "é/1"]
            .map(|key| ("b", key))
            .into_iter()
            .chain([("b2", "other")])
        {
            let object = Object {
                bucket: bucket.into(),
                key: key.into(),
                size: 0,
                etag: String::new(),
                modified_at: Timestamp::from_millis(0),
                content: Vec::new(),
                headers: Default::default(),
                checksum: None,
            };
            changes.put(&empty, &object);
        }
        let snapshot = empty.with(&changes, state::Revision(1)).unwrap();
        let mut pages = Vec::new();
        let mut after = String::new();
        loop {
            let page = list(&snapshot, &bucket, &Wanted { prefix, delimiter, after: &after, max });
            let objects = page.objects.iter().map(|object| object.key.clone());
            let mut said: Vec<String> =
                objects.chain(page.folders.iter().map(|folder| format!("[{folder}]"))).collect();
            said.sort();
            pages.push(said.join(" "));
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
        assert_eq!(pages, expected, "{prefix:?} {delimiter:?} {max}");
    }

    #[test]
    fn lists_and_folders_and_pages() {
        check("", "", 100, &["a a/1 a/2 a/b/3 a0 b/ b/x é é/1"]);
        check("", "", 4, &["a a/1 a/2 a/b/3", "a0 b/ b/x é", "é/1"]);
        check("", "/", 100, &["[a/] [b/] [é/] a a0 é"]);
        check("", "/", 1, &["a", "[a/]", "a0", "[b/]", "é", "[é/]"]);
        check("a/", "/", 2, &["a/1 a/2", "[a/b/]"]);
        check("a", "", 100, &["a a/1 a/2 a/b/3 a0"]);
        check("b/", "/", 100, &["b/ b/x"]);
        check("nothing", "/", 100, &[""]);
        check("", "/", 0, &[""]);
    }

    #[test]
    fn keys_as_they_are_said() {
        assert_eq!(said("a/b c+é\u{1}*", true), "a/b%20c%2B%C3%A9%01*");
        assert_eq!(said("a/b c", false), "a/b c");
    }
}
