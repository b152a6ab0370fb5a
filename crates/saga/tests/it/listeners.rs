//! Listeners hear everything in order and change nothing.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use saga::{Cancel, Cause, Fence, Listener, Notice, OutcomeOf};

use crate::scripted::{Act, Error, G, Stand, State, id};

#[derive(Default)]
struct Scribe(Mutex<Vec<String>>);

impl Scribe {
    fn note(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }
}

#[async_trait]
impl Listener<G> for Scribe {
    async fn on_transition(&self, notice: &Notice<G>) {
        assert_eq!(notice.after.next_seq(), notice.record.seq + 1);
        self.note(notice.record.event.name().to_owned());
    }
    async fn on_stage_start(&self, _: &Notice<G>, stage: &str, attempt: u32) {
        self.note(format!("  start {stage} {attempt}"));
    }
    async fn on_stage_complete(&self, _: &Notice<G>, stage: &str) {
        self.note(format!("  complete {stage}"));
    }
    async fn on_stage_failure(&self, _: &Notice<G>, stage: &str, error: &Error, retry_at: Option<DateTime<Utc>>) {
        self.note(format!("  failure {stage} {error}{}", if retry_at.is_some() { " again" } else { "" }));
    }
    async fn on_rollback(&self, _: &Notice<G>, why: &Cause<Error>) {
        self.note(format!("  rollback {why}"));
    }
    async fn on_complete(&self, _: &Notice<G>, state: &State) {
        self.note(format!("  complete {}", state.done.join(" ")));
    }
    async fn on_failure(&self, _: &Notice<G>, outcome: &OutcomeOf<G>) {
        self.note(format!("  failure {}", outcome.name()));
    }
}

struct Panicking;

#[async_trait]
impl Listener<G> for Panicking {
    async fn on_transition(&self, _: &Notice<G>) {
        panic!("a listener panics");
    }
}

struct Sleeping;

#[async_trait]
impl Listener<G> for Sleeping {
    async fn on_transition(&self, _: &Notice<G>) {
        std::future::pending().await
    }
}

async fn heard(stand: &Stand) -> Vec<String> {
    let scribe = Arc::new(Scribe::default());
    let listeners: Vec<Arc<dyn Listener<G>>> = vec![Arc::new(Panicking), Arc::new(Sleeping), scribe.clone()];
    let engine =
        stand.engine_over(Arc::new(stand.journal.clone()), listeners).listener_grace(Duration::from_millis(300));
    let begun = Instant::now();
    engine.start(&id(), Fence(1), stand.state.clone()).await.unwrap();
    engine.run(&id(), Fence(1), &Cancel::new()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
    scribe.0.lock().unwrap().clone()
}

#[tokio::test]
async fn of_a_failure() {
    let stand = Stand::default();
    stand.world.script("run a", [Act::Retry]);
    stand.world.script("run b", [Act::Permanent]);
    let expected = [
        "started",
        "stage_started",
        "  start a 1",
        "stage_failed",
        "  failure a Scripted(\"run a\") again",
        "stage_started",
        "  start a 2",
        "stage_finished",
        "  complete a",
        "stage_started",
        "  start b 1",
        "stage_failed",
        "  failure b Scripted(\"run b\")",
        "  rollback stage b failed: Scripted(\"run b\")",
        "undo_started",
        "undo_finished",
        "undo_started",
        "undo_finished",
        "undone",
        "  failure undone",
    ];
    assert_eq!(heard(&stand).await, expected);
}

#[tokio::test]
async fn of_a_success() {
    let heard = heard(&Stand::default()).await;
    assert_eq!(heard.last().unwrap(), "  complete a b p f");
    assert_eq!(heard.iter().filter(|note| note.starts_with("  start")).count(), 4);
}
