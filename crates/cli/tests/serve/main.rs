//! The server as its users meet it: the binary, real training of a very small model, clients of others.

#[path = "../workbench/mod.rs"]
mod workbench;

#[path = "../../../../tests/python.rs"]
mod python;

#[path = "../../../../tests/letters.rs"]
mod letters;
#[cfg(unix)]
#[path = "../../../../tests/postgres.rs"]
mod postgres;

mod browser;
mod clients;
mod command;
mod commands;
mod flow;
mod fuzz;
#[cfg(target_os = "linux")]
mod heavy;
mod kill;
mod load;
mod process;
mod tls;
mod traffic;
#[cfg(unix)]
mod workers;
