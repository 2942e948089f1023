//! Texts to class probabilities.
