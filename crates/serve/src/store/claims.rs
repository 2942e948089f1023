//! Who works on a job. Several workers may look for one at the same time; each job has one of them at a time.
//!
//! A worker that takes a job claims it for a while and goes on claiming it as long as it works. A claim that is not renewed
//! ends, and the job is anybody's again. Every claim has a name of its own, and what is written about a job is written under
//! that name: a worker that was silent for too long and wakes up again can write nothing.

use std::time::Duration;

use sqlx::{Any, AssertSqlSafe, Transaction};

use super::events::NewEvent;
use super::jobs::{COLUMNS, JobRow, Status};
use super::{Store, now};
use crate::ids;

/// A job that is a worker's own.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The id of the job.
    pub job: String,
    /// What nobody else knows.
    name: String,
    /// For how long it holds when it is not renewed.
    pub lease: Duration,
}

impl Claim {
    fn seconds(&self) -> i64 {
        self.lease.as_secs() as i64
    }
}

impl Store {
    /// Takes the job whose files have waited longest to be looked at.
    pub async fn claim_to_validate(&self, lease: Duration) -> Result<Option<(JobRow, Claim)>, sqlx::Error> {
        let mut transaction = self.begin().await?;
        let claimed = self.claim(&mut transaction, "('validating_files')", lease).await?;
        transaction.commit().await?;
        Ok(claimed)
    }

    /// Takes the job that has waited longest to be trained, or that its worker has given up: it is running from now on.
    pub async fn claim_to_train(&self, lease: Duration) -> Result<Option<(JobRow, Claim)>, sqlx::Error> {
        let mut transaction = self.begin().await?;
        let claimed = self.claim(&mut transaction, "('queued', 'running')", lease).await?;
        if let Some((job, _)) = &claimed
            && job.started_at.is_none()
        {
            let query = sqlx::query("UPDATE jobs SET started_at = $1 WHERE id = $2").bind(now()).bind(&job.id);
            query.execute(&mut *transaction).await?;
            NewEvent::info("Fine-tuning job started").insert(&job.id, &mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(claimed)
    }

    async fn claim(
        &self,
        transaction: &mut Transaction<'static, Any>,
        states: &str,
        lease: Duration,
    ) -> Result<Option<(JobRow, Claim)>, sqlx::Error> {
        let (now, alone) = (self.dialect.now, self.dialect.alone);
        let sql = format!(
            "UPDATE jobs SET status = CASE status WHEN 'queued' THEN 'running' ELSE status END, claim = $1, claimed_until = {now} + $2
             WHERE id = (SELECT id FROM jobs WHERE status IN {states} AND (claimed_until IS NULL OR claimed_until <= {now})
                         ORDER BY place LIMIT 1 {alone})
             RETURNING {COLUMNS}"
        );
        let mut claim = Claim { job: String::new(), name: ids::random(24), lease };
        let query = sqlx::query_as(AssertSqlSafe(sql)).bind(&claim.name).bind(claim.seconds());
        let job: Option<JobRow> = query.fetch_optional(&mut **transaction).await?;
        Ok(job.map(|job| {
            claim.job.clone_from(&job.id);
            (job, claim)
        }))
    }

    /// Goes on claiming a job, and says where it is; `None` if it is somebody else's by now.
    pub async fn renew(&self, claim: &Claim) -> Result<Option<Status>, sqlx::Error> {
        let sql = format!(
            "UPDATE jobs SET claimed_until = {} + $1 WHERE id = $2 AND claim = $3 RETURNING status",
            self.dialect.now
        );
        let query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(claim.seconds()).bind(&claim.job).bind(&claim.name);
        let status: Option<String> = query.fetch_optional(&self.pool).await?;
        status.map(Status::try_from).transpose().map_err(|error| sqlx::Error::Decode(error.into()))
    }

    /// A transaction that writes about a claimed job, which stays claimed until it is over; `None` if the job is somebody
    /// else's by now.
    pub(super) async fn holding(&self, claim: &Claim) -> Result<Option<Transaction<'static, Any>>, sqlx::Error> {
        let mut transaction = self.begin().await?;
        let sql = format!("UPDATE jobs SET claimed_until = {} + $1 WHERE id = $2 AND claim = $3", self.dialect.now);
        let query = sqlx::query(AssertSqlSafe(sql)).bind(claim.seconds()).bind(&claim.job).bind(&claim.name);
        let is_held = query.execute(&mut *transaction).await?.rows_affected() == 1;
        Ok(is_held.then_some(transaction))
    }

    /// Ends a claim. A job that was running waits for its turn again.
    pub async fn give_back(&self, claim: &Claim) -> Result<(), sqlx::Error> {
        let query = sqlx::query(
            "UPDATE jobs SET claim = NULL, claimed_until = NULL, status = CASE status WHEN 'running' THEN 'queued' ELSE status END
             WHERE id = $1 AND claim = $2",
        );
        query.bind(&claim.job).bind(&claim.name).execute(&self.pool).await.map(drop)
    }

    /// Ends all claims: only for whoever knows that nobody else is at work.
    pub async fn end_claims(&self) -> Result<(), sqlx::Error> {
        let query = sqlx::query(
            "UPDATE jobs SET claim = NULL, claimed_until = NULL, status = CASE status WHEN 'running' THEN 'queued' ELSE status END
             WHERE claim IS NOT NULL OR status = 'running'",
        );
        query.execute(&self.pool).await.map(drop)
    }

    /// Whether a worker has a job.
    pub async fn is_claimed(&self, job: &str) -> Result<bool, sqlx::Error> {
        let sql = format!("SELECT 1 FROM jobs WHERE id = $1 AND claimed_until > {}", self.dialect.now);
        let found: Option<i64> = sqlx::query_scalar(AssertSqlSafe(sql)).bind(job).fetch_optional(&self.pool).await?;
        Ok(found.is_some())
    }
}
