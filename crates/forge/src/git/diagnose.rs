//! What git's words mean.

use super::url::GitUrl;
use crate::error::GitError;

/// The error behind the lines that a failed git printed, oldest first and without secrets.
pub(crate) fn diagnose(url: &GitUrl, doing: &str, lines: &[String]) -> GitError {
    let all = lines.join("\n").to_lowercase();
    let says = |words: &[&str]| words.iter().any(|w| all.contains(w));
    let place = url.to_string();
    let reason = reason(lines);
    if says(&["host key verification failed"]) {
        let hint =
            "add the host's key to the known_hosts of the server's user (ssh-keyscan), after you checked it".to_owned();
        return GitError::Authentication { place, reason: "its host key is not known here".to_owned(), hint };
    }
    if says(UNREACHABLE) {
        return GitError::Unreachable { place, reason };
    }
    if says(REFUSED) {
        let hint = if url.is_local() {
            "let the user of the server read it"
        } else if url.address().starts_with("http") {
            "give the server a credential helper, or a token in the address"
        } else {
            "give the server's user an ssh key that may read it"
        };
        return GitError::Authentication { place, reason, hint: hint.to_owned() };
    }
    if says(&["does not appear to be a git repository", "not a git repository", "not valid: is this a git repository"])
    {
        return if url.is_local() {
            GitError::NotARepository { place }
        } else {
            GitError::NotFound { what: format!("the repository {place}") }
        };
    }
    if says(&["repository not found", "returned error: 404", "' not found", "could not be found", "does not exist"]) {
        return GitError::NotFound { what: format!("the repository {place}") };
    }
    GitError::Failed { doing: doing.to_owned(), reason, last: lines.to_vec() }
}

/// The remote has no such commit, or gives out none that no branch points at.
pub(crate) fn lacks_commit(lines: &[String]) -> bool {
    lines.iter().any(|l| {
        l.contains("not our ref")
            || l.contains("unadvertised object")
            || l.contains("no such remote ref")
            || l.contains("couldn't find remote ref")
    })
}

/// The remote is a plain web server, which can't give a part of the history.
pub(crate) fn lacks_shallow(lines: &[String]) -> bool {
    lines.iter().any(|l| l.contains("does not support shallow") || l.contains("does not support --depth"))
}

const UNREACHABLE: &[&str] = &[
    "could not resolve host",
    "name or service not known",
    "temporary failure in name resolution",
    "connection refused",
    "connection timed out",
    "operation timed out",
    "operation too slow",
    "no route to host",
    "network is unreachable",
    "failed to connect",
    "couldn't connect",
    "could not connect",
    "connection reset",
    "connection closed by",
    "kex_exchange_identification",
    "banner exchange",
    "empty reply from server",
    // Broken off in the middle.
    "unexpected disconnect",
    "early eof",
    "ssl certificate problem",
    "server certificate verification failed",
    "unable to get local issuer certificate",
    "ssl_connect",
    "gnutls",
    "returned error: 5",
];

const REFUSED: &[&str] = &[
    "authentication failed",
    "could not read username",
    "could not read password",
    "permission denied",
    "access denied",
    "returned error: 401",
    "returned error: 403",
    "terminal prompts disabled",
    "too many authentication failures",
];

/// The line that says most, without git's `fatal:` in front.
fn reason(lines: &[String]) -> String {
    const GENERAL: [&str; 3] =
        ["Could not read from remote repository", "Please make sure you have", "and the repository exists"];
    let telling = lines.iter().rev().filter(|l| !GENERAL.iter().any(|g| l.contains(g)) && !l.trim().is_empty());
    let line = telling.into_iter().next().or(lines.last()).map_or("no reason was given", |l| l.trim());
    ["fatal: ", "error: ", "remote: "].iter().fold(line, |line, p| line.strip_prefix(p).unwrap_or(line)).to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn words_become_errors() {
        let check = |url: &str, lines: &[&str], expected: &str| {
            let lines: Vec<String> = lines.iter().map(|l| (*l).to_owned()).collect();
            let error = diagnose(&GitUrl::parse(url).unwrap(), "fetch", &lines);
            assert_eq!(error.to_string(), expected);
        };
        let read = "fatal: Could not read from remote repository.";
        check(
            "git@h.invalid:a",
            &[
                "ssh: Could not resolve hostname h.invalid: Name or service not known",
                read,
                "Please make sure you have the correct access rights",
                "and the repository exists.",
            ],
            "git@h.invalid:a can't be reached: ssh: Could not resolve hostname h.invalid: Name or service not known; check the address and this server's network",
        );
        check(
            "git@h:a",
            &["git@h: Permission denied (publickey).", read],
            "git@h:a refused access: git@h: Permission denied (publickey).; give the server's user an ssh key that may read it",
        );
        check(
            "git@h:a",
            &["Host key verification failed.", read],
            "git@h:a refused access: its host key is not known here; add the host's key to the known_hosts of the server's user (ssh-keyscan), after you checked it",
        );
        check(
            "https://h/a",
            &["fatal: could not read Username for 'https://h': terminal prompts disabled"],
            "https://h/a refused access: could not read Username for 'https://h': terminal prompts disabled; give the server a credential helper, or a token in the address",
        );
        check(
            "https://h/a",
            &["fatal: repository 'https://h/a/' not found"],
            "the repository https://h/a was not found; check the spelling, and that this server may read it",
        );
        check(
            "/srv/a",
            &["fatal: '/srv/a' does not appear to be a git repository", read],
            "/srv/a is not a git repository; give the folder that holds `.git`, or a bare repository",
        );
        check(
            "https://h/a",
            &["error: RPC failed; curl 18 transfer closed with outstanding read data remaining", "fatal: early EOF"],
            "https://h/a can't be reached: early EOF; check the address and this server's network",
        );
        check("/srv/a", &["fatal: something new"], "git could not fetch: something new");
        check("/srv/a", &[], "git could not fetch: no reason was given");
    }
}
