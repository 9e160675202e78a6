//! What a shopper wants: which products, how many, and how it goes on after the checkout. All of it from the seed, the shopper
//! and how often they were here, so that no fault changes what they want next.

use rand::{Rng, SeedableRng, rngs::StdRng};

/// How a purchase goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// With this payment method.
    Pay(&'static str),
    /// With a card that the bank declines, and then with a good one.
    DeclinedThenPay,
    /// With a card that the bank declines; the order expires.
    Declined,
    /// The bank asks for 3-D Secure: the shopper authenticates, or fails to.
    Authenticate(bool),
    /// By debit, which succeeds, or fails, a while later.
    Debit(bool),
    /// The shopper cancels instead.
    Cancel,
    /// The shopper pays and cancels at the same time.
    PayAndCancel,
    /// The shopper goes away, and the order expires.
    Leave,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    /// Products by their place, each once, and how many of each.
    pub(super) lines: Vec<(usize, u32)>,
    pub(super) way: Way,
    /// What the shopper does with both hands: the checkout is sent so many times at once, under one key.
    pub(super) clicks: usize,
    /// Milliseconds before the next purchase.
    pub(super) pause_ms: u64,
}

impl Wish {
    /// The `nth` one of a shopper among `products`.
    pub(super) fn of(seed: u64, shopper: usize, nth: usize, products: usize) -> Self {
        let mut random = StdRng::seed_from_u64(mix(&[seed, shopper as u64, nth as u64]));
        let count = if random.random_bool(0.25) { 2 } else { 1 };
        let mut lines: Vec<(usize, u32)> = Vec::with_capacity(count);
        for _ in 0..count {
            // Some are in demand: those sell out.
            let product = random.random_range(0..products).min(random.random_range(0..products));
            if lines.iter().all(|(other, _)| *other != product) {
                lines.push((product, random.random_range(1..=3)));
            }
        }
        let way = match random.random_range(0..100) {
            0..50 => Way::Pay("pm_card_visa"),
            50..56 => Way::Pay("pm_card_pendingRefund"),
            56..62 => Way::DeclinedThenPay,
            62..66 => Way::Declined,
            66..72 => Way::Authenticate(true),
            72..74 => Way::Authenticate(false),
            74..79 => Way::Debit(true),
            79..81 => Way::Debit(false),
            81..89 => Way::Cancel,
            89..93 => Way::PayAndCancel,
            _ => Way::Leave,
        };
        let clicks = if random.random_bool(0.15) { 3 } else { 1 };
        Self { lines, way, clicks, pause_ms: random.random_range(100..900) }
    }
}

/// One number from several (the finaliser of splitmix64), so that neighbours have nothing in common.
pub(super) fn mix(numbers: &[u64]) -> u64 {
    numbers.iter().fold(0, |mixed: u64, number| {
        let mut z = mixed.wrapping_add(*number).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_wish_is_the_same_each_time_and_none_is_like_another() {
        assert_eq!(Wish::of(1, 2, 3, 10), Wish::of(1, 2, 3, 10));
        let others = [Wish::of(2, 2, 3, 10), Wish::of(1, 3, 3, 10), Wish::of(1, 2, 4, 10)];
        assert!(others.iter().all(|other| *other != Wish::of(1, 2, 3, 10)));
        assert_ne!(mix(&[1, 2]), mix(&[2, 1]));
    }

    #[test]
    fn a_few_hundred_wishes_go_every_way_and_name_products_that_there_are() {
        let wishes: Vec<Wish> = (0..500).map(|nth| Wish::of(1, nth % 7, nth, 3)).collect();
        let ways: BTreeSet<Way> = wishes.iter().map(|wish| wish.way).collect();
        assert_eq!(ways.len(), 11, "{ways:?}");
        assert!(wishes.iter().all(|wish| wish.lines.iter().all(|(product, count)| *product < 3 && *count > 0)));
    }
}
