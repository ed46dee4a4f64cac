//! `target/release/berth`: one program that carries the shim, the OCI runtime and the sample image inside itself.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::{sample_image, small};

/// What `programs/berth/build.rs` looks for in the folder that `BERTH_PARTS` names.
const PROGRAMS: [&str; 2] = ["berth-shim", "berth-oci"];

pub fn command(workspace: &Path) -> anyhow::Result<()> {
    let parts = workspace.join("target/parts");
    fs::create_dir_all(&parts).with_context(|| format!("failed to create {}", parts.display()))?;
    let built = small::build(workspace, &["berth-shim", "berth-oci", "berth-sample"])?;
    for program in PROGRAMS {
        replace(&built.join(program), &parts.join(program))?;
    }
    let samples = workspace.join("target/sample");
    sample_image::write(&built.join("berth-sample"), &samples, &sample_image::VERSIONS)?;
    for version in sample_image::VERSIONS {
        let name = format!("{}-{version}.tar", sample_image::REPOSITORY);
        replace(&samples.join(&name), &parts.join(&name))?;
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(workspace)
        .args(["build", "--release", "--package", "berth"])
        .env("BERTH_PARTS", &parts)
        .status()
        .context("failed to start cargo")?;
    ensure!(status.success(), "cargo build of berth failed");
    Ok(())
}

/// Copies only what differs, so that an unchanged part does not build `berth` again.
fn replace(from: &Path, to: &Path) -> anyhow::Result<()> {
    let new = fs::read(from).with_context(|| format!("failed to read {}", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == new) {
        return Ok(());
    }
    fs::write(to, new).with_context(|| format!("failed to write {}", to.display()))
}
