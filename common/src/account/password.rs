//! Passwords: which are good enough, and how they are hashed: argon2id, off the async threads, a few at a time.

use std::{fmt, sync::Arc, thread};

use argon2::{
    Algorithm, Params, PasswordHash, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _},
};
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use super::argon2id::Argon2id;

/// A password for an account, long enough and not too long. Whether it is well known is found when it is hashed.
#[derive(ToSchema)]
#[schema(min_length = 12, max_length = 128)]
pub struct NewPassword(String);

/// Too short, or too long.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have 12 to 128 characters")]
pub struct UnfitLength;

impl NewPassword {
    /// Takes a password as it is: nothing is cut off, blanks count (NIST SP 800-63B, section 5.1.1).
    ///
    /// # Errors
    /// When it has fewer than 12 characters or more than 128.
    pub fn parse(raw: String) -> Result<Self, UnfitLength> {
        if (12..=128).contains(&raw.chars().count()) { Ok(Self(raw)) } else { Err(UnfitLength) }
    }
}

impl fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewPassword(…)")
    }
}

/// A password that falls within so many of an attacker's first guesses is refused. zxcvbn counts at least 10,000 for what is
/// put together from two parts: a tenfold of that also finds the likes of `password1234`.
const FIRST_GUESSES: u64 = 100_000;

/// So many characters of a password are judged: what zxcvbn does grows fast with the length where letters are replaced by what looks
/// like them, up to seconds for a hundred characters.
const JUDGED: usize = 24;

/// How many may wait for a slot; at some 30 ms a hash the last of them waits for a second or two.
const MOST_WAITING: usize = 64;

/// Hashes passwords and verifies them.
#[derive(Debug)]
pub struct Passwords {
    argon2id: Argon2id,
    hashing: Turns,
    /// Of its own, so that nobody who registers holds up those who log in.
    judging: Turns,
    dummy: Arc<str>,
}

/// Why a password was not hashed.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// It is among the first that an attacker would try.
    #[error("is too easy to guess; a few unrelated words make a better one")]
    WellKnown,
    /// Too many wait already.
    #[error(transparent)]
    Busy(#[from] TooManyHashes),
    /// There was no memory or no randomness for it.
    #[error("could not be hashed: {0}")]
    Failed(argon2::password_hash::Error),
}

/// So many wait to have a password hashed that another would wait too long.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being hashed")]
pub struct TooManyHashes;

#[expect(clippy::new_without_default, reason = "it hashes a password, which nobody expects of a default")]
impl Passwords {
    /// Works with OWASP's figures (Password Storage Cheat Sheet: argon2id, 19 MiB, two passes, one lane), on half of the
    /// cores, so that a flood of logins leaves the other half to everything else.
    pub fn new() -> Self {
        let params = Params::new(19_456, 2, 1, None).expect("OWASP's figures are within argon2's limits");
        let argon2id = Argon2id::new(params);
        let cores = thread::available_parallelism().map_or(1, Into::into);
        let dummy =
            argon2id.hash_password(b"the password of nobody").expect("a machine without randomness can't run us");
        Self {
            argon2id,
            hashing: Turns::new((cores / 2).max(1)),
            judging: Turns::new(1),
            dummy: dummy.to_string().into(),
        }
    }

    /// The hash of a password, as a PHC string, unless the password is well known; `personal` are words of its user's,
    /// such as the e-mail, that make it easy to guess.
    ///
    /// # Errors
    /// See [`HashError`].
    pub async fn hash(&self, password: NewPassword, personal: Vec<String>) -> Result<String, HashError> {
        let beginning = |text: &str| text.chars().take(JUDGED).collect::<String>();
        let (judged, personal) =
            (beginning(&password.0), personal.iter().map(|word| beginning(word)).collect::<Vec<_>>());
        let judge = move || {
            let personal: Vec<&str> = personal.iter().map(String::as_str).collect();
            zxcvbn::zxcvbn(&judged, &personal).guesses() <= FIRST_GUESSES
        };
        if self.judging.take(judge).await? {
            return Err(HashError::WellKnown);
        }
        let argon2id = self.argon2id.clone();
        let hash = move || {
            argon2id.hash_password(password.0.as_bytes()).map(|hash| hash.to_string()).map_err(HashError::Failed)
        };
        self.hashing.take(hash).await?
    }

    /// Whether this password has that hash. Without a hash the answer is no, after the same time.
    ///
    /// # Errors
    /// When too many wait already.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, TooManyHashes> {
        let argon2id = self.argon2id.clone();
        let dummy = self.dummy.clone();
        let verify = move || {
            let known = hash.is_some();
            let hash = PasswordHash::new(hash.as_deref().unwrap_or(&dummy));
            let right = hash.is_ok_and(|hash| argon2id.verify_password(password.as_bytes(), &hash).is_ok());
            known && right
        };
        self.hashing.take(verify).await
    }

    /// Whether a hash was made with other figures than those of today.
    pub fn is_outdated(&self, hash: &str) -> bool {
        let figures = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
        let today = figures(self.argon2id.params());
        !PasswordHash::new(hash).is_ok_and(|hash| {
            hash.algorithm == Algorithm::Argon2id.ident()
                && hash.version == Some(Version::V0x13.into())
                && Params::try_from(&hash).is_ok_and(|params| figures(&params) == today)
        })
    }
}

/// So many at work, and so many who wait for it.
#[derive(Clone, Debug)]
struct Turns {
    slots: Arc<Semaphore>,
    queue: Arc<Semaphore>,
}

