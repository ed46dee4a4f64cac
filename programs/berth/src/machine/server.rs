//! `berth server`: a control plane without a node.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::bulk::BulkArgs;
use super::control::Control;
use super::dirs::{self, DataDir};
use super::leave::Leave;
use super::listen::{self, Auth, TlsArgs};
use super::retention::RetentionArgs;
use super::slim;

#[derive(clap::Args)]
pub struct Args {
    /// Where the records are: `sqlite:PATH`; the data directory's store.db when absent.
    #[arg(long, value_name = "ENGINE")]
    store: Option<String>,
    /// Where to answer.
    #[arg(long, value_name = "ADDRESS", default_value = listen::DEFAULT)]
    listen: SocketAddr,
    /// Who may do what.
    #[arg(long, value_enum, default_value = "open")]
    auth: Auth,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    retention: RetentionArgs,
    #[command(flatten)]
    bulk: BulkArgs,
    /// Let each task of a deployment pull its own image. Else the instances that will run a new deployment begin to pull when it begins.
    #[arg(long)]
    no_prepull: bool,
    /// Where everything is kept.
    #[arg(long, env = "BERTH_DATA_DIR", value_name = "DIR", default_value = dirs::DEFAULT)]
    data_dir: PathBuf,
}

/// Serves until it is told to leave.
pub async fn run(region: String, args: Args) -> anyhow::Result<()> {
    let mut leave = Leave::listen()?;
    let tls = args.tls.read()?;
    let dir = DataDir::take(&args.data_dir)?;
    let store = store_path(args.store.as_deref(), &dir)?;
    let bulk = args.bulk.open(&dir).await?;
    let listener = listen::bind(args.listen, args.auth).await?;
    let url = listen::url(&listener)?;
    let mut control = Control::start(&dir, &store, listener, tls, &region, args.retention.read(), bulk).await?;
    if !args.no_prepull {
        control.plane.prepull_images();
    }
    let mut out = std::io::stdout();
    let _ = writeln!(
        out,
        "The control plane answers at {url}. A node joins with: berth agent --server {url} --cluster default"
    );
    // Where a node shares the blobs, it is the node that makes room.
    let tidy = tokio::spawn(control.registry.clone().keep_tidy());
    tokio::select! {
        () = leave.asked() => {}
        () = slim::program() => {}
    }
    tidy.abort();
    control.leave().await;
    Ok(())
}

fn store_path(engine: Option<&str>, dir: &DataDir) -> anyhow::Result<PathBuf> {
    match engine.map(|engine| engine.split_once(':').unwrap_or((engine, ""))) {
        None => Ok(dir.store()),
        Some(("sqlite", path)) if !path.is_empty() => {
            let path = Path::new(path);
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
            Ok(path.to_owned())
        }
        Some(("etcd", _)) => bail!("the etcd engine is not available in this version; use sqlite:PATH"),
        Some(_) => bail!("a store is sqlite:PATH, not {}", engine.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_have_names() {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::take(folder.path()).unwrap();
        let path = |engine: Option<&str>| store_path(engine, &dir).map_err(|error| error.to_string());
        assert_eq!(path(None).unwrap(), dir.store());
        let other = folder.path().join("a/b.db");
        assert_eq!(path(Some(&format!("sqlite:{}", other.display()))).unwrap(), other);
        assert!(path(Some("etcd:h:2379")).unwrap_err().contains("not available"));
        assert!(path(Some("sqlite:")).unwrap_err().contains("sqlite:PATH"));
    }
}
