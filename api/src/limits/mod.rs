//! How often one may ask: anything, by address; to log in and the like, by address and by account; to check out, by user.
//!
//! All of it is counted in this process alone: with several replicas behind a balancer one gets up to as many times as much.
//! That is enough against floods and guessing; nothing that must be right depends on it.

mod buckets;
mod familiar;
mod limit;

use std::{num::NonZeroU32, time::Duration};

use common::{
    config::{ADDRESS_FACTOR, RateLimits},
    id::UserId,
};
use sha2::{Digest as _, Sha256};
use tokio::time::{MissedTickBehavior, interval};

pub(crate) use self::limit::{LIMIT, REMAINING, RESET, Standing};
use self::{familiar::Familiar, limit::Limit};
use crate::{client::Client, problem::Problem};

/// Whom something is counted for: an address, a user, or the hash of what should not be kept.
type Key = [u8; 16];

/// How often what has come to rest is forgotten.
const PRUNE: Duration = Duration::from_secs(30);

/// The limits, as the metric names them.
const REQUESTS: &str = "requests";
const LOGIN_ADDRESS: &str = "login_address";
const LOGIN_ACCOUNT: &str = "login_account";
const CHECKOUT: &str = "checkout";

/// Tells what the metrics mean, and begins to count.
pub(crate) fn describe() {
    limit::describe(&[REQUESTS, LOGIN_ADDRESS, LOGIN_ACCOUNT, CHECKOUT]);
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Limits(Option<Counted>);

#[derive(Debug)]
struct Counted {
    requests: Limit,
    attempts_by_address: Limit,
    attempts_by_account: Limit,
    familiar: Familiar,
    checkouts: Limit,
}

/// What is tried with an account: each is counted for itself, so that none can be used up to hinder another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To log in.
    LogIn,
    /// To make the account.
    Register,
    /// To have a link sent by which its password can be reset.
    ForgotPassword,
}

impl Limits {
    /// Without `rates` nothing is counted.
    pub(crate) fn new(rates: Option<RateLimits>) -> Self {
        Self(rates.map(|RateLimits { login, checkout, requests }| Counted {
            requests: Limit::new(REQUESTS, "requests of one address", requests),
            attempts_by_address: Limit::new(
                LOGIN_ADDRESS,
                "attempts of one address to log in, register and the like",
                login.saturating_mul(NonZeroU32::new(ADDRESS_FACTOR).expect("it is not 0")),
            ),
            attempts_by_account: Limit::new(LOGIN_ACCOUNT, "attempts at one account", login),
            familiar: Familiar::default(),
            checkouts: Limit::new(CHECKOUT, "checkouts of one user", checkout),
        }))
    }

    /// Counts a request from this address; what is left is to be told in its answer.
    pub(crate) fn request(&self, client: Client) -> Result<Option<Standing>, Problem> {
        let Some(counted) = &self.0 else { return Ok(None) };
        counted.requests.take(&client.key()).map(Some)
    }

    /// Counts an attempt to log in, to register and the like from this address.
    pub(crate) fn attempt(&self, client: Client) -> Result<(), Problem> {
        let Some(counted) = &self.0 else { return Ok(()) };
        counted.attempts_by_address.take(&client.key()).map(drop)
    }

    /// Counts an attempt at this account, whether or not there is one; to be asked before anything is hashed.
    ///
    /// A stranger who guesses uses up what strangers have, not what is there for an address from which the account was logged
    /// into before: its owner is not locked out.
    pub(crate) fn attempt_at(&self, purpose: Purpose, email: &str, client: Client) -> Result<(), Problem> {
        let Some(counted) = &self.0 else { return Ok(()) };
        let pair = pair(purpose, email, client);
        let key = if counted.familiar.contains(&pair) { pair } else { account(purpose, email) };
        counted.attempts_by_account.take(&key).map(drop)
    }

    /// Remembers that the owner of this account is at this address.
    pub(crate) fn logged_in(&self, email: &str, client: Client) {
        if let Some(counted) = &self.0 {
            counted.familiar.remember(pair(Purpose::LogIn, email, client));
        }
    }

    /// Counts a checkout of this user's.
    pub(crate) fn check_out(&self, user: UserId) -> Result<(), Problem> {
        let Some(counted) = &self.0 else { return Ok(()) };
        counted.checkouts.take(user.0.as_bytes()).map(drop)
    }

    /// Forgets, for ever and again, whoever has all that he may have.
    pub(crate) async fn keep_small(&self) {
        let Some(counted) = &self.0 else { return };
        let mut turns = interval(PRUNE);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            let Counted { requests, attempts_by_address, attempts_by_account, checkouts, familiar: _ } = counted;
            for limit in [requests, attempts_by_address, attempts_by_account, checkouts] {
                limit.prune();
            }
        }
    }
}

fn account(purpose: Purpose, email: &str) -> Key {
    digest(purpose, email, &[])
}

fn pair(purpose: Purpose, email: &str, client: Client) -> Key {
    digest(purpose, email, &client.key())
}

/// An address has one account, in whatever case it is written.
fn digest(purpose: Purpose, email: &str, address: &[u8]) -> Key {
    let hash = Sha256::new()
        .chain_update([purpose as u8, u8::from(address.is_empty())])
        .chain_update(address)
        .chain_update(email.trim().to_ascii_lowercase())
        .finalize();
    let mut key = Key::default();
    key.copy_from_slice(&hash[..16]);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        let rate = |n| NonZeroU32::new(n).expect("it is not 0");
        Limits::new(Some(RateLimits { login: rate(3), checkout: rate(2), requests: rate(5) }))
    }

    fn client(address: &str) -> Client {
        Client(address.parse().expect("an address"))
    }

    const OWNER: &str = "ada@kassa.example";

    #[test]
    fn a_stranger_who_guesses_does_not_lock_out_who_has_logged_in_before() {
        let (limits, home, elsewhere) = (limits(), client("192.0.2.1"), client("198.51.100.1"));
        let takes = |email, client| (0..5).filter(|_| limits.attempt_at(Purpose::LogIn, email, client).is_ok()).count();
        limits.attempt_at(Purpose::LogIn, OWNER, home).expect("the first");
        limits.logged_in(OWNER, home);
        assert_eq!(takes(" ADA@Kassa.example", elsewhere), 2, "one account, however it is written");
        assert_eq!(takes(OWNER, client("203.0.113.1")), 0, "strangers share what they have");
        assert_eq!(takes(OWNER, home), 3);
        assert_eq!(takes("eve@kassa.example", home), 3, "of another account this is a stranger");
        limits.attempt_at(Purpose::Register, OWNER, elsewhere).expect("another purpose");
    }

    #[test]
    fn an_address_has_six_times_as_many_attempts_for_all_accounts() {
        let limits = limits();
        let takes = |client| (0..30).filter(|_| limits.attempt(client).is_ok()).count();
        assert_eq!((takes(client("192.0.2.1")), takes(client("192.0.2.2"))), (18, 18));
    }

    #[test]
    fn nothing_is_counted_where_it_is_off() {
        let limits = Limits::new(None);
        for _ in 0..1000 {
            limits.attempt(client("192.0.2.1")).expect("any number");
            limits.attempt_at(Purpose::LogIn, OWNER, client("192.0.2.1")).expect("any number");
            limits.check_out(UserId::new()).expect("any number");
        }
    }
}
