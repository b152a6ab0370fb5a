//! Messages on their way: an attempt at a time for each channel, a few channels at the same time.

use std::collections::HashMap;
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use domain::access::Sees;
use domain::audit::{self, ActorKind, Detail, Draft, Via};
use domain::channel::DeliveryState;
use domain::notice::{ATTEMPTS, Digest, KINDS, next_attempt, notice};
use domain::{ChannelId, DeliveryId};
use notify::{Failure, Message, Receipt, Then};
use operations::Error;
use operations::channels::Tested;
use serde_json::json;
use store::channels::Channel;
use store::deliveries::{self, Attempt, Delivery, Group};
use store::events::{Stretch, first_of};
use store::{StoreError, leases};
use tokio::task::{Id, JoinSet};
use ulid::Ulid;

use super::{PAUSE, driver};
use crate::Control;
use crate::caller::Principal;
use crate::error::store_error;

/// Channels that are sent to at the same time.
const AT_ONCE: usize = 8;
/// Messages that are looked at, at most one of each channel is sent.
const LOOKED_AT: u64 = 64;
/// Events that one message can tell of.
const MOST: u64 = 10_000;
/// When the last attempt of a message, cut short with its server, is made once more.
const LAST: TimeDelta = TimeDelta::hours(12);
/// What the audit log calls it when a channel is disabled because its receiver wants nothing more: nobody can ask for it.
const OPERATION: &str = "channels.disable";

/// Attempts that are under way. Dropped, they end.
#[derive(Default)]
pub(super) struct Post {
    under_way: JoinSet<()>,
    busy: HashMap<Id, ChannelId>,
}

impl Post {
    /// Begins what is due, and tells when something is due next.
    pub(super) async fn send(&mut self, control: &Control, epoch: u64) -> Result<Option<DateTime<Utc>>, Error> {
        while let Some(done) = self.under_way.try_join_next_with_id() {
            self.free(done);
        }
        let store = control.store();
        while self.busy.len() < AT_ONCE {
            let now = store::time::micros(store::clock::now());
            let due = deliveries::due(store, now, &self.channels(), LOOKED_AT).await.map_err(store_error)?;
            if due.is_empty() {
                return deliveries::next_due(store, &self.channels()).await.map_err(store_error);
            }
            for delivery in due {
                if self.busy.len() < AT_ONCE && !self.busy.values().any(|channel| *channel == delivery.channel) {
                    let channel = delivery.channel.clone();
                    let begun = self.under_way.spawn(attempt(control.clone(), epoch, delivery));
                    self.busy.insert(begun.id(), channel);
                }
            }
        }
        // The end of one of them says when to look again.
        Ok(None)
    }

    /// When one of them has ended; never when there is none.
    pub(super) async fn ended(&mut self) {
        match self.under_way.join_next_with_id().await {
            Some(done) => self.free(done),
            None => std::future::pending().await,
        }
    }

    fn free(&mut self, done: Result<(Id, ()), tokio::task::JoinError>) {
        let id = match &done {
            Ok((id, ())) => *id,
            Err(e) => e.id(),
        };
        self.busy.remove(&id);
        if let Err(e) = done
            && e.is_panic()
        {
            tracing::error!("an attempt to deliver panicked: {e}");
        }
    }

    fn channels(&self) -> Vec<ChannelId> {
        self.busy.values().cloned().collect()
    }
}

/// One attempt, with what comes of it.
async fn attempt(control: Control, epoch: u64, delivery: Delivery) {
    let tried = async {
        let Some(channel) = store::channels::find(control.store(), &delivery.channel).await? else { return Ok(()) };
        let digest = digest(&control, &channel, &delivery).await?;
        let now = store::time::micros(store::clock::now());
        if digest.count() == 0 {
            let outcome = judge(&delivery, None, delivery.title.clone(), now);
            return note(&control, epoch, &delivery, &outcome).await;
        }
        // Before anything is sent: where nothing can be written nobody is told anything, and what a crash cuts short has failed.
        let Some(delivery) = claim(&control, epoch, &delivery, now).await? else { return Ok(()) };
        let title = digest.title();
        let message = message(&control, delivery.id.clone(), delivery.created_at, delivery.attempts, digest);
        let result = deliver(&control, &channel, &message).await;
        let outcome = judge(&delivery, Some(result), title, store::time::micros(store::clock::now()));
        note_at_last(&control, epoch, &delivery, &outcome).await;
        Ok(())
    };
    if let Err(e) = tried.await {
        tracing::warn!(delivery = %delivery.id, "a message can't be delivered, or it can't be noted: {e}");
        // It is due all the same: the database is not asked without pause.
        tokio::time::sleep(PAUSE).await;
    }
}

/// `None` when somebody has asked for it anew meanwhile.
async fn claim(
    control: &Control,
    epoch: u64,
    delivery: &Delivery,
    now: DateTime<Utc>,
) -> Result<Option<Delivery>, StoreError> {
    let until = next_attempt(delivery.attempts + 1, now, None).unwrap_or(now + LAST);
    let tx = control.store().write().await?;
    leases::check(&tx, leases::LEADER, epoch).await?;
    let claimed = deliveries::claim(&tx, delivery, until).await?;
    tx.commit().await?;
    Ok(claimed)
}

