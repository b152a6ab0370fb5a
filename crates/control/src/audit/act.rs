//! What can't be done in one transaction: it is recorded before it begins, and when it has ended.

use std::marker::PhantomData;

use domain::audit::Outcome;
use operations::{Error, Operation};

use super::{Recorded, commit};
use crate::Control;
use crate::access::Admitted;

/// Something that has begun, and is in the log as begun. One without an end in the log was cut short with the server.
#[must_use = "say how it ended"]
pub(crate) struct Act<'a, O> {
    control: &'a Control,
    who: &'a Admitted,
    operation: PhantomData<fn(O)>,
}

impl Control {
    /// Records that `who` begins the operation. From here on every way out is by [`Act::end`].
    pub(crate) async fn begin_act<'a, O: Operation>(&'a self, who: &'a Admitted) -> Result<Act<'a, O>, Error> {
        let tx = self.write().await?;
        let seq = self.append(&tx, who.noted().draft(who, Outcome::Begun)).await?;
        commit(tx, Recorded(())).await?;
        who.noted().begun(seq);
        Ok(Act { control: self, who, operation: PhantomData })
    }
}

impl<O: Operation> Act<'_, O> {
    /// For a write that is a step of it.
    pub(crate) fn step(&self) -> Recorded {
        Recorded(())
    }

    /// Records how it ended, unless its last transaction has done so ([`Control::conclude`]).
    pub(crate) async fn end(self, result: Result<O::Response, Error>) -> Result<O::Response, Error> {
        let result = match result {
            Ok(response) if self.who.noted().is_concluded() => return Ok(response),
            Ok(response) => self.done(&response).await.map(|()| response),
            Err(error) => Err(error),
        };
        if let Err(error) = &result
            && let Err(e) = self.failed(error).await
        {
            tracing::warn!(operation = O::NAME, "that it failed is not in the audit log: {e}");
        }
        result
    }

    async fn done(&self, response: &O::Response) -> Result<(), Error> {
        let tx = self.control.write().await?;
        let recorded = self.control.conclude::<O>(&tx, self.who, response).await?;
        commit(tx, recorded).await
    }

    async fn failed(&self, error: &Error) -> Result<(), Error> {
        let tx = self.control.write().await?;
        self.who.noted().failed(error);
        let recorded = self.control.record(&tx, self.who.noted().draft(self.who, Outcome::Failed)).await?;
        commit(tx, recorded).await
    }
}
