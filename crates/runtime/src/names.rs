//! Names of tasks and containers. They become names of directories and cgroups, so they are checked once, here.

use std::fmt;
use std::str::FromStr;

/// The longest name: with a suffix it must fit into a file name.
const NAME_BYTES_MAX: usize = 200;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a name: letters, digits, '-', '_' and '.', not first '.', at most {NAME_BYTES_MAX} bytes")]
pub struct InvalidName(pub String);

fn check(name: &str) -> Result<(), InvalidName> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let good = !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.starts_with('.') && name.bytes().all(allowed);
    if good { Ok(()) } else { Err(InvalidName(name.to_owned())) }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(String);

        impl $type {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;

            fn from_str(name: &str) -> Result<Self, InvalidName> {
                check(name).map(|()| $type(name.to_owned()))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A task's name, unique on this machine.
    TaskId
);
name!(
    /// A container's name, unique in its task.
    ContainerId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_lead_out_of_its_directory() {
        for name in ["", ".", "..", ".hidden", "a/b", "a b", "ž", "a\n", &"x".repeat(201)] {
            assert_eq!(name.parse::<TaskId>(), Err(InvalidName(name.to_owned())), "{name:?}");
        }
        for name in ["web", "0123abcd", "a.b-c_D", "x"] {
            assert_eq!(name.parse::<ContainerId>().unwrap().as_str(), name);
        }
    }
}
