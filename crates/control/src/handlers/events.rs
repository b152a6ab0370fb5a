//! The event log.

use domain::event::Event;
use operations::events::{List, ListRequest};
use operations::{Error, Page};
use store::events::Filter;

use super::page_limit;
use crate::Control;
use crate::access::Admitted;
use crate::caller::Handle;
use crate::error::store_error;

impl Handle<List> for Control {
    async fn handle(&self, who: &Admitted, request: ListRequest) -> Result<Page<Event>, Error> {
        let limit = page_limit(request.limit)?;
        // Names of what is gone are fine: its events stay.
        let ListRequest { app, environment, deployment, after, .. } = request;
        let filter = Filter { app, environment, deployment, sees: who.sees() };
        let events = store::events::list(self.store(), &filter, after.unwrap_or(0), u64::from(limit) + 1)
            .await
            .map_err(store_error)?;
        Ok(Page::of(events, limit, |event| event.cursor.to_string()))
    }
}
