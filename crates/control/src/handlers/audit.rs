//! Looking at the audit log, and whether it is as it was written.

use domain::Name;
use domain::audit::{Anchor, InvalidAnchor, Link, Record};
use futures::stream;
use operations::audit::{ExportRequest, Fault, List, ListRequest, Verified, Verify, VerifyRequest};
use operations::{Error, Page};
use store::audit::Filter;

use super::{app_named, check_word, page_cursor, page_limit};
use crate::Control;
use crate::access::Admitted;
use crate::caller::Handle;
use crate::error::store_error;
use crate::streams::Messages;

/// Records of an export that are read at once.
const PAGE: u64 = 500;

impl Handle<List> for Control {
    async fn handle(&self, _: &Admitted, request: ListRequest) -> Result<Page<Record>, Error> {
        let ListRequest { app, actor, operation, target, outcome, since, until, cursor, limit } = request;
        let limit = page_limit(limit)?;
        let before = page_cursor::<u64>(cursor.as_deref())?;
        let filter = Filter { actor, operation, target, outcome, since, until, app: None };
        let filter = self.audit_filter(filter, app.as_ref()).await?;
        let records = store::audit::list(self.store(), &filter, before, u64::from(limit) + 1).await;
        Ok(Page::of(records.map_err(store_error)?, limit, |record: &Record| record.seq.to_string()))
    }
}

impl Handle<Verify> for Control {
    async fn handle(&self, _: &Admitted, request: VerifyRequest) -> Result<Verified, Error> {
        let anchor = request.anchor.as_deref().map(str::parse::<Anchor>).transpose();
        let anchor = anchor.map_err(|e: InvalidAnchor| {
            Error::unprocessable(e.to_string()).hint("`plimsoll audit verify` prints one; the server's log has others")
        })?;
        let found = store::audit::verify(self.store(), &self.audit_keys(), anchor).await.map_err(store_error)?;
        Ok(match found {
            Ok(report) => Verified {
                sound: true,
                records: report.records,
                anchor: (report.records > 0)
                    .then(|| Anchor(Link { seq: report.records, hash: report.head }).to_string()),
                unchecked: report.unchecked,
                fault: None,
            },
            Err(fault) => {
                tracing::error!("the audit log is not as it was written: {fault}");
                let what = fault.to_string();
                Verified {
                    sound: false,
                    records: fault.seq.saturating_sub(1),
                    anchor: None,
                    unchecked: 0,
                    fault: Some(Fault { seq: fault.seq, what }),
                }
            }
        })
    }
}

impl Control {
    /// The records that there are by now, the oldest first, some at a time.
    pub async fn export_audit(&self, _: &Admitted, request: ExportRequest) -> Result<Messages<Vec<Record>>, Error> {
        let ExportRequest { app, actor, operation, target, outcome, since, until } = request;
        let filter = Filter { actor, operation, target, outcome, since, until, app: None };
        let filter = self.audit_filter(filter, app.as_ref()).await?;
        // What is written meanwhile is for the next one: reading must not go on as long as others write.
        let end = store::audit::last(self.store()).await.map_err(store_error)?.seq;
        let pages = stream::try_unfold((self.clone(), filter, 0), move |(control, filter, after)| async move {
            let page = store::audit::after(control.store(), &filter, after, end, PAGE).await.map_err(store_error)?;
            Ok(page.last().map(|last| last.seq).map(|last| (page, (control, filter, last))))
        });
        Ok(Box::pin(pages))
    }

    async fn audit_filter(&self, filter: Filter, app: Option<&Name>) -> Result<Filter, Error> {
        for (name, word) in [("actor", &filter.actor), ("operation", &filter.operation), ("target", &filter.target)] {
            check_word(name, word.as_deref())?;
        }
        let app = match app {
            Some(app) => Some(app_named(self.store(), app).await?.id),
            None => None,
        };
        Ok(Filter { app, ..filter })
    }
}
