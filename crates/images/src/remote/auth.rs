//! Logins, and the challenges that ask for them.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Who pulls.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Auth {
    #[default]
    Anonymous,
    /// A user name and password, also what ECR's authorization token decodes to.
    Basic { username: String, password: String },
}

/// A password is never printed.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Auth::Anonymous => f.write_str("Anonymous"),
            Auth::Basic { username, .. } => write!(f, "Basic({username})"),
        }
    }
}

impl Auth {
    /// The value of an `Authorization` header.
    pub(super) fn basic(&self) -> Option<String> {
        match self {
            Auth::Anonymous => None,
            Auth::Basic { username, password } => {
                Some(format!("Basic {}", STANDARD.encode(format!("{username}:{password}"))))
            }
        }
    }
}

/// How a registry wants to be convinced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String>, error: Option<String> },
}

impl Challenge {
    /// Reads one `WWW-Authenticate` header, the first challenge that we can answer.
    ///
    /// Source: RFC 9110, "WWW-Authenticate"; the Docker registry's token authentication.
    pub(super) fn parse(header: &str) -> Option<Challenge> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Challenge::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut parameters = parameters(rest);
        Some(Challenge::Bearer {
            realm: parameters.remove("realm")?,
            service: parameters.remove("service"),
            scope: parameters.remove("scope"),
            error: parameters.remove("error"),
        })
    }
}

/// `name=value` or `name="quoted, value"`, with commas between.
fn parameters(text: &str) -> BTreeMap<String, String> {
    let mut parameters = BTreeMap::new();
    let mut rest = text;
    while let Some((name, value)) = rest.split_once('=') {
        let name = name.trim_matches([',', ' ', '\t']).to_ascii_lowercase();
        if let Some(quoted) = value.strip_prefix('"') {
            let mut unquoted = String::new();
            let mut characters = quoted.char_indices();
            let mut end = quoted.len();
            while let Some((at, character)) = characters.next() {
                match character {
                    '"' => {
                        end = at + 1;
                        break;
                    }
                    '\\' => unquoted.extend(characters.next().map(|(_, escaped)| escaped)),
                    other => unquoted.push(other),
                }
            }
            parameters.insert(name, unquoted);
            rest = &quoted[end..];
        } else {
            let (value, after) = value.split_once(',').unwrap_or((value, ""));
            parameters.insert(name, value.trim().to_owned());
            rest = after;
        }
    }
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let bearer = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push", error=insufficient_scope"#;
        assert_eq!(
            Challenge::parse(bearer),
            Some(Challenge::Bearer {
                realm: "https://auth.docker.io/token".to_owned(),
                service: Some("registry.docker.io".to_owned()),
                scope: Some("repository:a/b:pull,push".to_owned()),
                error: Some("insufficient_scope".to_owned()),
            })
        );
        assert_eq!(Challenge::parse("Basic realm=\"x\""), Some(Challenge::Basic));
        assert_eq!(Challenge::parse("basic"), Some(Challenge::Basic));
        for other in ["", "Negotiate", "Bearer", "Bearer service=x", "Bearer realm"] {
            assert_eq!(Challenge::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let auth = Auth::Basic { username: "AWS".to_owned(), password: "secret".to_owned() };
        assert_eq!(format!("{auth:?}"), "Basic(AWS)");
        assert_eq!(auth.basic().unwrap(), "Basic QVdTOnNlY3JldA==");
    }
}
