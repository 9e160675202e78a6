//! The bytes: each connection has two pumps, one for each direction, which look at the way before they take and before they
//! give. They end with the task that accepts.

use std::{
    io::{self, ErrorKind},
    sync::Arc,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep_until},
};

use super::{Direction, Shared, Way};

/// What one read takes.
const CHUNK: usize = 16 * 1024;
/// How many chunks may be under way while they are delayed.
const DEPTH: usize = 64;

/// Accepts until the proxy is dropped or the task is aborted. The connections end with it.
pub(super) fn open(listener: TcpListener, shared: Arc<Shared>) -> JoinHandle<()> {
    tokio::spawn(accept(listener, shared))
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            accepted = listener.accept() => {
                let Ok((near, _)) = accepted else { continue }; // it was gone again
                connections.spawn(connect(near, Arc::clone(&shared)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connect(mut near: TcpStream, shared: Arc<Shared>) {
    wait_until_it_moves(&mut shared.way.subscribe()).await;
    let Ok(mut far) = TcpStream::connect(shared.target).await else { return };
    let ended = {
        let (from_near, to_near) = near.split();
        let (from_far, to_far) = far.split();
        tokio::try_join!(
            pump(Direction::Up, from_near, to_far, &shared),
            pump(Direction::Down, from_far, to_near, &shared)
        )
    };
    if ended.is_err() {
        // Without lingering, closing sends a reset instead of an orderly end.
        let _closed_already = near.set_zero_linger().and(far.set_zero_linger());
    }
}

/// Moves all that comes, and the end.
async fn pump(direction: Direction, from: ReadHalf<'_>, to: WriteHalf<'_>, shared: &Arc<Shared>) -> io::Result<()> {
    let (taken, giving) = mpsc::channel(DEPTH);
    tokio::try_join!(take(direction, from, taken, shared), give(to, giving, shared.way.subscribe())).map(drop)
}

/// Reads, and says when what was read may go on. Nothing read is the end.
async fn take(
    direction: Direction,
    mut from: ReadHalf<'_>,
    taken: mpsc::Sender<(Instant, Vec<u8>)>,
    shared: &Arc<Shared>,
) -> io::Result<()> {
    let mut way = shared.way.subscribe();
    let mut chunk = vec![0; CHUNK];
    let mut last = Vec::new();
    loop {
        let count = from.read(&mut chunk).await?;
        let read = chunk.get(..count).unwrap_or_default();
        if direction == Direction::Up {
            spring(&mut last, read, shared).await?;
        }
        let now = wait_until_it_moves(&mut way).await;
        if now == (Way::Swallowing { direction }) && count > 0 {
            return lose(from, &mut way).await;
        }
        let due = Instant::now() + now.delay(direction);
        if taken.send((due, read.to_vec())).await.is_err() || count == 0 {
            return Ok(());
        }
    }
}

async fn give(
    mut to: WriteHalf<'_>,
    mut giving: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut way: watch::Receiver<Way>,
) -> io::Result<()> {
    while let Some((due, bytes)) = giving.recv().await {
        sleep_until(due).await;
        wait_until_it_moves(&mut way).await;
        if bytes.is_empty() {
            return to.shutdown().await;
        }
        to.write_all(&bytes).await?;
    }
    Ok(())
}

/// Takes what comes and forgets it, until the way changes: then the connection can't go on, as a part of it is missing.
async fn lose(mut from: ReadHalf<'_>, way: &mut watch::Receiver<Way>) -> io::Result<()> {
    let mut lost = vec![0; CHUNK];
    let swallow = async { while from.read(&mut lost).await.is_ok_and(|count| count > 0) {} };
    tokio::select! {
        () = swallow => {}
        _ = way.changed() => {}
    }
    Err(ErrorKind::ConnectionReset.into())
}

/// Changes the way if the trap's text has been said. `last` holds the end of what was said before.
async fn spring(last: &mut Vec<u8>, read: &[u8], shared: &Arc<Shared>) -> io::Result<()> {
    let Some(trap) = shared.trap.borrow().clone() else {
        last.clear();
        return Ok(());
    };
    let text = trap.text.as_bytes();
    last.extend_from_slice(read);
    if !text.is_empty() && last.windows(text.len()).any(|said| said == text) {
        last.clear();
        // A cut ends this very task: another one does it.
        let proxy = Arc::clone(shared);
        let sprung = tokio::spawn(async move {
            let set = proxy.set(trap.then).await;
            proxy.trap.send_if_modified(|now| now.take_if(|now| *now == trap).is_some());
            set
        });
        sprung.await.map_err(io::Error::other)??;
    } else {
        last.drain(..last.len().saturating_sub(text.len()));
    }
    Ok(())
}

async fn wait_until_it_moves(way: &mut watch::Receiver<Way>) -> Way {
    // The sender outlives the connections: it is in what they share.
    way.wait_for(|way| way.moves()).await.map_or(Way::Open, |way| *way)
}
