//! The load generator. A closed loop finds the rate: each connection asks again as soon as it was answered. An open loop finds
//! latencies at a rate that is set: requests are due at times that were drawn beforehand, and what a request had to wait because the
//! ones before it took long counts (no coordinated omission).

use std::{
    io,
    net::SocketAddr,
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike as _,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use crate::{figures::Run, http::Connection};

/// What a connection's thread needs; there may be a thousand.
const STACK: usize = 128 * 1024;
/// Room in a schedule above what is expected of chance.
const SLACK: f64 = 1.2;

/// What is asked.
pub(crate) enum Requests {
    /// These, over and over, by whichever connection comes.
    Cycle(Vec<Vec<u8>>),
    /// Each of these once; then it is over.
    Once(Vec<Vec<u8>>),
}

impl Requests {
    fn get(&self, number: usize) -> Option<&[u8]> {
        match self {
            Self::Cycle(requests) => Some(&requests[number % requests.len()]),
            Self::Once(requests) => requests.get(number).map(Vec::as_slice),
        }
    }
}

/// How fast.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// As fast as it is answered.
    Full,
    /// So many a second, at random times.
    Rate(f64),
}

/// A load.
pub(crate) struct Load<'a> {
    pub(crate) addr: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) requests: &'a Requests,
    /// The statuses of success.
    pub(crate) expected: &'a [u16],
    /// Whether somebody who is put off (503) comes again when they were told to, and has waited all the time; else that is an error.
    pub(crate) comes_again: bool,
}

/// What the connections share.
struct Shared<'a> {
    load: &'a Load<'a>,
    next: AtomicUsize,
    /// When each request is due, since the beginning; empty at full pace.
    schedule: Vec<Duration>,
    limit: Duration,
    start: Barrier,
    stop: &'a AtomicBool,
}

/// An answer that is no success.
struct Refusal {
    said: String,
    /// The connection ends with it.
    closes: bool,
}

#[derive(Default)]
struct Part {
    latencies: Vec<Duration>,
    errors: usize,
    put_off: usize,
    /// The first one.
    error: Option<String>,
    busy: Duration,
    began: Option<Instant>,
    ended: Option<Instant>,
}

impl Load<'_> {
    /// Runs it for so long, or until all was asked that is asked once. Blocks.
    ///
    /// # Errors
    /// When not a single request succeeds; a few that fail are counted.
    pub(crate) fn run(&self, pace: Pace, limit: Duration) -> Result<Run> {
        self.run_until(pace, limit, &AtomicBool::new(false))
    }

    /// The same, until it is told to stop.
    pub(crate) fn run_until(&self, pace: Pace, limit: Duration, stop: &AtomicBool) -> Result<Run> {
        let shared = Shared {
            load: self,
            next: AtomicUsize::new(0),
            schedule: match pace {
                Pace::Full => vec![],
                Pace::Rate(rate) => schedule(rate, limit),
            },
            limit,
            start: Barrier::new(self.connections),
            stop,
        };
        let parts: Vec<Part> = thread::scope(|scope| {
            let work = || {
                let builder = thread::Builder::new().stack_size(STACK);
                builder.spawn_scoped(scope, || shared.work())
            };
            let threads: io::Result<Vec<_>> = (0..self.connections).map(|_| work()).collect();
            let threads = threads.context("a thread for each connection")?;
            let ended = threads.into_iter().map(ScopedJoinHandle::join);
            ended.map(|part| part.map_err(|_| anyhow!("a connection's thread panicked"))).collect::<Result<_>>()
        })?;
        total(parts)
    }
}

