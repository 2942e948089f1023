//! What the API does where a job does not say.

/// The fewest examples of a job.
pub const FEWEST_EXAMPLES: usize = 10;

/// Passes over the examples that a small set, and a large one, should come to.
const TARGET_EPOCHS: usize = 3;
const FEWEST_SEEN: usize = 100;
const MOST_SEEN: usize = 25_000;
const MOST_EPOCHS: usize = 25;

/// The epochs of a job that leaves them to the API, by the rule in OpenAI's cookbook: 3, more where that makes fewer than 100
/// examples in all, fewer where it makes more than 25,000.
pub fn default_epochs(examples: usize) -> usize {
    let seen = examples.saturating_mul(TARGET_EPOCHS);
    if examples == 0 {
        TARGET_EPOCHS
    } else if seen < FEWEST_SEEN {
        MOST_EPOCHS.min(FEWEST_SEEN / examples)
    } else if seen > MOST_SEEN {
        (MOST_SEEN / examples).max(1)
    } else {
        TARGET_EPOCHS
    }
}

/// The examples of a step in a job that leaves them to the API: two of a thousand, from 1 to 256.
pub fn default_batch_size(examples: usize) -> usize {
    (examples / 500).clamp(1, 256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_are_those_of_real_jobs() {
        let epochs = [(10, 10), (20, 5), (33, 3), (100, 3), (8334, 2), (9000, 2), (25_000, 1), (1_000_000, 1)];
        for (examples, expected) in epochs {
            assert_eq!(default_epochs(examples), expected, "{examples} examples");
        }
        assert_eq!([0, 1, 4, 5].map(default_epochs), [3, 25, 25, 20]);
        assert_eq!([0, 10, 101, 1000, 5000, 1_000_000].map(default_batch_size), [1, 1, 1, 2, 10, 256]);
    }
}
