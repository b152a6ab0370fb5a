//! Whether requests may be sent here, and what is in the way.

use std::time::Duration;

use operations::{Error, ErrorKind};
use serde::Serialize;

use crate::Control;

/// A database that takes longer to let a write begin is of no use to anybody who waits for an answer.
const WRITE_LIMIT: Duration = Duration::from_secs(5);
const INGRESS_LIMIT: Duration = Duration::from_secs(3);
/// It comes through each second; a pass that starts many instances takes longer.
const PASS_LIMIT: Duration = Duration::from_secs(300);

/// The result of looking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    pub checks: Vec<Check>,
}

/// One thing that was looked at. It tells nothing of the inside: everybody may ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub name: &'static str,
    pub ok: bool,
    pub detail: String,
}

impl Readiness {
    /// Nothing is in the way.
    ///
    /// # Errors
    /// `Unavailable`, with what is.
    pub fn verdict(&self) -> Result<(), Error> {
        let failed: Vec<&str> = self.checks.iter().filter(|c| !c.ok).map(|c| c.detail.as_str()).collect();
        match failed.is_empty() {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::Unavailable, failed.join("; "))
                .hint("the server's log says more, and so does `plimsoll doctor` on its machine")),
        }
    }
}

impl Control {
    /// Looks at what requests depend on. The API answers only after the boot's reconciliation, so that it is done
    /// whenever this can be asked.
    pub async fn ready(&self) -> Readiness {
        let (database, ingress) = tokio::join!(self.database_check(), self.ingress_check());
        Readiness { checks: vec![database, ingress, self.reconciler_check()] }
    }

    /// The reconciler comes through; otherwise the server should be started anew.
    pub fn is_alive(&self) -> bool {
        self.reconciler_check().ok
    }

    async fn database_check(&self) -> Check {
        let failed = |detail: &str| Check { name: "database", ok: false, detail: detail.to_owned() };
        match tokio::time::timeout(WRITE_LIMIT, self.store().may_write()).await {
            Ok(Ok(())) => Check { name: "database", ok: true, detail: "can be written".to_owned() },
            Ok(Err(e)) => {
                tracing::warn!("not ready: {e}");
                failed("the database can't be written")
            }
            Err(_) => {
                tracing::warn!("not ready: no write could begin within {} s", WRITE_LIMIT.as_secs());
                failed("the database does not let a write begin in time")
            }
        }
    }

    async fn ingress_check(&self) -> Check {
        let failed = || Check { name: "ingress", ok: false, detail: "the ingress does not answer".to_owned() };
        let Ok(status) = tokio::time::timeout(INGRESS_LIMIT, self.world().ingress.status()).await else {
            tracing::warn!("not ready: no answer of the ingress within {} s", INGRESS_LIMIT.as_secs());
            return failed();
        };
        match status {
            Ok(status) => {
                let detail = match status.degraded {
                    None => "answers",
                    // What is wrong names files and apps; it is told to those who have a token.
                    Some(_) => "answers, but is not quite well",
                };
                Check { name: "ingress", ok: true, detail: detail.to_owned() }
            }
            Err(e) => {
                tracing::warn!("not ready: {e}");
                failed()
            }
        }
    }

    fn reconciler_check(&self) -> Check {
        let since = self.world().counters.since_pass();
        let ok = since < PASS_LIMIT;
        let detail = match ok {
            true => "what should run was looked after a moment ago".to_owned(),
            false => format!("what should run was not looked after for {} s", since.as_secs()),
        };
        Check { name: "reconciler", ok, detail }
    }
}
