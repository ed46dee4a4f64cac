//! Where a control plane answers, and where it may.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::ValueEnum;
use controlplane::Tls;
use tokio::net::TcpListener;

pub const DEFAULT: &str = "127.0.0.1:4566";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Auth {
    /// Whoever reaches the server may do everything. On loopback only.
    Open,
    /// Signatures and policies are enforced.
    Iam,
}

/// Show a certificate to who connects over TLS. Plain HTTP is answered on the same port.
#[derive(clap::Args)]
pub struct TlsArgs {
    /// The certificate in PEM, followed by those that signed it. RSA, for ECS agents that speak TLS 1.2.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// Its key in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
}

impl TlsArgs {
    pub fn read(&self) -> anyhow::Result<Option<Tls>> {
        match (&self.tls_certificate, &self.tls_key) {
            (Some(certificate), Some(key)) => Ok(Some(Tls::read(certificate, key)?)),
            _ => Ok(None),
        }
    }
}

/// Binds the address, if the kind of authentication allows it.
pub async fn bind(address: SocketAddr, auth: Auth) -> anyhow::Result<TcpListener> {
    permit(address, auth)?;
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "port {} of {} is taken by another program: stop that one, or give another --listen",
            address.port(),
            address.ip()
        ),
        std::io::ErrorKind::AddrNotAvailable => {
            anyhow::anyhow!("{} is not an address of this machine: give another --listen", address.ip())
        }
        _ => anyhow::Error::new(error).context(format!("cannot listen on {address}")),
    })
}

fn permit(address: SocketAddr, auth: Auth) -> anyhow::Result<()> {
    match auth {
        Auth::Iam => bail!("--auth iam is not available in this version; without it Berth listens on loopback only"),
        Auth::Open if !address.ip().is_loopback() => bail!(
            "{address} can be reached from other machines, and open mode lets everybody do everything: \
             listen on 127.0.0.1, or give --auth iam"
        ),
        Auth::Open => Ok(()),
    }
}

/// The URL of a server that was asked to listen there.
pub fn url(listener: &TcpListener) -> anyhow::Result<String> {
    Ok(format!("http://{}", listener.local_addr().context("cannot tell where we listen")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_mode_stays_on_loopback() {
        let refused = |address: &str, auth| permit(address.parse().unwrap(), auth).err().map(|error| error.to_string());
        assert_eq!(refused("127.0.0.1:4566", Auth::Open), None);
        assert_eq!(refused("[::1]:4566", Auth::Open), None);
        assert!(refused("0.0.0.0:4566", Auth::Open).unwrap().contains("open mode"));
        assert!(refused("10.1.2.3:4566", Auth::Iam).unwrap().contains("not available"));
    }

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let first = bind("127.0.0.1:0".parse().unwrap(), Auth::Open).await.unwrap();
        let address = first.local_addr().unwrap();
        let refused = bind(address, Auth::Open).await.err().unwrap().to_string();
        assert!(refused.contains(&address.port().to_string()) && refused.contains("--listen"), "{refused}");
    }
}
