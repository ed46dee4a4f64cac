//! How absent and `null` fields read: the same, as in the official agent's decoder.

use serde::{Deserialize, Deserializer};

/// `null` and absence both mean the type's default. Use with `#[serde(default)]`.
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
