//! A server for one conversation: so that a model answers here exactly as it does when it is served.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};

use finetone_serve::{
    BaseModel, Database, KeyPlace, Limits, RecordConfig, ServeConfig, ServeError, WorkplaceConfig, create_key, serve,
};
use tempfile::TempDir;

use crate::api::Client;
use crate::commands::serve::CpuWorkshop;
use crate::device::DeviceArgs;
use crate::failure::Failure;
use crate::found::Found;
use crate::interrupt;

/// The server. It ends when it is dropped, and leaves nothing behind.
pub struct PrivateServer {
    address: SocketAddr,
    key: String,
    names: Vec<String>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
    /// Its data folder.
    _folder: TempDir,
}

impl PrivateServer {
    /// Serves models to whoever has the key, which is nobody else.
    pub fn start(models: &[String], device: DeviceArgs) -> Result<Self, Failure> {
        let found = models.iter().map(|model| Ok(Found::new(model)?.folder)).collect::<Result<Vec<_>, Failure>>()?;
        let names: Vec<String> = (1..=models.len()).map(|number| format!("model-{number}")).collect();
        let folder = tempfile::tempdir().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
        interrupt::remove_and_end(folder.path())?;
        let data = folder.path().join("data");
        let key = create_key(&KeyPlace { data: data.clone(), database: Database::default() }, "chat")?;
        let base = |(name, source): (&String, _)| BaseModel { name: name.clone(), source };
        let config = ServeConfig {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            workplace: WorkplaceConfig::new(data, names.iter().zip(found).map(base).collect()),
            names: Vec::new(),
            tls: None,
            without_keys: false,
            record: RecordConfig::default(),
            limits: Limits::default(),
        };
        let workshop = Arc::new(CpuWorkshop::open(device, config.limits.engine.batch_tokens)?);
        let stop = Arc::new(AtomicBool::new(false));
        let (ready, address) = channel();
        let stopped = Arc::clone(&stop);
        // Whoever waits for the address is there until it comes.
        let thread =
            thread::spawn(move || serve(config, workshop, stopped, |address| ready.send(address).unwrap_or_default()));
        match address.recv() {
            Ok(address) => Ok(Self { address, key, names, stop, thread: Some(thread), _folder: folder }),
            Err(_) => match thread.join() {
                Ok(Err(error)) => Err(error.into()),
                _ => Err(Failure::new("the server ended before it began", None)),
            },
        }
    }

    /// What asks it.
    pub fn client(&self) -> Client {
        Client::new(&format!("http://{}", self.address), Some(self.key.clone()))
    }

    /// What it calls the models.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // It has answered everything; an error now would tell nobody anything.
        drop(self.thread.take().map(JoinHandle::join));
    }
}
