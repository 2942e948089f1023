//! Models answer over HTTP, in the forms of OpenAI's API and of text-embeddings-inference.

#[path = "../../../../tests/letters.rs"]
mod letters;

#[macro_use]
#[path = "../stand_in/mod.rs"]
mod stand_in;

mod chats;
mod explanations;
mod openapi;
mod others;
mod predict;
mod server;
mod traffic;
mod writing;
