//! Work on a job that must stay this worker's own.

use std::convert::Infallible;
use std::fs::File;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use finetone_train::Control;

use crate::store::{Claim, Status};
use crate::workplace::Workplace;

/// How often a claim is renewed, and how soon a worker hears that its job was paused or cancelled elsewhere.
const BEAT: Duration = Duration::from_secs(1);

/// Does `work` on a claimed job. Somebody who moves the job on stops it by `control`; so does the end of the claim, after
/// which nothing is saved any more: another worker may have the job.
pub async fn while_claimed<T>(place: &Workplace, claim: &Claim, control: &Control, work: impl Future<Output = T>) -> T {
    tokio::select! {
        done = work => done,
        never = keep(place, claim, control) => match never {},
    }
}

/// Renews a claim again and again.
async fn keep(place: &Workplace, claim: &Claim, control: &Control) -> Infallible {
    let mut renewed = Instant::now();
    loop {
        tokio::time::sleep(BEAT).await;
        // A database that says nothing is as good as none.
        match tokio::time::timeout(claim.lease, place.store.renew(claim)).await {
            Ok(Ok(Some(status))) => {
                renewed = Instant::now();
                if !matches!(status, Status::ValidatingFiles | Status::Running) {
                    control.stop.store(true, Ordering::Relaxed);
                }
            }
            Ok(Ok(None)) => control.abandon.store(true, Ordering::Relaxed),
            Ok(Err(_)) | Err(_) if renewed.elapsed() < claim.lease => {}
            Ok(Err(_)) | Err(_) => control.abandon.store(true, Ordering::Relaxed),
        }
    }
}

/// Waits until a worker that had the job before has let go of its folder; `None` if the job is taken away meanwhile.
pub async fn hold_folder(place: &Workplace, claim: &Claim, control: &Control) -> std::io::Result<Option<File>> {
    loop {
        if let Some(held) = place.folder.hold_job(&claim.job)? {
            return Ok(Some(held));
        }
        if control.is_stopped() || control.is_abandoned() {
            return Ok(None);
        }
        tokio::time::sleep(BEAT).await;
    }
}
