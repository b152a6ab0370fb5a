//! Asking before something is gone for good.

use std::io::{IsTerminal, stdin};

use crate::exit::Exit;
use crate::failure::Failure;

/// `Ok` when the user said yes, or `--yes` did.
pub(crate) fn confirm(yes: bool, what: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !stdin().is_terminal() {
        return Err(Failure::usage(format!("{what} needs an answer, and there is no terminal to ask at"))
            .hint("Say --yes if you are sure"));
    }
    let answer = dialoguer::Confirm::new().with_prompt(format!("{what}: are you sure?")).default(false).interact();
    match answer {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::with(Exit::Cancelled, operations::Error::conflict("nothing was changed"))),
        Err(e) => Err(Failure::usage(format!("can't ask: {e}")).hint("Say --yes if you are sure")),
    }
}
