//! One configurable transformer, its parameters and the Hugging Face folders it is read from and written to.
