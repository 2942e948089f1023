//! From settings to a server that answers.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::TokioTimer;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::app::App;
use crate::config::ServeConfig;
use crate::error::ServeError;
use crate::http::{Doorkeeper, Pace};
use crate::traffic::Traffic;
use crate::workplace::Workplace;
use crate::workshop::Workshop;
use crate::{http, routes};

/// How long requests that are being answered may take when the server is stopped.
const LAST_ANSWERS: Duration = Duration::from_secs(20);
/// How often the server looks whether it shall stop.
pub const GLANCE: Duration = Duration::from_millis(100);

/// Serves until `stop` becomes true; `ready` is told the address once it is listened at. Blocks.
///
/// # Errors
/// See [`ServeError`]; nothing is answered before everything is found to be fine.
pub fn serve(
    config: ServeConfig,
    workshop: Arc<dyn Workshop>,
    stop: Arc<AtomicBool>,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), ServeError> {
    config.check()?;
    let address = config.address;
    runtime(&config.workplace.data)?.block_on(async {
        let tls = match &config.tls {
            Some(files) => Some(files.open().await?),
            None => None,
        };
        let app = Arc::new(open(config, workshop).await?);
        let listener = listen(address)?;
        let bound = listener.local_addr().map_err(|source| ServeError::Address { address, source })?;
        ready(bound);
        answer(listener, app, tls, stop).await.map_err(|source| ServeError::Address { address: bound, source })
    })
}

/// The threads of a process that waits for a database; `data` is told where there are none.
pub fn runtime(data: &Path) -> Result<Runtime, ServeError> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(ServeError::io(data))
}

async fn open(config: ServeConfig, workshop: Arc<dyn Workshop>) -> Result<App, ServeError> {
    let workplace = Arc::new(Workplace::open(&config.workplace, config.limits.engine, workshop).await?);
    if !config.address.ip().is_loopback() && !config.without_keys && !workplace.store.has_keys().await? {
        return Err(ServeError::NoKeys { address: config.address });
    }
    let traffic = Traffic::open(config.record, workplace.store.clone(), &config.workplace.data)?;
    Ok(App { workplace, pace: Pace::new(&config.limits), explaining: Arc::new(Semaphore::new(1)), traffic, config })
}

fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let listener = TcpListener::bind(address).map_err(|source| ServeError::Address { address, source })?;
    listener.set_nonblocking(true).map_err(|source| ServeError::Address { address, source })?;
    Ok(listener)
}

async fn answer(
    listener: TcpListener,
    app: Arc<App>,
    tls: Option<RustlsConfig>,
    stop: Arc<AtomicBool>,
) -> std::io::Result<()> {
    let (handle, limits) = (Handle::new(), app.config.limits);
    let router = http::around(routes::all(&app), Arc::clone(&app)).into_make_service();
    let workers = app.workplace.begin(app.config.workplace.trainings);
    let stopper = tokio::spawn(stop_when_asked(stop, Arc::clone(&app), handle.clone(), workers));
    let door = Doorkeeper::new(handle.clone(), limits.connections);
    let mut server = axum_server::from_tcp(listener)?.handle(handle);
    let builder = server.http_builder();
    // Without a timer a client that never ends its head would be waited for without end; so would one that begins none, if
    // there were two versions to tell apart.
    *builder = builder.clone().http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.patience);
    let served = match tls {
        Some(tls) => {
            let door = RustlsAcceptor::new(tls).handshake_timeout(limits.patience).acceptor(door);
            server.acceptor(door).serve(router).await
        }
        None => server.acceptor(door).serve(router).await,
    };
    // Serving ends when it is stopped, or by an error that nothing can be saved from.
    if served.is_ok() {
        let _ = stopper.await;
    }
    app.engine.shut_down().await;
    app.traffic.close().await;
    app.store.close().await;
    served
}

/// Waits until the server shall stop, and stops it: nothing new is answered, a training is saved after its current step.
async fn stop_when_asked(
    stop: Arc<AtomicBool>,
    app: Arc<App>,
    handle: Handle<SocketAddr>,
    workers: Vec<JoinHandle<()>>,
) {
    while !stop.load(Ordering::SeqCst) {
        tokio::time::sleep(GLANCE).await;
    }
    app.work.close();
    handle.graceful_shutdown(Some(LAST_ANSWERS));
    for worker in workers {
        let _ = worker.await;
    }
}
