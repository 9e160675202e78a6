//! Nothing but the tests below `it/`.
