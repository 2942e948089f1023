//! The API from outside: a server on a free port, asked as clients ask.

mod bench;
mod client;
mod files;
mod hostile;
mod jobs;
mod keys;
mod models;
mod pages;
mod postgres;
