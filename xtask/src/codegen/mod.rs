//! Writes `api/`: one crate per AWS service, from the service models inside botocore.
//!
//! Only interface facts are written (names, types, constraints, protocol traits), never the documentation texts.
//! [`botocore`] finds and reads a model, [`patches`] mends it, [`names`] says how things are called in Rust, and
//! [`emit`] writes the files; [`compatibility`] writes the public table of what is served. The files pass through rustfmt, so the formatter of the workspace has nothing to add.

mod botocore;
mod compatibility;
mod emit;
mod names;
mod patches;
mod plan;
mod shapes;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// `api/operations.toml`.
#[derive(Deserialize)]
struct Served {
    /// The pinned version.
    botocore: String,
    #[serde(flatten)]
    services: BTreeMap<String, ServedService>,
}

#[derive(Deserialize)]
struct ServedService {
    operations: Vec<String>,
}

/// Path from the workspace, and content.
type Files = BTreeMap<String, String>;

pub fn write(workspace: &Path) -> Result<()> {
    for (path, content) in generate(workspace)? {
        let path = workspace.join(path);
        if fs::read_to_string(&path).is_ok_and(|old| old == content) {
            continue;
        }
        fs::create_dir_all(path.parent().context("a generated file lies in a folder")?)?;
        fs::write(&path, content).with_context(|| format!("failed to write {}", path.display()))?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

/// Fails when `write` would change anything.
pub fn check(workspace: &Path) -> Result<()> {
    let mut stale = Vec::new();
    for (path, content) in generate(workspace)? {
        if !fs::read_to_string(workspace.join(&path)).is_ok_and(|old| old == content) {
            stale.push(path);
        }
    }
    if !stale.is_empty() {
        bail!(
            "these files differ from what `cargo xtask codegen` writes; run it and commit them: {}",
            stale.join(", ")
        );
    }
    Ok(())
}

fn generate(workspace: &Path) -> Result<Files> {
    let path = workspace.join("api/operations.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let served: Served = toml::from_str(&text).with_context(|| format!("failed to parse {}", path.display()))?;
    let models = botocore::Models::find(workspace, &served.botocore)?;
    let mut files = Files::new();
    let mut table = compatibility::Table::new(&served.botocore);
    for (name, service) in &served.services {
        let generated = (|| {
            let mut model = models.load(name)?;
            patches::apply(name, &mut model);
            let plan = plan::Plan::new(name, model, &service.operations)?;
            table.add(&plan);
            emit::service(&plan)
        })();
        for (file, content) in generated.with_context(|| format!("failed to generate api/{name}"))? {
            let content = if file.ends_with(".rs") { formatted(&content)? } else { content };
            files.insert(format!("api/{name}/{file}"), content);
        }
    }
    files.insert("docs/compatibility.md".to_owned(), table.finish());
    Ok(files)
}

/// Runs rustfmt with the workspace's settings, which are repeated here because input from a pipe has no folder.
fn formatted(source: &str) -> Result<String> {
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024", "--config", "max_width=120,use_small_heuristics=Max"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("failed to run rustfmt; install it with `rustup component add rustfmt`")?;
    let mut stdin = child.stdin.take().context("rustfmt has a standard input")?;
    let input = source.to_owned();
    let feeder = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    feeder.join().map_err(|_| anyhow::anyhow!("the thread that feeds rustfmt panicked"))??;
    if !output.status.success() {
        bail!("rustfmt refused generated code");
    }
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree that differs from its generator misleads every reader.
    #[test]
    fn the_tree_is_what_the_generator_writes() {
        check(&crate::workspace()).unwrap();
    }
}
