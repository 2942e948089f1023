//! Connections: how many there may be at once.

use std::io;
use std::net::SocketAddr;

use axum_server::Handle;
use axum_server::accept::{Accept, NoDelayAcceptor};
use tokio::net::TcpStream;

/// Takes connections up to a number. One that is too many is closed before a byte of it is read: whoever opens connections and
/// says nothing costs no more than that.
#[derive(Clone)]
pub struct Doorkeeper {
    handle: Handle<SocketAddr>,
    most: usize,
}

impl Doorkeeper {
    /// Counts the connections that `handle` knows.
    pub fn new(handle: Handle<SocketAddr>, most: usize) -> Self {
        Self { handle, most }
    }
}

impl<S: Send + 'static> Accept<TcpStream, S> for Doorkeeper {
    type Stream = TcpStream;
    type Service = S;
    type Future = std::future::Ready<io::Result<(TcpStream, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        // The connection itself is counted already.
        if self.handle.connection_count() > self.most {
            return std::future::ready(Err(io::Error::other("too many connections")));
        }
        // The pieces of a stream are sent when they are there, not when a packet is full.
        NoDelayAcceptor::new().accept(stream, service)
    }
}
