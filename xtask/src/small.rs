//! The small programs: static, stripped, and built for size, because one of them stays beside every task.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// Builds packages with everything in them, and returns the folder of their programs.
pub fn build(workspace: &Path, packages: &[&str]) -> anyhow::Result<PathBuf> {
    // The target is named, though it is this machine's own: only then do the flags spare build scripts and
    // macros, which cannot be static.
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let folder = workspace.join("target/small");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(workspace)
        .args(["build", "--profile", "small", "--target", &target])
        .args(packages.iter().flat_map(|package| ["--package", package]))
        .arg("--target-dir")
        .arg(&folder)
        .env("RUSTFLAGS", "-C target-feature=+crt-static -C relocation-model=static")
        .status()
        .context("failed to start cargo")?;
    ensure!(status.success(), "cargo build of {} failed", packages.join(", "));
    Ok(folder.join(target).join("small"))
}
