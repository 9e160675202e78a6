//! What happens by itself: debits that end and refunds that settle, when the simulator's clock says so.

use std::{sync::Arc, time::Duration};

use super::{
    App, attempt,
    desk::{Desk, Origin},
    refunds,
};

/// Settles what is due until the simulator stops.
pub(crate) async fn run(app: Arc<App>) {
    loop {
        let next = app.books(|books| books.due.first().map(|(moment, _)| *moment));
        if next.is_some_and(|moment| moment <= app.clock.now_ms()) {
            app.at_desk(Origin::default(), settle_due);
            continue;
        }
        let wait = next.map(|moment| Duration::from_millis(u64::try_from(moment - app.clock.now_ms()).unwrap_or(0)));
        tokio::select! {
            () = app.stop.cancelled() => return,
            // Something new may be due, or the clock was shifted.
            () = app.due.notified() => {}
            () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
        }
    }
}

fn settle_due(desk: &mut Desk<'_>) {
    while let Some((moment, id)) = desk.books.due.first().cloned() {
        if moment > desk.now_ms {
            return;
        }
        desk.books.due.remove(&(moment, id.clone()));
        let settled =
            if id.starts_with("pi_") { attempt::settle(desk, &id, None) } else { refunds::settle(desk, &id, None) };
        if let Err(error) = settled {
            tracing::debug!(id, ?error, "nothing was left to settle");
        }
    }
}
