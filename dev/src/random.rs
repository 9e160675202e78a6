//! What nobody can guess.

use rand::{Rng as _, distr::Alphanumeric};

/// So many letters and digits: they survive every shell and URL.
pub fn alphanumeric(length: usize) -> String {
    rand::rng().sample_iter(Alphanumeric).take(length).map(char::from).collect()
}
