//! x

/// x
#[derive(Clone)]
pub struct Reference;