impl Turns {
    fn new(slots: usize) -> Self {
        Self { slots: Arc::new(Semaphore::new(slots)), queue: Arc::new(Semaphore::new(slots + MOST_WAITING)) }
    }

    /// Runs work for the processor on a blocking thread. The slot is held until the work is done, even if nobody waits for
    /// it any more: a caller that hangs up frees no core.
    async fn take<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, TooManyHashes> {
        let place = self.queue.clone().try_acquire_owned().map_err(|_| TooManyHashes)?;
        let slot = self.slots.clone().acquire_owned().await.expect("the semaphore is never closed");
        let work = tokio::task::spawn_blocking(move || {
            let _held = (place, slot);
            work()
        });
        Ok(work.await.expect("hashing doesn't panic, and the runtime outlives its callers"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    };

    use tokio::task::JoinSet;

    use super::*;

    fn password(raw: &str) -> NewPassword {
        NewPassword::parse(raw.into()).expect("a fit length")
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert!(NewPassword::parse("ä".repeat(12)).is_ok());
        assert!(NewPassword::parse("ä".repeat(128)).is_ok());
        assert!(NewPassword::parse("ä".repeat(11)).is_err());
        assert!(NewPassword::parse("ä".repeat(129)).is_err());
    }

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only_and_to_the_last_character() {
        let passwords = Passwords::new();
        let long = "wren lantern gypsum orbit velvet quarry thimble ocean ".to_owned() + &"x7#Kp0".repeat(9);
        let hash = passwords.hash(password(&long), vec![]).await.expect("a good password");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(!passwords.is_outdated(&hash));
        for (given, known, right) in [
            (long.clone(), true, true),
            (format!("{long}x"), true, false),
            (long[..long.len() - 1].into(), true, false),
            ("the password of nobody".into(), false, false),
        ] {
            assert_eq!(passwords.verify(given, known.then(|| hash.clone())).await, Ok(right));
        }
    }

    #[tokio::test]
    async fn no_more_hashes_are_made_at_once_than_there_are_slots_and_other_work_goes_on() {
        let passwords = Arc::new(Passwords { hashing: Turns::new(2), ..Passwords::new() });
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let both = Arc::new(Barrier::new(3)); // two slots, and the one thread that all async work of this test is on
        let hash = |held: bool| {
            let (passwords, running, most, both) = (passwords.clone(), running.clone(), most.clone(), both.clone());
            tokio::spawn(async move {
                let work = move || {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    if held {
                        both.wait();
                    }
                    running.fetch_sub(1, Ordering::SeqCst);
                };
                passwords.hashing.take(work).await.expect("there is room");
            })
        };
        let held = [hash(true), hash(true)];
        while running.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
        let waiting: Vec<_> = (0..6).map(|_| hash(false)).collect();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(waiting.iter().all(|hash| !hash.is_finished()), "both slots are taken");
        waiting[0].abort(); // a caller that hangs up takes nobody's place
        both.wait();
        for hash in held.into_iter().chain(waiting.into_iter().skip(1)) {
            hash.await.expect("it does not panic");
        }
        assert_eq!((running.load(Ordering::SeqCst), most.load(Ordering::SeqCst)), (0, 2));
    }

    #[tokio::test]
    async fn well_known_and_personal_passwords_are_refused() {
        let passwords = Passwords::new();
        for known in [
            "password1234",
            "Password123!",
            "123456789012",
            "qwertyuiop123",
            "administrator",
            "aaaaaaaaaaaa",
            "ada@example.com",
        ] {
            let refused = passwords.hash(password(known), vec!["ada@example.com".into()]).await;
            assert!(matches!(refused, Err(HashError::WellKnown)), "{known} was taken");
        }
    }

    #[tokio::test]
    async fn a_password_that_takes_long_to_judge_holds_up_no_login() {
        let passwords = Arc::new(Passwords { hashing: Turns::new(1), ..Passwords::new() });
        let hostile = "4@8({[<369!1|0$5+7%2".repeat(5);
        let registrations: Vec<_> = (0..4)
            .map(|_| {
                let (passwords, password) = (passwords.clone(), password(&hostile));
                tokio::spawn(async move { passwords.hash(password, vec![]).await })
            })
            .collect();
        while passwords.judging.slots.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(passwords.verify("the password of nobody".into(), None).await, Ok(false));
        assert!(registrations.iter().any(|registration| !registration.is_finished()), "it waited for none of them");
        for registration in registrations {
            registration.await.expect("it does not panic").expect("it is a good one");
        }
    }

    #[tokio::test]
    async fn so_many_wait_for_their_turn_and_no_more() {
        let hashing = Turns { queue: Arc::new(Semaphore::new(3)), ..Turns::new(1) };
        let passwords = Arc::new(Passwords { hashing, ..Passwords::new() });
        let mut logins = JoinSet::new();
        for _ in 0..8 {
            let passwords = passwords.clone();
            logins.spawn(async move { passwords.verify("the password of nobody".into(), None).await });
        }
        let outcomes = logins.join_all().await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_err()).count(), 5);
        assert_eq!(passwords.verify("the password of nobody".into(), None).await, Ok(false), "and then others may");
    }

    #[test]
    fn hashes_with_other_figures_are_outdated() {
        let passwords = Passwords::new();
        let weaker = Argon2id::new(Params::new(8_192, 1, 1, None).expect("allowed"));
        let hash = weaker.hash_password(b"some password").expect("a hash").to_string();
        assert!(passwords.is_outdated(&hash));
        assert!(
            passwords.argon2id.verify_password(b"some password", &PasswordHash::new(&hash).expect("a hash")).is_ok()
        );
        assert!(passwords.is_outdated("nonsense"));
    }
}
