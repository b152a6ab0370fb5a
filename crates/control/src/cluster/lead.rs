//! Being the one server that leads, or waiting to be.

use std::sync::Weak;
use std::time::Duration;

use store::{Candidate, Leadership};
use tokio_util::sync::CancellationToken;

use crate::control::Inner;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// Until the server stops.
pub(crate) async fn run(inner: Weak<Inner>, stopping: CancellationToken) {
    let mut leadership: Option<Leadership> = None;
    let mut candidate = Candidate::default();
    loop {
        let Some(inner) = inner.upgrade() else { return };
        let pass = async {
            let held = match leadership.take() {
                Some(mut mine) => match mine.holds().await {
                    true => Some(mine),
                    false => {
                        tracing::warn!("this server leads no more: its connection is gone");
                        None
                    }
                },
                None => None,
            };
            match held {
                Some(mine) => Some(mine),
                None => try_to_lead(&inner, &mut candidate).await,
            }
        };
        let Some(now) = stopping.run_until_cancelled(pass).await else { break };
        let epoch = now.as_ref().map(|mine| mine.epoch);
        inner.member.leading.send_if_modified(|known| std::mem::replace(known, epoch) != epoch);
        leadership = now;
        drop(inner);
        if stopping.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_none() {
            break;
        }
    }
    if let Some(inner) = inner.upgrade() {
        inner.member.leading.send_replace(None);
    }
    if let Some(mine) = leadership {
        mine.step_down().await;
    }
}

async fn try_to_lead(inner: &Inner, candidate: &mut Candidate) -> Option<Leadership> {
    match candidate.lead(&inner.world.store, inner.member.id.as_str()).await {
        Ok(Some(mine)) => {
            tracing::info!(epoch = mine.epoch, "this server leads");
            Some(mine)
        }
        Ok(None) => None,
        Err(e) => {
            tracing::debug!("can't try to lead: {e}");
            None
        }
    }
}
