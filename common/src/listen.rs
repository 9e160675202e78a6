//! LISTEN, for as long as a process lives: a connection that is lost is made anew. Nobody may rely on it alone, for what is
//! told while there is no connection is lost: who waits for something also looks for it now and then.

use std::time::Duration;

use sqlx::{PgPool, postgres::PgListener};

/// Pause before a lost connection is made anew.
const PAUSE: Duration = Duration::from_secs(1);

/// What is heard.
#[derive(Debug)]
pub enum Heard<'a> {
    /// From now on all is heard; something may have been missed before.
    Connected,
    /// The payload of a notification.
    Notified(&'a str),
    /// Nothing is heard until it is connected again.
    Lost(&'a sqlx::Error),
}

/// Listens to a channel for ever, on one connection of `pool`'s.
pub async fn listen(pool: &PgPool, channel: &str, mut hear: impl FnMut(Heard<'_>)) {
    loop {
        let Err(error) = listen_until_lost(pool, channel, &mut hear).await;
        hear(Heard::Lost(&error));
        tokio::time::sleep(PAUSE).await;
    }
}

async fn listen_until_lost(
    pool: &PgPool,
    channel: &str,
    hear: &mut impl FnMut(Heard<'_>),
) -> sqlx::Result<std::convert::Infallible> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(channel).await?;
    hear(Heard::Connected);
    loop {
        match listener.try_recv().await? {
            Some(notification) => hear(Heard::Notified(notification.payload())),
            None => return Err(sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into())),
        }
    }
}
