//! Who types the command, for the audit log.

use std::sync::LazyLock;

use common::actor::Actor;
use nix::unistd::{Uid, User};

/// The user of the system as whom this program runs, by name; by number where the system knows none, as in a container.
pub(crate) fn operator() -> Actor {
    static NAME: LazyLock<String> = LazyLock::new(|| {
        let id = Uid::current();
        User::from_uid(id).ok().flatten().map_or_else(|| id.to_string(), |user| user.name)
    });
    Actor::Operator(&NAME)
}
