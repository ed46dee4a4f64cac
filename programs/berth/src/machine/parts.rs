//! The small programs and the sample images that this program carries.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

mod embedded {
    include!(concat!(env!("OUT_DIR"), "/parts.rs"));
}

/// Where the small programs are.
pub struct Programs {
    pub shim: PathBuf,
    pub oci_runtime: PathBuf,
    /// For inside of containers: the shim's bytes, in a file that no shim was started from. None in a build without parts,
    /// whose programs need the libraries of this machine.
    pub init: Option<PathBuf>,
}

/// Writes the programs out into `folder`. A shim that runs keeps the file it was started from.
pub fn programs(folder: &Path) -> anyhow::Result<Programs> {
    Ok(Programs {
        shim: program(folder, "berth-shim", embedded::SHIM)?,
        oci_runtime: program(folder, "berth-oci", embedded::OCI_RUNTIME)?,
        init: embedded::SHIM.map(|bytes| program(folder, "docker-init", Some(bytes))).transpose()?,
    })
}

/// The archives of the sample's two versions; none in a build without parts.
pub fn samples() -> Vec<&'static [u8]> {
    [embedded::SAMPLE_1, embedded::SAMPLE_2].into_iter().flatten().collect()
}

fn program(folder: &Path, name: &str, bytes: Option<&[u8]>) -> anyhow::Result<PathBuf> {
    let Some(bytes) = bytes else { return beside(name) };
    let path = folder.join(name);
    if fs::read(&path).is_ok_and(|there| there == bytes) {
        return Ok(path);
    }
    let write = || {
        fs::create_dir_all(folder)?;
        // Aside and renamed: the old file may be running.
        let aside = folder.join(format!("{name}.new"));
        fs::write(&aside, bytes)?;
        fs::set_permissions(&aside, Permissions::from_mode(0o755))?;
        fs::rename(&aside, &path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// A plain `cargo build` puts all programs into one folder.
fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let path = own.with_file_name(name);
    anyhow::ensure!(
        path.exists(),
        "this berth was built without its small programs, and {} is not there; build it with `make build`",
        path.display()
    );
    Ok(path)
}
