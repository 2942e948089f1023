//! Numbers as the tables of different countries write them.

/// The finite number of a cell, with a point or a comma before its decimals.
///
/// Three digits behind a comma may as well be thousands, so `1,250` is no number; `1,25` is.
pub(crate) fn decimal(cell: &str) -> Option<f64> {
    let decimals = cell.split_once(',').map_or("", |(_, decimals)| decimals);
    let number = match decimals.len() {
        0 | 3 => cell.parse::<f64>(),
        _ => cell.replacen(',', ".", 1).parse(),
    };
    number.ok().filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_may_stand_for_the_point() {
        assert_eq!(["4.5", "4,5", "-0,25", "7", "1e3"].map(decimal), [4.5, 4.5, -0.25, 7.0, 1e3].map(Some));
        for cell in ["1,250", "1,2,3", "1.234,5", "4,", ",", "4,x", "inf", ""] {
            assert_eq!(decimal(cell), None, "{cell}");
        }
    }
}
