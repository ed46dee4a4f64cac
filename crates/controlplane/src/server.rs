//! Everything on one port.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde_json::{Value, json};
use state::Ledger;
use tokio::net::TcpListener;
use wire::Gateway;
use wire::serve::Limits;

use crate::agents::{self, Hub};
use crate::doors::{Door, Doors, Tls, tell_scheme};

/// How long requests under way may still take when the server leaves.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

pub(crate) fn router(gateway: Arc<Gateway>, hub: Arc<Hub>, others: Router) -> Router {
    let own = Router::new()
        .route("/acs/ws", get(agents::acs))
        .route("/tcs/ws", get(agents::tcs))
        .route("/v1/data-channel/{session}", get(crate::exec::data_channel))
        .route("/_berth/health", get(health))
        .route("/_berth/usage", get(usage))
        .with_state(hub);
    // A bucket may be named like one of our paths, and a key in a bucket that the host names always may.
    let is_for_aws = gateway.clone();
    let aside = move |request: Request, next: Next| {
        let gateway = is_for_aws.clone();
        async move {
            let (parts, body) = request.into_parts();
            let is_for_aws = gateway.owns_paths(&parts);
            let request = Request::from_parts(parts, body);
            if is_for_aws { gateway.handle(request).await } else { next.run(request).await }
        }
    };
    let aws = Router::new().fallback(move |request: Request| {
        let gateway = gateway.clone();
        async move { gateway.handle(request).await }
    });
    own.merge(others).route_layer(from_fn(aside)).fallback_service(aws)
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

/// A server that answers; it stops accepting when it is dropped.
pub struct Served(wire::serve::Served);

/// Answers on a bound socket until it is told to leave.
pub fn serve(listener: TcpListener, router: Router) -> Served {
    Served(wire::serve::serve(listener, router, Limits::default()))
}

/// The same, over TLS or without it, as whoever connects begins.
pub fn serve_tls(listener: TcpListener, tls: Tls, router: Router) -> io::Result<Served> {
    let doors = Doors::open(listener, tls)?;
    let router = router.layer(axum::middleware::from_fn(tell_scheme));
    Ok(Served(wire::serve::serve_from(doors, router, Limits::default(), Door::tell)))
}

impl Served {
    /// Takes no new connections, and waits a moment for what is under way. Websockets of agents and followers of logs
    /// never end by themselves.
    pub async fn leave(self) {
        self.0.leave(LEAVE_WITHIN).await;
    }
}