fn total(parts: Vec<Part>) -> Result<Run> {
    let began = parts.iter().filter_map(|part| part.began).min();
    let ended = parts.iter().filter_map(|part| part.ended).max();
    let took = began.zip(ended).map(|(began, ended)| ended - began).unwrap_or_default();
    let busy: Duration = parts.iter().map(|part| part.busy).sum();
    let errors = parts.iter().map(|part| part.errors).sum();
    let put_off = parts.iter().map(|part| part.put_off).sum();
    let error = parts.iter().find_map(|part| part.error.clone());
    let latencies: Vec<Duration> = parts.into_iter().flat_map(|part| part.latencies).collect();
    if latencies.is_empty() {
        return Err(anyhow!(error.unwrap_or_else(|| "nothing was asked".to_owned()))).context("no request succeeded");
    }
    let generator = if took.is_zero() { 0.0 } else { busy.as_secs_f64() / took.as_secs_f64() };
    Ok(Run { done: latencies.len(), latencies, errors, put_off, took, generator })
}

impl Shared<'_> {
    fn work(&self) -> Part {
        let mut part = Part::default();
        let connected = Connection::open(self.load.addr);
        self.start.wait();
        let began = Instant::now();
        part.began = Some(began);
        let busy = own_time();
        let mut connection = connected.inspect_err(|error| part.failed(error.to_string())).ok();
        while let Some((request, due)) = self.take(began) {
            let Some(open) = connection.as_mut() else { break };
            match self.ask(open, request, &mut part.put_off) {
                Ok(None) => part.latencies.push(due.elapsed()),
                Ok(Some(refusal)) => {
                    part.failed(refusal.said);
                    if refusal.closes {
                        connection = Connection::open(self.load.addr).ok();
                    }
                }
                Err(error) => {
                    part.failed(error.to_string());
                    connection = Connection::open(self.load.addr).ok();
                }
            }
        }
        part.busy = own_time().saturating_sub(busy);
        part.ended = Some(Instant::now());
        part
    }

    /// Asks once, or as often as it takes; what was answered instead of success.
    fn ask(&self, connection: &mut Connection, request: &[u8], put_off: &mut usize) -> io::Result<Option<Refusal>> {
        loop {
            let answer = connection.ask(request)?;
            if self.load.expected.contains(&answer.status) {
                return Ok(None);
            }
            let head = answer.head.to_ascii_lowercase();
            if self.load.comes_again && answer.status == 503 {
                let wait = head.lines().find_map(|line| line.strip_prefix("retry-after: ")?.trim().parse().ok());
                *put_off += 1;
                thread::sleep(Duration::from_secs(wait.unwrap_or(1)));
                continue;
            }
            let body = String::from_utf8_lossy(&answer.body[..answer.body.len().min(300)]);
            let said = format!("{}: {body}", answer.status);
            return Ok(Some(Refusal { said, closes: head.contains("connection: close") }));
        }
    }

    /// The next request and when it is due, once that is so.
    fn take(&self, began: Instant) -> Option<(&[u8], Instant)> {
        if self.stop.load(Ordering::Relaxed) || began.elapsed() >= self.limit && self.schedule.is_empty() {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let request = self.load.requests.get(number)?;
        if self.schedule.is_empty() {
            return Some((request, Instant::now()));
        }
        let due = began + *self.schedule.get(number)?;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        Some((request, due))
    }
}

impl Part {
    fn failed(&mut self, why: String) {
        self.errors += 1;
        self.error.get_or_insert(why);
    }
}

/// Times of arrivals that know nothing of each other, always the same ones for the same rate.
fn schedule(rate: f64, limit: Duration) -> Vec<Duration> {
    let mut random = StdRng::seed_from_u64(1);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "so many fit into memory")]
    let room = (rate * limit.as_secs_f64() * SLACK) as usize;
    let mut times = Vec::with_capacity(room);
    let mut at = 0.0;
    while at < limit.as_secs_f64() {
        times.push(Duration::from_secs_f64(at));
        at += -(1.0 - random.random::<f64>()).ln() / rate;
    }
    times
}

