//! The image of the sample application: one static program and nothing else.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::json;

use crate::oci_layout::{self, Image, LayerFile};
use crate::small;

pub const REPOSITORY: &str = "hello-world";
pub const VERSIONS: [&str; 2] = ["1", "2"];
/// One line, so that programs which ask who they are get an answer.
const PASSWD: &[u8] = b"root:x:0:0:root:/:/berth-sample\n";

/// `sample-image [--version 1|2] [--out DIR]`: both versions, to `target/sample`, unless told otherwise.
pub fn command(workspace: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let mut versions = VERSIONS.to_vec();
    let mut out = workspace.join("target/sample");
    let mut rest = arguments.iter();
    while let Some(option) = rest.next() {
        let value = rest.next().with_context(|| format!("{option} needs a value"))?;
        match *option {
            "--version" if VERSIONS.contains(value) => versions = vec![*value],
            "--version" => bail!("there are versions 1 and 2, not `{value}`"),
            "--out" => out = PathBuf::from(value),
            _ => bail!("usage: cargo xtask sample-image [--version 1|2] [--out DIR]"),
        }
    }
    let program = small::build(workspace, &["berth-sample"])?.join("berth-sample");
    write(&program, &out, &versions)
}

/// Packs the built program as an image of each version: a folder and a tar in `out`.
pub fn write(program: &Path, out: &Path, versions: &[&str]) -> anyhow::Result<()> {
    let program = fs::read(program).with_context(|| format!("failed to read {}", program.display()))?;
    for version in versions {
        let name = format!("{REPOSITORY}:{version}");
        let folder = out.join(format!("{REPOSITORY}-{version}"));
        let layer = [
            LayerFile { path: "berth-sample", mode: 0o755, bytes: &program },
            LayerFile { path: "etc/passwd", mode: 0o644, bytes: PASSWD },
        ];
        let image = Image { name: &name, architecture: architecture()?, config: config(version), files: &layer };
        oci_layout::write(&oci_layout::files(&image)?, &folder)?;
        println!("{name} is in {} and {}.tar", folder.display(), folder.display());
    }
    Ok(())
}

fn config(version: &str) -> serde_json::Value {
    json!({
        "Entrypoint": ["/berth-sample"],
        "Env": ["PATH=/", format!("SAMPLE_VERSION={version}")],
        "ExposedPorts": { "80/tcp": {} },
        "Labels": {
            "org.opencontainers.image.title": REPOSITORY,
            "org.opencontainers.image.version": version,
            "org.opencontainers.image.licenses": "Apache-2.0",
        },
        "WorkingDir": "/",
    })
}

/// The name that images have for the processor that we build for.
fn architecture() -> anyhow::Result<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        other => bail!("the sample is not built for {other}"),
    }
}
