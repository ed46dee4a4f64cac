//! The image that the load runs: one static program, compiled here, in an OCI layout.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::json;

pub const NAME: &str = "crash:1";

/// Compiles the program and writes the layout; returns its folder.
pub fn write(dir: &Path) -> anyhow::Result<PathBuf> {
    let (source, program) = (dir.join("program.c"), dir.join("program"));
    fs::write(&source, include_str!("program.c")).context("failed to write the program's source")?;
    let compiled = Command::new("cc").args(["-static", "-O1", "-o"]).arg(&program).arg(&source).status();
    ensure!(compiled.context("failed to start cc")?.success(), "the program does not compile");
    let layer = layer(&fs::read(&program)?)?;
    let settings = json!({ "Entrypoint": ["/program"], "Env": ["PATH=/"], "StopSignal": "SIGTERM" });
    let folder = dir.join("image");
    kit::image::write_layout(&folder, NAME, &settings, &layer)?;
    Ok(folder)
}

fn layer(program: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |path: &str, kind, bytes: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(bytes.len() as u64);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        builder.append_data(&mut header, path, bytes)
    };
    add("marks/", tar::EntryType::Directory, b"")?;
    add("program", tar::EntryType::Regular, program)?;
    builder.into_inner()
}
