//! LISTEN, for as long as a process lives: a connection that is lost, or dies without a word, is made anew. Nobody may rely on
//! it alone, for what is told while there is no connection is lost: who waits for something also looks for it now and then.

use std::{convert::Infallible, io::ErrorKind, time::Duration};

use sqlx::{
    Executor as _, PgPool,
    postgres::{PgListener, PgPoolOptions},
};
use tokio::time::timeout;

/// Pause before a lost connection is made anew.
const PAUSE: Duration = Duration::from_secs(1);
/// Silence after which the server is asked whether it is there. We only ever read: without a question, a connection whose other
/// end is gone, with its host or out of a firewall's table, would be silent for ever.
const SILENCE: Duration = Duration::from_secs(5);
/// Longest wait for a connection, and for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is heard.
#[derive(Debug)]
pub enum Heard<'a> {
    /// From now on all is heard; something may have been missed before.
    Connected,
    /// Somebody has told something.
    Notified {
        /// Where.
        channel: &'a str,
        /// What.
        payload: &'a str,
    },
    /// Nothing is heard until it is connected again.
    Lost(&'a sqlx::Error),
}

/// Listens to these channels for ever, on one connection of its own to the database of `pool`: those of the pool are for others.
pub async fn listen(pool: &PgPool, channels: &[&str], mut hear: impl FnMut(Heard<'_>)) {
    loop {
        let Err(error) = listen_until_lost(pool, channels, &mut hear).await;
        hear(Heard::Lost(&error));
        tokio::time::sleep(PAUSE).await;
    }
}

async fn listen_until_lost(
    pool: &PgPool,
    channels: &[&str],
    hear: &mut impl FnMut(Heard<'_>),
) -> sqlx::Result<Infallible> {
    // Another one each time: a dead connection, which takes its time to be closed, must not stand in the way of the next.
    let own = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(PATIENCE)
        .connect_lazy_with((*pool.connect_options()).clone());
    let mut listener = PgListener::connect_with(&own).await?;
    listener.eager_reconnect(false); // a loss is told at once, not when it is mended
    let statement = channels.iter().map(|channel| format!(r#"LISTEN "{channel}""#)).collect::<Vec<_>>().join("; ");
    ask(&mut listener, &statement).await?;
    hear(Heard::Connected);
    loop {
        match timeout(SILENCE, listener.try_recv()).await {
            Ok(received) => match received? {
                Some(told) => hear(Heard::Notified { channel: told.channel(), payload: told.payload() }),
                None => return Err(sqlx::Error::Io(ErrorKind::ConnectionReset.into())),
            },
            Err(_) => ask(&mut listener, &statement).await?, // who listens already goes on listening
        }
    }
}

/// Notifications that come before the answer are kept.
async fn ask(listener: &mut PgListener, statement: &str) -> sqlx::Result<()> {
    match timeout(PATIENCE, listener.execute(statement)).await {
        Ok(answer) => answer.map(|_| ()),
        Err(_) => Err(sqlx::Error::Io(ErrorKind::TimedOut.into())),
    }
}
