//! Messages to channels, and what became of them.

use domain::DeliveryId;
use domain::channel::DeliveryState;
use operations::deliveries::{Delivery, List, ListRequest, Resend, ResendRequest};
use operations::{Error, Page};
use store::deliveries::Delivery as Record;

use super::channels::channel_with;
use super::{commit, page_cursor, page_limit};
use crate::Control;
use crate::access::Admitted;
use crate::caller::Handle;
use crate::error::store_error;

impl Handle<List> for Control {
    async fn handle(&self, _: &Admitted, request: ListRequest) -> Result<Page<Delivery>, Error> {
        let limit = page_limit(request.limit)?;
        let before = page_cursor::<DeliveryId>(request.cursor.as_deref())?;
        let channel = channel_with(self.store(), &request.channel).await?;
        let rows = store::deliveries::list(self.store(), &channel.id, before.as_ref(), u64::from(limit) + 1).await;
        let rows = rows.map_err(store_error)?.into_iter().map(shown).collect();
        Ok(Page::of(rows, limit, |delivery: &Delivery| delivery.id.to_string()))
    }
}

impl Handle<Resend> for Control {
    async fn handle(&self, who: &Admitted, request: ResendRequest) -> Result<Delivery, Error> {
        let tx = self.write().await?;
        let channel = channel_with(&tx, &request.channel).await?;
        let found = store::deliveries::find(&tx, &request.delivery).await.map_err(store_error)?;
        let found = found.filter(|delivery| delivery.channel == channel.id).ok_or_else(|| {
            Error::not_found(format!("the channel has no delivery `{}`", request.delivery))
                .hint(format!("list them with `plimsoll channels deliveries {}`", channel.id))
        })?;
        if !channel.enabled {
            return Err(Error::conflict("the channel is disabled, and nothing is sent to it")
                .hint(format!("enable it first: `plimsoll channels update {} --enable`", channel.id)));
        }
        store::deliveries::again(&tx, &found.id, store::time::micros(store::clock::now()))
            .await
            .map_err(store_error)?;
        let again = store::deliveries::find(&tx, &found.id).await.map_err(store_error)?.ok_or_else(Error::internal)?;
        who.noted().target(&again.id);
        let response = shown(again);
        let recorded = self.conclude::<Resend>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        Ok(response)
    }
}

fn shown(record: Record) -> Delivery {
    Delivery {
        id: record.id,
        channel: record.channel,
        state: record.state,
        title: record.title,
        count: record.count.into(),
        first_event: record.first_event,
        last_event: record.last_event,
        attempts: record.attempts,
        due_at: (record.state == DeliveryState::Waiting).then_some(record.due_at),
        status: record.status,
        error: record.error,
        created_at: record.created_at,
        done_at: record.done_at,
    }
}
