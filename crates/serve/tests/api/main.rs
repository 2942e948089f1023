//! The API from outside: a server on a free port, asked as clients ask.

#[macro_use]
#[path = "../stand_in/mod.rs"]
mod stand_in;

mod bench;
mod client;
mod files;
mod hostile;
mod jobs;
mod keys;
mod models;
mod pages;
mod postgres;
