//! What the compiler cannot check.

use std::path::Path;

use anyhow::Result;

pub fn check(_workspace: &Path) -> Result<()> {
    Ok(())
}
