//! Exit codes: what a script can know without reading a word.

use operations::ErrorKind;

/// How the program ends. The numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Internal = 1,
    Usage = 2,
    NotFound = 3,
    Conflict = 4,
    Unauthorized = 5,
    DeploymentFailed = 6,
    Cancelled = 7,
    Unreachable = 8,
    Invalid = 9,
    Unwell = 10,
    Interrupted = 130,
}

/// The table as `--help` shows it.
pub(crate) const TABLE: &str = "\
Exit codes:
  0    it worked
  1    a bug or a broken machine; the server's log says more
  2    the command line is wrong, or an answer was needed and nobody was there to give it
  3    no such app, environment, deployment, release, upload, token or certificate
  4    not possible in the present state: already there, in use, too old; a promotion that is blocked, a plan that would fail
  5    a valid API token is needed, or one that may do more
  6    the deployment failed, was rolled back or is stuck; a smoke test failed
  7    the deployment was cancelled; or a question was answered with no
  8    the server can't be reached, is not ready, or wants fewer requests
  9    the input, the source or its plimsoll.toml is wrong, or too large
  10   plimsoll doctor found something that must be put right; plimsoll audit verify found a log that is not as it was written
  130  interrupted with Ctrl-C; a deployment goes on without you";

impl Exit {
    pub(crate) fn code(self) -> u8 {
        self as u8
    }
}

impl From<ErrorKind> for Exit {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Invalid | ErrorKind::Unprocessable | ErrorKind::TooLarge => Exit::Invalid,
            ErrorKind::Unauthorized | ErrorKind::Forbidden | ErrorKind::ConfirmIdentity | ErrorKind::ReadOnly => {
                Exit::Unauthorized
            }
            ErrorKind::NotFound => Exit::NotFound,
            ErrorKind::Conflict => Exit::Conflict,
            ErrorKind::Unavailable | ErrorKind::RateLimited => Exit::Unreachable,
            ErrorKind::Internal => Exit::Internal,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_have_the_same_table() {
        let plain = |text: &str| text.replace('`', "");
        let documents = [include_str!("../../../docs/guide.md"), include_str!("../../../docs/errors.md")].map(plain);
        for line in TABLE.lines().skip(1) {
            let (code, meaning) = line.trim().split_once(' ').unwrap();
            let row = format!("| {code} | {} |", meaning.trim());
            assert!(documents.iter().all(|text| text.contains(&row)), "{row}");
        }
    }

    #[test]
    fn each_code_stands_in_the_table_and_each_kind_of_error_has_one() {
        let all = [
            Exit::Internal,
            Exit::Usage,
            Exit::NotFound,
            Exit::Conflict,
            Exit::Unauthorized,
            Exit::DeploymentFailed,
            Exit::Cancelled,
            Exit::Unreachable,
            Exit::Invalid,
            Exit::Unwell,
            Exit::Interrupted,
        ];
        for exit in all {
            assert!(TABLE.contains(&format!("\n  {:<5}", exit.code())), "{exit:?} is not documented");
        }
        let codes: Vec<u8> = ErrorKind::ALL.into_iter().map(|kind| Exit::from(kind).code()).collect();
        assert_eq!(codes, [9, 5, 5, 5, 5, 3, 4, 9, 9, 8, 8, 1]);
    }
}
