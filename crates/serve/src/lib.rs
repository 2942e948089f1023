//! The fine-tuning API of OpenAI, served from this machine.
//!
//! [`serve`] opens a data folder, answers requests and works off the jobs. Whatever computes is behind [`Workshop`]. State
//! is in a database (`store`), files and models are in the data folder, under names that the server chose. [`work`] works off
//! jobs without answering, beside servers and other workers on the same database. A request goes through `http` (its head, its key, its body) to a file of `routes`.

mod app;
mod config;
mod data_folder;
mod engine;
mod error;
mod http;
mod ids;
mod jobs;
mod keys;
mod metrics;
mod models;
mod reply;
mod routes;
mod server;
mod store;
mod tls;
mod traffic;
mod upload;
mod worker;
mod workplace;
mod workshop;

pub use config::{BaseModel, LEASE, Limits, ServeConfig, WorkplaceConfig};
pub use engine::EngineLimits;
pub use error::ServeError;
pub use keys::{KeyPlace, create_key, list_keys, revoke_key};
pub use server::serve;
pub use store::{Database, KeyRow};
pub use tls::TlsFiles;
pub use traffic::{RecordConfig, Recording};
pub use worker::work;
pub use workshop::{OpenError, Opened, Workshop};
