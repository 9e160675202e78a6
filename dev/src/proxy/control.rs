//! The control endpoints: `endpoints.md` lists them.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use tokio::net::TcpListener;

use super::{Shared, Trap, Way};

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let stop = shared.stop.clone();
    let router = Router::new()
        .route("/_control", get(help))
        .route("/_control/way", get(way).put(set_way))
        .route("/_control/trap", get(trap).put(set_trap).delete(remove_trap))
        .with_state(shared);
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "the proxy's control endpoints ended");
    }
}

async fn help() -> &'static str {
    include_str!("endpoints.md")
}

async fn way(State(shared): State<Arc<Shared>>) -> Json<Way> {
    Json(*shared.way.borrow())
}

async fn set_way(State(shared): State<Arc<Shared>>, Json(new): Json<Way>) -> Response {
    match shared.set(new).await {
        Ok(()) => way(State(shared)).await.into_response(),
        Err(error) => {
            let answer = json!({ "error": format!("{} can't be listened on again: {error}", shared.addr) });
            (StatusCode::CONFLICT, Json(answer)).into_response()
        }
    }
}

async fn trap(State(shared): State<Arc<Shared>>) -> Json<Option<Trap>> {
    Json(shared.trap.borrow().clone())
}

async fn set_trap(State(shared): State<Arc<Shared>>, Json(new): Json<Trap>) -> Response {
    if new.text.is_empty() {
        return (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "error": "text is empty" }))).into_response();
    }
    shared.trap.send_replace(Some(new));
    trap(State(shared)).await.into_response()
}

async fn remove_trap(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.trap.send_replace(None);
    StatusCode::NO_CONTENT
}
