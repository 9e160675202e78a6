//! Something of which there is so much, and of which one address may have a part only, so that nobody takes it all.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::client::Client;

/// See the module.
#[derive(Debug)]
pub(crate) struct Shares {
    most: usize,
    most_of_one: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by: HashMap<[u8; 16], usize>,
}

/// What somebody has, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    shares: Arc<Shares>,
    /// Nobody in particular, where it is not held against an address.
    of: Option<[u8; 16]>,
    size: usize,
}

impl Shares {
    /// One address may have a quarter, or all of what is too little to be parted.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        let quarter = most / 4;
        let most_of_one = if quarter == 0 { most } else { quarter };
        Arc::new(Self { most, most_of_one, taken: Mutex::default() })
    }

    /// An empty share of this client's; of nobody's where it is not held against an address.
    pub(crate) fn of(self: &Arc<Self>, client: Option<Client>) -> Share {
        Share { shares: self.clone(), of: client.map(Client::key), size: 0 }
    }

    /// How much there is.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// How much is taken.
    pub(crate) fn taken(&self) -> usize {
        self.lock().all
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Takes so much more; false where there is not so much left, for all or for this address.
    #[must_use]
    pub(crate) fn grow(&mut self, by: usize) -> bool {
        let Shares { most, most_of_one, .. } = *self.shares;
        let mut taken = self.shares.lock();
        let of_one = self.of.map_or(0, |of| taken.by.get(&of).copied().unwrap_or_default());
        if by > most - taken.all || self.of.is_some() && by > most_of_one - of_one {
            return false;
        }
        taken.all += by;
        if let Some(of) = self.of {
            taken.by.insert(of, of_one + by);
        }
        drop(taken);
        self.size += by;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.size == 0 {
            return;
        }
        let mut taken = self.shares.lock();
        taken.all -= self.size;
        if let Some(of) = self.of
            && let Some(of_one) = taken.by.get_mut(&of)
        {
            *of_one -= self.size;
            if *of_one == 0 {
                taken.by.remove(&of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> Option<Client> {
        Some(Client([192, 0, 2, last].into()))
    }

    #[test]
    fn one_address_gets_a_quarter_and_gives_back_what_it_had() {
        let shares = Shares::new(8);
        let mut first = shares.of(client(1));
        assert!(first.grow(1) && first.grow(1) && !first.grow(1));
        assert!(!shares.of(client(1)).grow(1), "all its shares are counted together");
        let mut others = [2, 3].map(|last| shares.of(client(last)));
        assert!(others.iter_mut().all(|other| other.grow(2)));
        let mut nobodys = shares.of(None);
        assert!(nobodys.grow(2), "it is held against no address");
        assert!(!shares.of(client(4)).grow(1) && !shares.of(None).grow(1), "there is none left");
        drop(first);
        assert!(shares.of(client(4)).grow(2));
        drop((others, nobodys));
        let taken = shares.lock();
        assert_eq!((taken.all, taken.by.len()), (0, 0), "nothing is left behind");
    }

    #[test]
    fn what_can_not_be_parted_is_for_anybody() {
        let shares = Shares::new(3);
        assert!(shares.of(client(1)).grow(3));
    }
}