/// The processor's time that this thread has taken so far, where the system tells (getrusage(2) of Linux).
fn own_time() -> Duration {
    #[cfg(target_os = "linux")]
    return time_of(UsageWho::RUSAGE_THREAD);
    #[cfg(not(target_os = "linux"))]
    Duration::ZERO
}

/// The processor's time that children which have ended, such as pgbench, have taken so far.
pub(crate) fn children_time() -> Duration {
    time_of(UsageWho::RUSAGE_CHILDREN)
}

fn time_of(whom: UsageWho) -> Duration {
    let Ok(usage) = getrusage(whom) else { return Duration::ZERO };
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}

impl Pace {
    /// Requests a second, where it is set; 0 at full pace.
    pub(crate) fn offered(self) -> f64 {
        match self {
            Self::Full => 0.0,
            Self::Rate(rate) => rate,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
    };

    use super::*;

    /// A server that takes its time for the first answer of each connection.
    fn server(first: Duration) -> SocketAddr {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = server.local_addr().unwrap();
        thread::spawn(move || {
            for stream in server.incoming() {
                thread::spawn(move || {
                    let (mut stream, mut wait) = (stream.unwrap(), first);
                    while stream.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {
                        thread::sleep(wait);
                        wait = Duration::ZERO;
                        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").is_err() {
                            break;
                        }
                    }
                });
            }
        });
        addr
    }

    fn ask() -> Vec<u8> {
        crate::http::request("GET", "/", &[], "")
    }

    #[test]
    fn what_is_asked_once_is_asked_once() {
        let addr = server(Duration::ZERO);
        let requests = Requests::Once(vec![ask(); 100]);
        let load = Load { addr, connections: 4, requests: &requests, expected: &[200], comes_again: false };
        let run = load.run(Pace::Full, Duration::from_secs(10)).unwrap();
        assert_eq!((run.latencies.len(), run.errors), (100, 0));
        assert!(run.rate() > 0.0 && run.took < Duration::from_secs(10));
        let refused = Load { expected: &[201], ..load };
        assert!(refused.run(Pace::Full, Duration::from_secs(10)).unwrap_err().root_cause().to_string().contains("200"));
    }

    #[test]
    fn those_who_had_to_wait_behind_a_slow_answer_are_counted_as_slow() {
        let addr = server(Duration::from_millis(200));
        let requests = Requests::Cycle(vec![ask()]);
        let load = Load { addr, connections: 1, requests: &requests, expected: &[200], comes_again: false };
        let run = load.run(Pace::Rate(100.0), Duration::from_millis(400)).unwrap();
        let slow = run.latencies.iter().filter(|latency| **latency > Duration::from_millis(50)).count();
        assert!(slow > 5, "{slow} of {}: all that were due in the first 150 ms", run.latencies.len());
    }

    #[test]
    fn who_is_put_off_comes_again_or_is_an_error() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = server.local_addr().unwrap();
        thread::spawn(move || {
            let mut refusals = 1;
            for stream in server.incoming() {
                let mut stream = stream.unwrap();
                while stream.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {
                    let status = if refusals > 0 { "503 Busy\r\nRetry-After: 0" } else { "200 OK" };
                    refusals -= i32::from(refusals > 0);
                    stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).unwrap();
                }
            }
        });
        let requests = Requests::Once(vec![ask()]);
        let load = Load { addr, connections: 1, requests: &requests, expected: &[200], comes_again: true };
        let run = load.run(Pace::Full, Duration::from_secs(10)).unwrap();
        assert_eq!((run.done, run.errors, run.put_off), (1, 0, 1));
    }

    #[test]
    fn a_schedule_keeps_its_rate() {
        let times = schedule(1000.0, Duration::from_secs(5));
        assert!((4500..5500).contains(&times.len()), "{}", times.len());
        assert!(times.is_sorted() && *times.last().unwrap() < Duration::from_secs(5));
        assert_eq!(times, schedule(1000.0, Duration::from_secs(5)), "both sides of a comparison get the same");
    }
}
