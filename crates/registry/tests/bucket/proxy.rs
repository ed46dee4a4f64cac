//! A connection to the S3 server that breaks as it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// Nobody is there.
    Down,
    /// So many requests are answered with 500, and then all is well.
    Fails(u32),
    /// So many answers break off after so many bytes.
    Cut {
        times: u32,
        after: usize,
    },
}

#[derive(Clone)]
pub struct Proxy {
    pub address: SocketAddr,
    mode: Arc<Mutex<Mode>>,
}

impl Proxy {
    pub async fn to(server: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy { address: listener.local_addr().unwrap(), mode: Arc::new(Mutex::new(Mode::Pass)) };
        let mode = proxy.mode.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(carry(client, server, mode.clone()));
            }
        });
        proxy
    }

    pub fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    pub fn mode(&self) -> Mode {
        *self.mode.lock().unwrap()
    }
}

/// What happens to one answer, and what is left of the trouble.
fn next(mode: &Mutex<Mode>) -> Mode {
    let mut mode = mode.lock().unwrap();
    let now = *mode;
    match &mut *mode {
        Mode::Fails(times) | Mode::Cut { times, .. } if *times > 1 => *times -= 1,
        Mode::Fails(_) | Mode::Cut { .. } => *mode = Mode::Pass,
        Mode::Pass | Mode::Down => {}
    }
    now
}

/// One connection; the mode is looked at with every piece, so that connections which rest break too.
async fn carry(mut client: TcpStream, server: SocketAddr, mode: Arc<Mutex<Mode>>) -> std::io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    let (mut up, mut down) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut is_new_request = true;
    let mut left = usize::MAX;
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let count = read?;
                if count == 0 {
                    return Ok(());
                }
                if *mode.lock().unwrap() == Mode::Down {
                    return Ok(());
                }
                if is_new_request {
                    is_new_request = false;
                    match next(&mode) {
                        Mode::Fails(_) => {
                            let text = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                            client.write_all(text.as_bytes()).await?;
                            return client.shutdown().await;
                        }
                        Mode::Cut { after, .. } => left = after,
                        Mode::Pass | Mode::Down => {}
                    }
                }
                server.write_all(&up[..count]).await?;
            }
            read = server.read(&mut down) => {
                let count = read?;
                if count == 0 || *mode.lock().unwrap() == Mode::Down {
                    return Ok(());
                }
                is_new_request = true;
                let sent = count.min(left);
                client.write_all(&down[..sent]).await?;
                left -= if left == usize::MAX { 0 } else { sent };
                if left == 0 {
                    return Ok(());
                }
            }
        }
    }
}
