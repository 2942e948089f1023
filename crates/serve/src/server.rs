//! From settings to a server that answers.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::TokioTimer;
use tokio::task::JoinHandle;

use crate::app::App;
use crate::config::ServeConfig;
use crate::data_folder::{DataFolder, database};
use crate::engine::Engine;
use crate::error::ServeError;
use crate::http::{Doorkeeper, Pace};
use crate::jobs::{Work, train_jobs, validate_jobs};
use crate::metrics::Metrics;
use crate::models::Models;
use crate::store::Store;
use crate::workshop::Workshop;
use crate::{http, routes};

/// How long requests that are being answered may take when the server is stopped.
const LAST_ANSWERS: Duration = Duration::from_secs(20);
/// How often the server looks whether it shall stop.
const GLANCE: Duration = Duration::from_millis(100);

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
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|source| ServeError::Address { address, source })?;
    runtime.block_on(async {
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

async fn open(config: ServeConfig, workshop: Arc<dyn Workshop>) -> Result<App, ServeError> {
    let folder = DataFolder::open(&config.data)?;
    let store = Store::open(&database(&config.data)).await?;
    if !config.address.ip().is_loopback() && !config.without_keys && !store.has_keys().await? {
        return Err(ServeError::NoKeys { address: config.address });
    }
    tidy_up(&folder, &store).await?;
    let (models, pace) = (Models::new(&config), Pace::new(&config.limits));
    let metrics = Arc::new(Metrics::default());
    let engine = Engine::new(Arc::clone(&workshop), config.limits.engine, Arc::clone(&metrics));
    Ok(App { folder, store, models, work: Work::default(), pace, engine, metrics, workshop, config })
}

/// Takes up what an earlier process left: jobs at work wait for their turn again, files that nobody knows go.
async fn tidy_up(folder: &DataFolder, store: &Store) -> Result<(), ServeError> {
    store.requeue_jobs().await?;
    folder.keep_only(&store.remaining_files().await?)
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
    let workers = [tokio::spawn(validate_jobs(Arc::clone(&app))), tokio::spawn(train_jobs(Arc::clone(&app)))];
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
    app.store.close().await;
    served
}

/// Waits until the server shall stop, and stops it: nothing new is answered, a training is saved after its current step.
async fn stop_when_asked(
    stop: Arc<AtomicBool>,
    app: Arc<App>,
    handle: Handle<SocketAddr>,
    workers: [JoinHandle<()>; 2],
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
