//! What the compiler cannot check: the map of the workspace, and the manners of its files.
//!
//! [`arrows`] says which crate may know which; [`files`] says how a file begins and how long it may be. Every rule
//! gives complaints as text, so that one run shows all of them. [`stop_words`] keeps a table of the documentation true.

mod arrows;
mod files;
mod stop_words;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

pub fn check(workspace: &Path) -> Result<()> {
    let packages = packages(workspace)?;
    let mut complaints = arrows::complaints(&packages);
    for package in &packages {
        complaints.extend(files::complaints(workspace, package)?);
    }
    complaints.extend(stop_words::complaints(workspace)?);
    if complaints.is_empty() {
        return Ok(());
    }
    bail!("{} untidy things:\n{}", complaints.len(), complaints.join("\n"));
}

/// A member of the workspace.
struct Package {
    name: String,
    folder: PathBuf,
    /// Of the program itself; what tests and build scripts use is their own affair.
    dependencies: BTreeMap<String, toml::Value>,
    inherits_lints: bool,
}

#[derive(Deserialize)]
struct Manifest {
    package: PackageTable,
    #[serde(default)]
    dependencies: BTreeMap<String, toml::Value>,
    #[serde(default)]
    lints: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
struct PackageTable {
    name: String,
}

/// The folders whose children are members, as in the root manifest.
const ROOMS: [&str; 5] = ["api", "crates", "services", "programs", "testing"];

fn packages(workspace: &Path) -> Result<Vec<Package>> {
    let mut folders = vec![workspace.join("xtask")];
    for room in ROOMS {
        let room = workspace.join(room);
        for entry in fs::read_dir(&room).with_context(|| format!("failed to list {}", room.display()))? {
            let folder = entry?.path();
            if folder.join("Cargo.toml").exists() {
                folders.push(folder);
            }
        }
    }
    folders.sort();
    folders.into_iter().map(read).collect()
}

fn read(folder: PathBuf) -> Result<Package> {
    let path = folder.join("Cargo.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let manifest: Manifest = toml::from_str(&text).with_context(|| format!("failed to parse {}", path.display()))?;
    Ok(Package {
        name: manifest.package.name,
        folder,
        dependencies: manifest.dependencies,
        inherits_lints: manifest.lints.get("workspace").and_then(toml::Value::as_bool) == Some(true),
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_workspace_is_tidy() {
        if let Err(untidy) = super::check(&crate::workspace()) {
            panic!("{untidy:#}");
        }
    }
}
