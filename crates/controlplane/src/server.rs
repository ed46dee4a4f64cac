//! Everything on one port.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use serde_json::{Value, json};
use state::Ledger;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use wire::Gateway;

use crate::agents::{self, Hub};
use crate::doors::{Doors, Scheme, Tls, tell_scheme};

/// How long requests under way may still take when the server leaves.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

pub(crate) fn router(gateway: Arc<Gateway>, hub: Arc<Hub>, others: Router) -> Router {
    let own = Router::new()
        .route("/acs/ws", get(agents::acs))
        .route("/tcs/ws", get(agents::tcs))
        .route("/_berth/health", get(health))
        .route("/_berth/usage", get(usage))
        .with_state(hub);
    let aws = Router::new().fallback(move |request: Request| {
        let gateway = gateway.clone();
        async move { gateway.handle(request).await }
    });
    own.merge(others).fallback_service(aws)
}

/// Answers as soon as the records are loaded, which they are before anybody can ask.
async fn health(State(hub): State<Arc<Hub>>) -> Json<Value> {
    let snapshot = hub.ledger.snapshot();
    Json(json!({
        "status": "ok",
        "version": env!("CARGO_PKG_VERSION"),
        "revision": snapshot.revision.0,
        "containerInstances": snapshot.container_instances.len(),
    }))
}

async fn usage(State(hub): State<Arc<Hub>>) -> Response {
    Json(hub.usage.json(hub.clock.now())).into_response()
}

/// A server that answers.
pub struct Served {
    leave: watch::Sender<bool>,
    serving: JoinHandle<io::Result<()>>,
}

/// Answers on a bound socket until it is told to leave.
pub fn serve(listener: TcpListener, router: Router) -> Served {
    let (leave, mut left) = watch::channel(false);
    // Small answers must not wait for a timer of the kernel.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let asked = async move { drop(left.wait_for(|leave| *leave).await) };
    let serving = tokio::spawn(axum::serve(listener, router).with_graceful_shutdown(asked).into_future());
    Served { leave, serving }
}

/// The same, over TLS or without it, as whoever connects begins.
pub fn serve_tls(listener: TcpListener, tls: Tls, router: Router) -> io::Result<Served> {
    let (leave, mut left) = watch::channel(false);
    let doors = Doors::open(listener, tls)?;
    let service = router.layer(axum::middleware::from_fn(tell_scheme)).into_make_service_with_connect_info::<Scheme>();
    let asked = async move { drop(left.wait_for(|leave| *leave).await) };
    let serving = tokio::spawn(axum::serve(doors, service).with_graceful_shutdown(asked).into_future());
    Ok(Served { leave, serving })
}

impl Served {
    /// Takes no new connections, and waits a moment for what is under way.
    pub async fn leave(mut self) {
        self.leave.send_replace(true);
        if tokio::time::timeout(LEAVE_WITHIN, &mut self.serving).await.is_err() {
            // Websockets of agents and followers of logs never end by themselves.
            self.serving.abort();
        }
    }
}
