//! A split that a growing file does not change.

use super::{Split, comparable};
use crate::dataset::Example;

/// Holds out the rows whose text says so: `fraction` of all texts, on average.
///
/// A row's side depends on its text (but for case and white space), `fraction` and `salt` alone, not on the other rows: what is
/// held out today is held out when the file has grown, and a row once learnt from is never asked later. Different salts give
/// divisions that know nothing of each other.
pub fn hash_split(examples: &[Example], fraction: f64, salt: u64) -> Split {
    let share = |example: &Example| fingerprint(&comparable(&example.text), salt) as f64 / 2_f64.powi(64);
    let held: Vec<usize> = (0..examples.len()).filter(|&index| share(&examples[index]) < fraction).collect();
    Split::holding(examples.len(), &held)
}

/// FNV-1a (<http://www.isthe.com/chongo/tech/comp/fnv/>), whose high bits depend on the last bytes too little, mixed by
/// SplitMix64's last steps. Written out, as a split must not change with a library.
pub(crate) fn fingerprint(text: &str, salt: u64) -> u64 {
    let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    let bytes = salt.to_le_bytes().into_iter().chain(text.bytes());
    let mut mixed = bytes.fold(0xCBF2_9CE4_8422_2325, fnv);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples(count: usize) -> Vec<Example> {
        let example = |index| Example { text: format!("review {index}"), line: index as u64 + 2, ..Example::default() };
        (0..count).map(example).collect()
    }

    #[test]
    fn a_row_stays_on_its_side_when_the_file_grows() {
        let all = examples(2_000);
        let [few, many] = [&all[..500], &all[..]].map(|examples| hash_split(examples, 0.1, 0));
        let kept: Vec<usize> = many.held_out.iter().copied().filter(|index| *index < 500).collect();
        assert_eq!(kept, few.held_out);
        // Three standard deviations of a binomial around 200 rows.
        assert!((160..=240).contains(&many.held_out.len()), "{}", many.held_out.len());
    }

    #[test]
    fn salts_divide_independently_and_spelling_does_not_matter() {
        let examples = examples(2_000);
        let [test, validation] = [0, 1].map(|salt| hash_split(&examples, 0.1, salt).held_out);
        let both = test.iter().filter(|index| validation.contains(index)).count();
        assert!((5..=40).contains(&both), "{both} rows are in both");
        assert_eq!(fingerprint(&comparable("So  Late\n"), 0), fingerprint(&comparable("so late"), 0));
    }

    #[test]
    fn the_side_is_a_promise() {
        // Computed apart, by the two papers' formulas in Python.
        assert_eq!(fingerprint("so late", 0), 0x698A_3491_6F21_2DE5);
    }
}
