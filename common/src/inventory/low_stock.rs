//! Who is told when a sale leaves little in stock.

/// Who is told, and from when on.
#[derive(Clone, Debug)]
pub struct LowStock {
    /// An operator's mail address.
    pub to: String,
    /// The most units that count as few.
    pub threshold: i64,
}

impl LowStock {
    /// Whether a sale of `quantity` units has brought the stock down to what counts as few. Later ones, of what is few already, don't.
    pub(super) fn is_reached(&self, stock: i64, quantity: i64) -> bool {
        stock <= self.threshold && stock + quantity > self.threshold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sale_of_many_brings_the_stock_down_to_few() {
        let low = LowStock { to: "op@shop.example".into(), threshold: 5 };
        assert!(low.is_reached(5, 1) && low.is_reached(0, 6) && low.is_reached(4, 2));
        assert!(!low.is_reached(6, 1) && !low.is_reached(4, 1) && !low.is_reached(0, 5));
    }
}
