//! Names that nobody can guess.

/// Letters and digits, of which all identifiers are made.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `length` letters and digits by the system's generator.
pub fn random(length: usize) -> String {
    let mut text = String::with_capacity(length);
    let mut bytes = [0_u8; 64];
    while text.len() < length {
        getrandom::fill(&mut bytes).expect("the system has random numbers");
        // 248 is the largest multiple of 62: what lies above would make the first letters likelier.
        let fair = bytes.iter().filter(|byte| **byte < 248).map(|byte| ALPHABET[usize::from(byte % 62)] as char);
        text.extend(fair.take(length - text.len()));
    }
    text
}

/// A prefix and `length` random letters and digits.
pub fn with_prefix(prefix: &str, length: usize) -> String {
    format!("{prefix}{}", random(length))
}

/// The id of an answer, as its head has it: 32 hexadecimal digits.
pub fn request() -> String {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).expect("the system has random numbers");
    format!("req_{:032x}", u128::from_le_bytes(bytes))
}

/// A seed for a job that names none: 31 bits, as the API has them.
pub fn seed() -> i64 {
    i64::from(getrandom::u32().expect("the system has random numbers") >> 1)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_have_their_length_and_do_not_repeat() {
        let names: HashSet<String> = (0..1000).map(|_| with_prefix("file-", 24)).collect();
        assert_eq!(names.len(), 1000);
        assert!(names.iter().all(|name| name.len() == 29 && name[5..].chars().all(|c| c.is_ascii_alphanumeric())));
        assert_eq!(random(200).len(), 200);
        assert_eq!(request().len(), 36);
    }
}
