//! Models answer over HTTP, in the forms of OpenAI's API and of text-embeddings-inference.

#[path = "../../../../tests/letters.rs"]
mod letters;

mod chats;
mod explanations;
mod openapi;
mod others;
mod predict;
mod server;
mod traffic;
mod writing;
