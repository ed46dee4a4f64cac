//! `berth image`: the images of the node on this machine, over its socket.
//!
//! A node reads archives itself, from the path that it is told; so they may be as large as they like.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use shape::Timestamp;
use thiserror::Error;

use super::node::Node;
use super::output::Output;
use super::table::{Cell, Table};
use super::words::{age, bytes};
use super::{note, now};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Brings archives to the node: what `docker save` writes, or an OCI layout.
    Load(LoadArgs),
    /// What images the node has.
    #[command(visible_alias = "list")]
    Ls(LsArgs),
    /// Forgets a name; the bytes go when nothing needs them.
    Rm(RmArgs),
}

#[derive(clap::Args)]
pub struct LoadArgs {
    /// A tar archive, or the folder of an OCI layout.
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    data: DataDir,
}

#[derive(clap::Args)]
pub struct LsArgs {
    #[command(flatten)]
    data: DataDir,
}

#[derive(clap::Args)]
pub struct RmArgs {
    /// As `berth image ls` shows it.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    data: DataDir,
}

#[derive(clap::Args)]
struct DataDir {
    /// The data directory of `berth up` or `berth agent` on this machine.
    #[arg(long, env = "BERTH_DATA_DIR", default_value = "/var/lib/berth", value_name = "DIR")]
    data_dir: PathBuf,
}

#[derive(Debug, Error)]
pub enum ImageError {
    #[error("cannot read {path}")]
    Unreadable { path: String, source: std::io::Error },
    #[error("{failed} of {all} failed")]
    Some { failed: usize, all: usize },
}

/// The answer to a loaded archive.
#[derive(Deserialize)]
struct Loaded {
    names: Vec<String>,
    digest: String,
}

#[derive(Deserialize)]
struct Listed {
    images: Vec<Image>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Image {
    name: String,
    digest: String,
    size: u64,
    #[serde(default)]
    created_at: CreatedAt,
}

/// Seconds since 1970, or a text that says it in its own way.
#[derive(Default, Deserialize)]
#[serde(untagged)]
enum CreatedAt {
    Seconds(f64),
    Text(String),
    #[default]
    Unknown,
}

pub async fn run(command: Command) -> anyhow::Result<()> {
    let mut output = Output::new();
    match command {
        Command::Load(args) => load(&Node::of(args.data.data_dir), &args.paths, &mut output).await,
        Command::Ls(args) => list(&Node::of(args.data.data_dir), &mut output).await,
        Command::Rm(args) => remove(&Node::of(args.data.data_dir), &args.names, &mut output).await,
    }
}

/// Each archive by itself: one that is broken does not keep the others away.
async fn load(node: &Node, paths: &[PathBuf], output: &mut Output) -> anyhow::Result<()> {
    let mut failed = Vec::new();
    for path in paths {
        match load_one(node, path).await {
            Ok(line) => output.write(&line)?,
            Err(error) => failed.push(error),
        }
    }
    finish(failed, paths.len())
}

async fn load_one(node: &Node, path: &Path) -> anyhow::Result<String> {
    let unreadable = |source| ImageError::Unreadable { path: path.display().to_string(), source };
    let path = std::fs::canonicalize(path).map_err(unreadable)?;
    let loaded: Loaded = node.load(&path).await?;
    let names = if loaded.names.is_empty() { "an image without a name".to_owned() } else { loaded.names.join(", ") };
    Ok(format!("loaded {names} ({})\n", loaded.digest))
}

async fn list(node: &Node, output: &mut Output) -> anyhow::Result<()> {
    let listed: Listed = node.list().await?;
    let text = match listed.images.is_empty() {
        true => "This node has no images. `berth image load FILE` brings one; a task pulls what it needs.\n".to_owned(),
        false => table(listed.images, now()).render(output.paint),
    };
    Ok(output.write(&text)?)
}

async fn remove(node: &Node, names: &[String], output: &mut Output) -> anyhow::Result<()> {
    let mut failed = Vec::new();
    for name in names {
        match node.remove(name).await {
            Ok(()) => output.write(&format!("removed {name}\n"))?,
            Err(error) => failed.push(error),
        }
    }
    finish(failed, names.len())
}

/// One of one speaks for itself.
fn finish(mut failed: Vec<anyhow::Error>, all: usize) -> anyhow::Result<()> {
    match (failed.len(), all) {
        (0, _) => Ok(()),
        (1, 1) => Err(failed.remove(0)),
        (some, _) => {
            failed.iter().for_each(|error| note(&format!("{error:#}")));
            Err(ImageError::Some { failed: some, all }.into())
        }
    }
}

fn table(mut images: Vec<Image>, now: Timestamp) -> Table {
    images.sort_by(|one, other| one.name.cmp(&other.name));
    let mut table = Table::new(&["NAME", "DIGEST", "SIZE", "CREATED"]);
    for image in images {
        let created = match image.created_at {
            CreatedAt::Seconds(seconds) => format!("{} ago", age(Some(Timestamp::from_seconds_f64(seconds)), now)),
            CreatedAt::Text(text) => text,
            CreatedAt::Unknown => String::new(),
        };
        let digest = short_digest(&image.digest).to_owned();
        table.row(vec![Cell::new(image.name), Cell::new(digest), Cell::new(bytes(image.size)), Cell::new(created)]);
    }
    table
}

/// As much as docker shows.
fn short_digest(digest: &str) -> &str {
    let end = digest.find(':').map_or(12, |colon| colon + 13);
    digest.get(..end).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::paint::Paint;
    use super::*;

    #[test]
    fn images_by_name() {
        let answer = r#"{"images": [
            {"name": "web:1", "digest": "sha256:0123456789abcdef0123", "size": 7340032, "createdAt": 1000},
            {"name": "app:2", "digest": "short", "size": 12, "createdAt": "2026-01-01T00:00:00Z"},
            {"name": "old:3", "digest": "sha256:ff", "size": 999}
        ]}"#;
        let listed: Listed = serde_json::from_str(answer).unwrap();
        let text = table(listed.images, Timestamp::from_millis(1_300_000)).render(Paint::Plain);
        expect![[r#"
            NAME   DIGEST               SIZE     CREATED
            app:2  short                12 B     2026-01-01T00:00:00Z
            old:3  sha256:ff            999 B    -
            web:1  sha256:0123456789ab  7.0 MiB  5m ago
        "#]]
        .assert_eq(&text);
    }
}
