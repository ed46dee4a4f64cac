//! The wildcards of `parse` as a regular expression.

use regex::{Regex, RegexBuilder};

use crate::limits::REGEX_BYTES_MAX;

/// Each `*` takes as little as possible, and one at the end takes the rest.
pub(super) fn of_glob(glob: &str) -> Result<Regex, regex::Error> {
    let mut source = String::from("(?s)");
    // What begins with a wildcard begins at the beginning.
    if glob.starts_with('*') {
        source.push('^');
    }
    let parts: Vec<&str> = glob.split('*').collect();
    for (at, part) in parts.iter().enumerate() {
        source.push_str(&regex::escape(part));
        match parts.get(at + 1) {
            None => {}
            Some(&"") if at + 2 == parts.len() => source.push_str("(.*)"),
            Some(_) => source.push_str("(.*?)"),
        }
    }
    RegexBuilder::new(&source).size_limit(REGEX_BYTES_MAX).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(glob: &str, text: &str, expected: Option<&[&str]>) {
        let regex = of_glob(glob).unwrap();
        let found = regex.captures(text).map(|all| all.iter().skip(1).flatten().map(|one| one.as_str()).collect());
        assert_eq!(found, expected.map(<[_]>::to_vec), "{glob} on {text}");
    }

    #[test]
    fn wildcards_take_little_and_the_last_takes_the_rest() {
        check(
            "user=*, method:*, latency := *",
            "x user=bob, method:GET, latency := 12 ms",
            Some(&["bob", "GET", "12 ms"]),
        );
        check("[*] *", "[INFO] a [b]\nc", Some(&["INFO", "a [b]\nc"]));
        check("* - *", "a - b - c", Some(&["a", "b - c"]));
        check("(*)", "no (yes) no", Some(&["yes"]));
        check("(*)", "none", None);
        check("*", "all of it", Some(&["all of it"]));
        check("a.b*", "axb1 a.b2", Some(&["2"]));
    }
}
