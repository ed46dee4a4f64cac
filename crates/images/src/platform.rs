//! Which machine an image is for.

use std::fmt;

use serde::Deserialize;

/// An operating system and a processor, in the words of the image specification.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
    #[serde(default)]
    pub variant: Option<String>,
}

impl Platform {
    pub fn linux(architecture: &str) -> Platform {
        Platform { os: "linux".to_owned(), architecture: architecture.to_owned(), variant: None }
    }

    /// The machine that this program was built for.
    pub fn host() -> Platform {
        Platform::linux(match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        })
    }

    /// Whether an image for `offered` runs here. Only the first variant of a processor is taken for granted.
    pub(crate) fn accepts(&self, offered: &Platform) -> bool {
        let variant_is_plain = matches!(
            (offered.architecture.as_str(), offered.variant.as_deref()),
            (_, None | Some("")) | ("arm64", Some("v8")) | ("amd64", Some("v1"))
        );
        self.os == offered.os
            && self.architecture == offered.architecture
            && (variant_is_plain || self.variant == offered.variant)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}
