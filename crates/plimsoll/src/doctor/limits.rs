//! What the server's process may have open and start.

use super::{Finding, Surroundings};

const FILES: &str = "open files";

pub(super) fn check(around: &Surroundings) -> Vec<Finding> {
    let whose = if around.server.is_some() { "the server" } else { "this shell" };
    let limits = around.proc_file("limits").and_then(|bytes| String::from_utf8(bytes).ok());
    let Some(limit) = limits.as_deref().and_then(soft_limit) else {
        return vec![Finding::skipped(FILES, "can't read the limits")];
    };
    let found = match limit {
        u64::MAX => format!("{whose} may open any number"),
        n => format!("{whose} may open {n}"),
    };
    let advice = "Raise it: LimitNOFILE= in the systemd unit, `ulimit -n` in a shell";
    vec![match limit {
        ..1024 => Finding::failed(FILES, found, advice),
        // A connection through the ingress takes up to three.
        1024..4096 => Finding::warning(FILES, found, advice),
        4096.. => Finding::ok(FILES, found),
    }]
}

/// Of `Max open files`, in `/proc/PID/limits`.
fn soft_limit(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_read() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max open files            1024                 524288               files     \n";
        assert_eq!(soft_limit(text), Some(1024));
        assert_eq!(
            soft_limit("Max open files            unlimited            unlimited            files"),
            Some(u64::MAX)
        );
        assert_eq!(soft_limit(""), None);
    }
}
