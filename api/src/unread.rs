//! Bodies that nobody read, because the request was refused before. A small one is read here, so that the connection can go on;
//! of another the client is told that the connection ends with the answer. Otherwise it would send its next request there, to
//! nobody.

use std::{
    mem,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    response::Response,
};
use http::{HeaderValue, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use crate::stream::LeftUnread;

/// Most bytes that are read to keep a connection, and the longest wait for them: as a rule they have been sent already.
const MOST: u64 = 64 * 1024;
const PATIENCE: Duration = Duration::from_millis(50);

/// A body that is not gone when its reader is.
#[derive(Clone)]
struct Kept(Arc<Mutex<State>>);

struct State {
    body: Body,
    ended: bool,
}

impl Kept {
    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the rest, if that is little.
    async fn read_out(&mut self) {
        let mut left = MOST;
        while left > 0
            && self.size_hint().lower() <= left
            && let Some(Ok(frame)) = self.frame().await
        {
            left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len() as u64));
        }
    }
}

impl HttpBody for Kept {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.with(|state| {
            let frame = ready!(Pin::new(&mut state.body).poll_frame(cx));
            state.ended |= frame.is_none();
            Poll::Ready(frame)
        })
    }

    fn is_end_stream(&self) -> bool {
        self.with(|state| state.ended || state.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.with(|state| state.body.size_hint())
    }
}

/// The body of a request, looked after until its answer is there.
pub(crate) struct Watched {
    kept: Kept,
    is_on_its_way: bool,
    left_unread: Option<LeftUnread>,
}

/// Looks after a request's body, if there is one.
pub(crate) fn watch(request: &mut Request) -> Option<Watched> {
    if request.body().is_end_stream() {
        return None;
    }
    let body = mem::take(request.body_mut());
    let kept = Kept(Arc::new(Mutex::new(State { body, ended: false })));
    *request.body_mut() = Body::new(kept.clone());
    // To look for a body that waits to be asked for is to ask for it.
    let is_on_its_way = !request.headers().contains_key(header::EXPECT);
    Some(Watched { kept, is_on_its_way, left_unread: request.extensions().get::<LeftUnread>().cloned() })
}

impl Watched {
    /// See the module.
    pub(crate) async fn settle(mut self, response: &mut Response) {
        if !self.kept.is_end_stream() && self.is_on_its_way {
            let _late = timeout(PATIENCE, self.kept.read_out()).await;
        }
        if !self.kept.is_end_stream() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            if let Some(left_unread) = self.left_unread {
                left_unread.tell();
            }
        }
    }
}
