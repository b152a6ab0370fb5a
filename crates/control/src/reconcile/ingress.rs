//! The ingress: alive, its listening sockets held in case it dies, with the certificates of the store.

use std::sync::Weak;
use std::time::{Duration, Instant};

use ingress::EnsureError;
use tokio_util::sync::CancellationToken;

use crate::certificates::{bring_in_line, warn_of_ends};
use crate::control::Inner;

/// Between two looks.
const TICK: Duration = Duration::from_secs(1);
/// Between two looks at the certificates.
const CERTIFICATES: Duration = Duration::from_secs(30);
/// Between two warnings of certificates that expire.
const WARN: Duration = Duration::from_secs(24 * 3600);
/// Connections wait so long for an ingress that can't be started; then they are refused.
const HOLD: Duration = Duration::from_secs(20);

/// Until the server stops. An ingress that ends is noticed at once.
pub(crate) async fn run(inner: Weak<Inner>, stopping: CancellationToken) {
    let mut seen = Seen::default();
    loop {
        let Some(strong) = inner.upgrade() else { return };
        let holder = strong.holder.clone();
        // Another server of the machine may look after it.
        let duty = strong.member.has_duty();
        if duty && stopping.run_until_cancelled(keep(&strong, &mut seen)).await.is_none() {
            return;
        }
        drop(strong);
        let pause = async {
            tokio::select! {
                () = holder.lost(), if duty => {}
                () = tokio::time::sleep(TICK) => {}
            }
        };
        if stopping.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}

/// What a pass remembers of the ones before.
#[derive(Default)]
struct Seen {
    gone_since: Option<Instant>,
    compared: Option<Instant>,
    warned: Option<Instant>,
    pid: u32,
    /// What it said last that is not in order.
    degraded: Option<String>,
}

/// Starts the ingress again when it is gone. It loads its own table, so nothing else is to be done.
async fn keep(inner: &Inner, seen: &mut Seen) {
    let _turn = inner.ingress_turn.lock().await;
    let pid = match inner.world.ingress.status().await {
        Ok(status) => {
            seen.gone_since = None;
            let pid = status.pid;
            tell(inner, seen, status).await;
            Some(pid)
        }
        Err(_) => start(inner, seen).await,
    };
    let Some(pid) = pid else { return };
    if !inner.holder.is_attached()
        && let Err(e) = inner.holder.attach().await
    {
        tracing::debug!("the ingress's sockets can't be held: {e}");
    }
    if seen.pid != pid || seen.compared.is_none_or(|at| at.elapsed() >= CERTIFICATES) {
        match bring_in_line(inner).await {
            Ok(()) => (seen.pid, seen.compared) = (pid, Some(Instant::now())),
            Err(e) => tracing::warn!("the ingress's certificates are not in line: {e}"),
        }
    }
    if seen.warned.is_none_or(|at| at.elapsed() >= WARN) {
        seen.warned = Some(Instant::now());
        warn_of_ends(inner).await;
    }
}

/// What is not in order is told once. Routes that the ingress could not read back are put again.
async fn tell(inner: &Inner, seen: &mut Seen, status: ingress::Status) {
    if status.degraded == seen.degraded {
        return;
    }
    match &status.degraded {
        Some(why) => tracing::error!(why, "the ingress is not quite well"),
        None => tracing::info!("the ingress is well again"),
    }
    if !status.damaged.is_empty() {
        super::routes::restore(inner).await;
    }
    seen.degraded = status.degraded;
}

async fn start(inner: &Inner, seen: &mut Seen) -> Option<u32> {
    let options = &inner.options;
    match inner.holder.ensure(&options.binary, options.ingress.clone()).await {
        Ok(client) => {
            tracing::warn!("the ingress was gone; started it again");
            seen.gone_since = None;
            client.status().await.ok().map(|status| status.pid)
        }
        Err(e) => {
            match &e {
                EnsureError::NotReplaced { .. } => tracing::error!("{e}"),
                _ => tracing::error!("the ingress is gone and can't be started: {e}"),
            }
            if seen.gone_since.get_or_insert_with(Instant::now).elapsed() > HOLD {
                inner.holder.forget();
            }
            None
        }
    }
}
