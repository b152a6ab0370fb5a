//! The event log.

use domain::event::Event;
use operations::events::{List, ListRequest};
use operations::{Error, Page};
use store::events::Filter;

use super::page_limit;
use crate::Control;
use crate::caller::{Caller, Handle};
use crate::error::store_error;

impl Handle<List> for Control {
    async fn handle(&self, _: &Caller, request: ListRequest) -> Result<Page<Event>, Error> {
        let limit = page_limit(request.limit)?;
        // Names of what is gone are fine: its events stay.
        let filter = Filter { app: request.app, environment: request.environment, deployment: request.deployment };
        let events = store::events::list(self.store(), &filter, request.after.unwrap_or(0), u64::from(limit) + 1)
            .await
            .map_err(store_error)?;
        Ok(Page::of(events, limit, |event| event.cursor.to_string()))
    }
}
