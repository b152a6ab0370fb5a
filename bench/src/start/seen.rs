//! What the server's stream of events has told, with the time at which it came.

use std::collections::HashMap;

use domain::DeploymentId;
use domain::event::{Event, EventKind};
use domain::phase::Phase;
use futures::StreamExt;
use operations::Client;
use operations::client::CallError;
use operations::stream::EVENTS;
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);

pub(super) struct Seen {
    events: mpsc::UnboundedReceiver<(Instant, Event)>,
    times: HashMap<DeploymentId, (Option<Instant>, Option<Instant>)>,
}

/// When the news of a deployment's first step came, and of its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) began: Instant,
    pub(super) ended: Instant,
}

impl Seen {
    /// From now on.
    pub(super) async fn follow(client: &Client) -> Result<Self, CallError> {
        let mut messages = client.stream(EVENTS, None).await?;
        let (sender, events) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(Ok(message)) = messages.next().await {
                let at = Instant::now();
                if let Ok(event) = serde_json::from_str(&message.data)
                    && sender.send((at, event)).is_err()
                {
                    return;
                }
            }
        });
        Ok(Self { events, times: HashMap::new() })
    }

    /// Waits until a deployment has ended.
    ///
    /// # Panics
    /// When no news of that comes.
    pub(super) async fn ended(&mut self, id: &DeploymentId) -> Times {
        loop {
            if let Some((Some(began), Some(ended))) = self.times.get(id) {
                return Times { began: *began, ended: *ended };
            }
            let next = tokio::time::timeout(LIMIT, self.events.recv()).await;
            let (at, event) = next.expect("news of a deployment come in time").expect("the stream goes on");
            let Some(deployment) = event.deployment else { continue };
            let times = self.times.entry(deployment).or_default();
            match event.kind {
                EventKind::PhaseChanged { phase, .. } if phase != Phase::Queued => {
                    times.0.get_or_insert(at);
                }
                EventKind::DeploymentFinished { .. } => {
                    times.1.get_or_insert(at);
                }
                _ => {}
            }
        }
    }
}
