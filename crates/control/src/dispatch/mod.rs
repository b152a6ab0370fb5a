//! Starts deployments whose turn has come, goes on with those that nobody drives any more, and passes wishes on to those
//! that run here.
//!
//! One loop for each server. It is woken by whatever moves the queue, on any server, and looks on a timer besides.
//! What it decides is decided by [`domain::queue::choose`], and holds only if it still does in the transaction that
//! starts the deployment.

mod adopt;
mod gate;
mod past;
mod renew;
mod start;
mod supersede;
mod waiting;
mod wishes;

use std::collections::BTreeSet;
use std::sync::Weak;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::control::Inner;

pub(crate) use gate::{Gate, rules};
pub(crate) use past::{bypass, let_back};
pub(crate) use renew::renew;
use start::Due;
pub(crate) use start::{Accepted, count_end, count_ends};
pub(crate) use supersede::supersede;
pub(crate) use waiting::Waits;
pub(crate) use wishes::{ANSWER, refusal};

/// The safety net: a notice that was lost costs no more than this.
const LOOK: Duration = Duration::from_secs(1);
/// After a look the loop rests as long as that took; four times as long where many are taken at a time, so that it looks less often
/// and takes more; and no longer than this.
const REST: Duration = Duration::from_millis(60);
const MANY: usize = 8;
/// After an error of the database.
const PAUSE: Duration = Duration::from_millis(300);

/// Until the server stops.
pub(crate) async fn run(inner: Weak<Inner>, stopping: CancellationToken) {
    let mut moved = match inner.upgrade() {
        Some(inner) => inner.world.store.dispatches(),
        None => return,
    };
    let (mut suspects, mut looked) = (BTreeSet::new(), Instant::now());
    loop {
        let Some(strong) = inner.upgrade() else { return };
        moved.borrow_and_update();
        let began = Instant::now();
        let pass = async {
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                if let Err(e) = adopt::lost(&strong, &mut suspects).await {
                    tracing::debug!("what this server drives can't be looked at: {e}");
                }
            }
            pass(&strong).await
        };
        let Some((next, taken)) = stopping.run_until_cancelled(pass).await else { return };
        let rest = (began.elapsed() * if taken < MANY { 1 } else { 4 }).min(REST);
        let freed = strong.clone();
        let pause = async {
            tokio::time::sleep(rest).await;
            tokio::select! {
                _ = moved.changed() => {}
                () = freed.runner.freed() => {}
                () = tokio::time::sleep(next) => {}
            }
        };
        drop(strong);
        if stopping.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}

/// One look at everything; returns when to look again at the latest, and how many were taken out of the queue.
async fn pass(inner: &Inner) -> (Duration, usize) {
    let looked = async {
        wishes::carry_out(inner).await?;
        adopt::orphans(inner).await?;
        start::due(inner).await
    };
    match looked.await {
        Ok(Due { taken, next }) => (next.map_or(LOOK, |at| until(at).min(LOOK)), taken),
        Err(e) => {
            tracing::warn!("the queue can't be looked at: {e}");
            (PAUSE, 0)
        }
    }
}

fn until(at: DateTime<Utc>) -> Duration {
    (at - Utc::now()).to_std().unwrap_or_default()
}