/// What was sent is not sent again because that can't be written: it is noted once it can be, unless another server leads by then.
async fn note_at_last(control: &Control, epoch: u64, delivery: &Delivery, outcome: &Outcome) {
    let mut told = false;
    loop {
        match note(control, epoch, delivery, outcome).await {
            Ok(()) => return,
            Err(e @ StoreError::Fenced { .. }) => {
                return tracing::warn!(delivery = %delivery.id, "what came of a message is not noted: {e}");
            }
            Err(e) if !told => {
                tracing::warn!(delivery = %delivery.id, "what came of a message can't be noted yet: {e}");
                told = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What the message tells of, from the events as they are in the log.
async fn digest(control: &Control, channel: &Channel, delivery: &Delivery) -> Result<Digest, StoreError> {
    let (after, until) = (delivery.first_event - 1, delivery.last_event);
    let stretch = Stretch { kinds: &KINDS, sees: &Sees::All, after, until };
    let events = first_of(control.store(), &stretch, MOST).await?;
    let wants = channel.wants();
    let notices = events.iter().filter_map(notice);
    Ok(match delivery.group {
        // It was wanted when it happened.
        Group::Alone => notices.collect(),
        Group::Many => notices.filter(|notice| wants.includes(notice)).collect(),
    })
}

fn message(control: &Control, id: DeliveryId, at: DateTime<Utc>, attempt: u32, digest: Digest) -> Message {
    Message { id: id.to_string(), at, attempt, digest, ui: control.inner.options.public_url.clone() }
}

async fn deliver(control: &Control, channel: &Channel, message: &Message) -> Result<Receipt, Failure> {
    match driver::way(control, channel).await {
        Ok(way) => match way.driver.deliver(message).await {
            Ok(receipt) => {
                let missed = receipt.missed.map(|missed| way.redactor.clean_cut(&missed));
                Ok(Receipt { said: way.redactor.clean_cut(&receipt.said), missed, ..receipt })
            }
            Err(failure) => Err(Failure { why: way.redactor.clean_cut(&failure.why), ..failure }),
        },
        // People put it right.
        Err(why) => Err(Failure { status: None, why, then: Then::Again(None) }),
    }
}

/// What becomes of a message and of its channel. Pure.
struct Outcome {
    attempt: Attempt,
    channel: Health,
}

enum Health {
    Unknown,
    Works,
    Fails,
    Disable,
}

/// `result` is none when there was nothing to be told any more; else `delivery` counts the attempt that it is of.
fn judge(delivery: &Delivery, result: Option<Result<Receipt, Failure>>, title: String, now: DateTime<Utc>) -> Outcome {
    let attempt =
        |state, due_at, status, error| Attempt { state, due_at, status, error, title: title.clone(), at: now };
    let failed = |failure: Failure, channel| Outcome {
        attempt: attempt(DeliveryState::Failed, now, failure.status, Some(failure.why)),
        channel,
    };
    match result {
        None => {
            let why = "nothing of what it told of is in the log any more, or wanted by the channel".to_owned();
            Outcome { attempt: attempt(DeliveryState::Dropped, now, None, Some(why)), channel: Health::Unknown }
        }
        Some(Ok(receipt)) => Outcome {
            attempt: attempt(DeliveryState::Sent, now, receipt.status, receipt.missed),
            channel: Health::Works,
        },
        Some(Err(failure)) => match failure.then {
            Then::Disable => failed(failure, Health::Disable),
            Then::GiveUp => failed(failure, Health::Fails),
            Then::Again(asked) => match next_attempt(delivery.attempts, now, asked) {
                None => failed(failure, Health::Fails),
                Some(due_at) => Outcome {
                    attempt: attempt(DeliveryState::Waiting, due_at, failure.status, Some(failure.why)),
                    channel: Health::Fails,
                },
            },
        },
    }
}

async fn note(control: &Control, epoch: u64, delivery: &Delivery, outcome: &Outcome) -> Result<(), StoreError> {
    let Outcome { attempt, channel } = outcome;
    let tx = control.store().write().await?;
    // Whoever leads by now sends it, or has sent it, too.
    leases::check(&tx, leases::LEADER, epoch).await?;
    deliveries::attempted(&tx, delivery, attempt).await?;
    match channel {
        Health::Unknown => {}
        Health::Works => store::channels::works(&tx, &delivery.channel).await?,
        Health::Fails => store::channels::fails(&tx, &delivery.channel, attempt.at).await?,
        Health::Disable => {
            // People may have done so meanwhile.
            if let Some(found) = store::channels::find(&tx, &delivery.channel).await?.filter(|found| found.enabled) {
                store::audit::append(&tx, &control.audit_keys(), record(&found, attempt)).await?;
            }
            store::channels::fails(&tx, &delivery.channel, attempt.at).await?;
            store::channels::disable(&tx, &delivery.channel).await?;
            let why = "the receiver wants nothing more, and the channel was disabled";
            deliveries::drop_waiting(&tx, &delivery.channel, why, attempt.at).await?;
        }
    }
    tx.commit().await?;
    let (channel, state, error) = (&delivery.channel, attempt.state, attempt.error.as_deref().unwrap_or_default());
    match state {
        DeliveryState::Sent => tracing::debug!(delivery = %delivery.id, %channel, "a message was delivered"),
        _ => tracing::info!(delivery = %delivery.id, %channel, %state, "a message was not delivered: {error}"),
    }
    Ok(())
}

/// That its receiver has ended it, as no person has.
fn record(channel: &Channel, attempt: &Attempt) -> Draft {
    let detail = json!({
        "channel": channel.name, "kind": channel.kind, "status": attempt.status, "why": attempt.error,
    });
    let (app_id, app) = channel.app.clone().unzip();
    Draft {
        at: attempt.at,
        actor: Principal::System.id().to_owned(),
        actor_kind: ActorKind::System,
        actor_name: "the server".to_owned(),
        token: None,
        via: Via::Tick,
        address: None,
        request: None,
        operation: OPERATION.to_owned(),
        app_id,
        app,
        environment: None,
        target: Some(channel.id.to_string()),
        outcome: audit::Outcome::Done,
        of: None,
        detail: Detail::new(detail),
    }
}

/// One message now, for whoever wants to see whether it arrives. It is in no list.
pub(crate) async fn test(control: &Control, channel: &Channel) -> Tested {
    let now = store::time::micros(store::clock::now());
    let digest = Digest::from_iter([domain::notice::test(&channel.name, now)]);
    // There is no later one.
    let message = message(control, DeliveryId::from_ulid(Ulid::generate()), now, ATTEMPTS, digest);
    let began = Instant::now();
    let result = deliver(control, channel, &message).await;
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    match result {
        Ok(Receipt { status, said, missed }) => Tested { arrived: true, status, said: missed.unwrap_or(said), took_ms },
        Err(Failure { status, why, .. }) => Tested { arrived: false, status, said: why, took_ms },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn delivery(attempts: u32) -> Delivery {
        let now = DateTime::UNIX_EPOCH;
        Delivery {
            id: DeliveryId::from_ulid(Ulid::from_parts(1, 1)),
            channel: ChannelId::from_ulid(Ulid::from_parts(1, 2)),
            first_event: 1,
            last_event: 1,
            count: 1,
            group: Group::Alone,
            title: "shop production: deployment failed".to_owned(),
            state: DeliveryState::Waiting,
            attempts,
            due_at: now,
            status: None,
            error: None,
            created_at: now,
            done_at: None,
        }
    }

    fn judged(attempts: u32, then: Then) -> Outcome {
        let failure = Failure { status: Some(500), why: "answered 500".to_owned(), then };
        judge(&delivery(attempts), Some(Err(failure)), String::new(), DateTime::UNIX_EPOCH)
    }

    #[test]
    fn a_message_is_tried_eight_times_over_a_day_and_then_given_up() {
        let after = |attempts| {
            let Outcome { attempt, channel } = judged(attempts, Then::Again(None));
            assert!(matches!(channel, Health::Fails));
            (attempt.state, (attempt.due_at - DateTime::UNIX_EPOCH).num_seconds())
        };
        let due: Vec<_> = (1..=8).map(after).collect();
        let waits = [10, 60, 300, 1800, 7200, 21_600, 43_200].map(|seconds| (DeliveryState::Waiting, seconds));
        assert_eq!(due[..7], waits);
        assert_eq!(due[7].0, DeliveryState::Failed);
    }

    #[test]
    fn who_is_gone_is_left_alone_and_who_would_refuse_again_is_asked_once() {
        let gone = judged(1, Then::Disable);
        assert!(matches!((gone.attempt.state, gone.channel), (DeliveryState::Failed, Health::Disable)));
        let never = judged(1, Then::GiveUp);
        assert!(matches!((never.attempt.state, never.channel), (DeliveryState::Failed, Health::Fails)));
        let asked = judged(1, Then::Again(Some(TimeDelta::seconds(90))));
        assert_eq!(asked.attempt.due_at, DateTime::UNIX_EPOCH + TimeDelta::seconds(90));
        let missed = Some("sent to 1 of 2; nobody of that name".to_owned());
        let receipt = Receipt { status: Some(250), said: "queued".to_owned(), missed: missed.clone() };
        let partly = judge(&delivery(1), Some(Ok(receipt)), String::new(), DateTime::UNIX_EPOCH);
        assert_eq!((partly.attempt.state, partly.attempt.error), (DeliveryState::Sent, missed));
        let nothing = judge(&delivery(0), None, String::new(), DateTime::UNIX_EPOCH);
        assert!(matches!((nothing.attempt.state, nothing.channel), (DeliveryState::Dropped, Health::Unknown)));
    }
}
