//! What the demo shop sells: things for kitchen, desk, garden and road. Prices are in minor units of whatever the currency is;
//! the stocks hold plenty, few and none, so that a shopper meets each.

/// A product of the demo shop.
#[derive(Debug)]
pub(super) struct Product {
    pub(super) slug: &'static str,
    pub(super) name: &'static str,
    pub(super) price: u32,
    pub(super) stock: u32,
    pub(super) description: &'static str,
}

const fn product(slug: &'static str, name: &'static str, price: u32, stock: u32, description: &'static str) -> Product {
    Product { slug, name, price, stock, description }
}

/// The last one is made last: it tells that all were made.
#[rustfmt::skip] // a table reads better with a product in a line or two
pub(super) const PRODUCTS: &[Product] = &[
    product("moka-pot", "Moka pot for three", 2490, 120,
        "Aluminium pot for the stove. Three small cups in five minutes, and a handle that stays cool."),
    product("pour-over-dripper", "Pour-over dripper", 1850, 80,
        "Stoneware cone with deep ribs for paper filters of size two. Glazed inside and out."),
    product("hand-grinder", "Hand coffee grinder", 6900, 35,
        "Conical steel burrs, forty steps from espresso to press pot, and a jar for thirty grams of beans."),
    product("gooseneck-kettle", "Gooseneck kettle", 5400, 28,
        "Holds 0.9 litres and pours in a thin, steady stream. For gas, ceramic and induction."),
    product("espresso-cups", "Espresso cups, set of four", 3200, 60,
        "Thick porcelain that keeps the heat, 70 ml each, in four shades of grey."),
    product("cast-iron-pan", "Cast-iron pan, 26 cm", 4450, 45,
        "Seasoned with linseed oil and ready for the first egg. Weighs 2.4 kg and outlives its owner."),
    product("carbon-steel-wok", "Carbon-steel wok, 32 cm", 5200, 22,
        "Hand-hammered, round below, with a wooden handle. Comes with a ring for the gas stove."),
    product("chefs-knife", "Chef's knife, 20 cm", 8900, 40,
        "Forged from one piece and hardened to 58 HRC. The heel is ground flat, so it sharpens to the end."),
    product("paring-knife", "Paring knife, 9 cm", 2100, 150,
        "A short, thin blade for everything smaller than an apple. Handle of oiled beech."),
    product("whetstone", "Whetstone 1000/3000", 3900, 33,
        "Two grits and a bamboo base that does not slip. Ten minutes of soaking, twenty strokes a side."),
    product("end-grain-board", "End-grain cutting board", 7400, 14,
        "Oak blocks set upright, so that knives stay sharp. 40 by 30 cm, with a groove for juices."),
    product("mixing-bowls", "Mixing bowls, set of three", 2950, 70,
        "Steel bowls of one, two and four litres with a rubber foot. They nest, lids included."),
    product("digital-scale", "Kitchen scale, 0.1 g", 3350, 55,
        "Up to three kilograms in steps of a tenth of a gram. Charges by USB-C, with a timer for brewing."),
    product("sourdough-basket", "Proving basket", 1690, 90,
        "Rattan basket for a one-kilogram loaf, with a linen cover that washes well."),
    product("olive-wood-spoon", "Olive-wood spoon", 990, 300,
        "Carved from pruned branches. No two have the same grain; all have the same length, 30 cm."),
    product("linen-tea-towels", "Linen tea towels, pair", 1950, 110,
        "Heavy half-bleached linen that dries glasses without a trace and gets better with each wash."),
    product("pepper-mill", "Pepper mill", 4200, 38,
        "Steel grinder in a body of walnut. From coarse for steak to dust for soup with a quarter turn."),
    product("dinner-plates", "Dinner plates, set of six", 6600, 18,
        "Stoneware plates of 27 cm with a raised rim. Safe in oven and dishwasher."),
    product("carafe", "Water carafe, 1 litre", 2790, 64,
        "Mouth-blown glass with a cork ball for a lid. Fits the door of the fridge."),
    product("desk-lamp", "Desk lamp", 11900, 25,
        "Two arms, a heavy foot and a warm LED that dims without flicker. The head turns all the way."),
    product("dotted-notebook", "Dotted notebook, A5", 1490, 400,
        "192 numbered pages of 90 g paper that ink does not bleed through. Lies flat from the first page."),
    product("fountain-pen", "Fountain pen, medium nib", 4950, 48,
        "Steel nib, clear barrel, takes cartridges or a converter. A beginner's pen that experts keep."),
    product("ink-blue-black", "Ink, blue-black, 50 ml", 1290, 95,
        "Writes blue, dries nearly black, and survives a spilled glass of water."),
    product("mechanical-pencil", "Mechanical pencil, 0.5 mm", 1150, 210,
        "Brass body with a knurled grip. The sleeve slides in, so that it travels without bending."),
    product("laptop-stand", "Laptop stand", 3850, 52,
        "Bent from a single sheet of aluminium. Lifts the screen by 15 cm and lets air below."),
    product("felt-desk-mat", "Felt desk mat", 3400, 41,
        "Wool felt, 80 by 35 cm, with a strip of leather for the mouse. Keeps the noise of typing down."),
    product("cable-clips", "Cable clips, ten", 890, 500,
        "Silicone clips with a strong back. They hold thin and thick cables where you can reach them."),
    product("wall-calendar", "Wall calendar", 1890, 6,
        "A month on each sheet, big enough to write on. Printed in two colours on recycled paper."),
    product("secateurs", "Secateurs", 3690, 57,
        "Bypass blades for branches as thick as a thumb. Every part can be replaced."),
    product("hand-trowel", "Hand trowel", 1990, 85,
        "Stainless steel with a scale for planting depth and a handle of ash."),
    product("watering-can", "Watering can, 5 litres", 3290, 30,
        "Galvanised steel with a long spout and a brass rose that takes off. It does not drip."),
    product("seed-box", "Kitchen garden seeds", 2450, 75,
        "Radish, rocket, carrot, pea, marigold and dill: open-pollinated seeds with a sowing plan."),
    product("bird-feeder", "Bird feeder", 2890, 12,
        "Oiled larch with a roof that keeps seed dry. Hangs or stands; cats can't reach it."),
    product("herb-planter", "Herb planter", 4100, 19,
        "Three clay pots on a tray, with a wick that waters them for a week."),
    product("bike-bell", "Bicycle bell", 1350, 160,
        "A brass dome with a clear, long ring. For handlebars from 22 to 32 mm."),
    product("multi-tool", "Pocket tool", 5950, 44,
        "Pliers, two blades, a saw, a file and four drivers, locked when open. 180 grams."),
    product("steel-bottle", "Steel bottle, 0.75 litres", 2650, 130,
        "A single wall, a wide mouth and a lid with no plastic. Rings like a bell when it is empty."),
    product("lunch-box", "Lunch box", 2990, 66,
        "Two tiers of steel with a strap. Tight enough for soup, provided that you close it."),
    product("wool-blanket", "Wool blanket", 9800, 10,
        "Woven from the wool of a single flock, 140 by 200 cm, undyed. Warm when wet."),
    product("canvas-rucksack", "Canvas rucksack", 12900, 16,
        "Waxed cotton, 22 litres, brass buckles. A sleeve for a laptop and two pockets for bottles."),
    product("head-torch", "Head torch", 3590, 3,
        "250 lumens in front, a red light behind, 60 grams. Eight hours on one charge."),
    product("pocket-umbrella", "Pocket umbrella", 2790, 1,
        "Nine ribs that turn inside out and back again. The last one of its colour."),
    product("beeswax-candles", "Beeswax candles, pair", 1590, 0,
        "Dipped by hand forty times. Sold out until the bees have caught up."),
    product("gift-wrapping", "Gift wrapping", 350, 10_000,
        "Brown paper, cotton string and a card with your words."),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn at_least_forty_products_differ_in_everything() {
        assert!(PRODUCTS.len() >= 40);
        let slugs: BTreeSet<_> = PRODUCTS.iter().map(|product| product.slug).collect();
        let names: BTreeSet<_> = PRODUCTS.iter().map(|product| product.name).collect();
        let texts: BTreeSet<_> = PRODUCTS.iter().map(|product| product.description).collect();
        assert_eq!([slugs.len(), names.len(), texts.len()], [PRODUCTS.len(); 3]);
        let plain = |slug: &&str| slug.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        assert!(slugs.iter().all(plain));
        assert!(PRODUCTS.iter().all(|product| product.price >= 100));
    }
}
