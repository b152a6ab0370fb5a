//! Keeps the world as the database says: at boot, and then on a timer for as long as the
//! server runs. Every pass is idempotent and takes no input but the database and the world.
//!
//! An environment on which a deployment acts is that deployment's: its saga brings it to
//! rest. What serves there is still kept running.

mod boot;
pub(crate) mod ingress;
mod instances;
mod leftovers;
mod routes;

use std::collections::HashMap;
use std::sync::Weak;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::control::Inner;

pub(crate) use boot::{boot, sweep};
pub(crate) use instances::active_state;
pub(crate) use routes::{correct_idle, correct_one};

/// Between two looks at instances.
const TICK: Duration = Duration::from_secs(1);
/// Between two health checks of a running instance.
const HEALTH: Duration = Duration::from_secs(30);
/// Between two clean-ups of what is old.
const CLEAN: Duration = Duration::from_secs(3600);
/// Between two looks at what nobody owns.
const LEFTOVERS: Duration = Duration::from_secs(60);

/// What a pass remembers of the ones before. Losing it at a restart costs a repeated event at worst.
#[derive(Default)]
pub(crate) struct Memory {
    /// Health checks failed in a row, by instance.
    unhealthy: HashMap<String, u32>,
    /// What should run, as it was read last.
    wanted: Option<instances::Wanted>,
}

/// Until the server stops.
pub(crate) async fn run(inner: Weak<Inner>, stopping: CancellationToken) {
    let mut memory = Memory::default();
    let (mut checked, mut cleaned, mut looked) = (Instant::now(), Instant::now(), Instant::now());
    let mut suspects = leftovers::Suspects::default();
    while stopping.run_until_cancelled(tokio::time::sleep(TICK)).await.is_some() {
        let Some(inner) = inner.upgrade() else { return };
        if !inner.member.has_duty() {
            // Another server of the machine looks after it. When that ends, this one does.
            if inner.member.take_duty() {
                stopping.run_until_cancelled(take_over(&inner)).await;
            }
            inner.world.counters.passed();
            continue;
        }
        let pass = async {
            instances::keep_running(&inner, &mut memory).await;
            if checked.elapsed() >= HEALTH {
                checked = Instant::now();
                instances::check_health(&inner, &mut memory).await;
            }
            if looked.elapsed() >= LEFTOVERS {
                looked = Instant::now();
                // First: instances to which requests go stay.
                routes::correct(&inner).await;
                leftovers::clean(&inner, &mut suspects).await;
            }
            if cleaned.elapsed() >= CLEAN {
                cleaned = Instant::now();
                boot::clean_old(&inner).await;
            }
        };
        stopping.run_until_cancelled(pass).await;
        inner.world.counters.passed();
    }
}

/// What the server before was about to do, or had no time for any more.
async fn take_over(inner: &Inner) {
    tracing::info!("this server looks after the machine's instances and ingress from now on");
    if let Err(e) = inner.announce().await {
        tracing::warn!("clients on this machine can't be told of this server: {e}");
    }
    if let Err(e) = boot(inner).await {
        tracing::warn!("what the server before has left can't be looked at: {e}");
    }
}
