//! Whether the clock can be believed.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Finding, Surroundings};

const CLOCK: &str = "clock";
const SYNC: &str = "clock synchronisation";
const DATABASE: &str = "clock of the database";
/// This version did not exist before.
const BEGINNING: &str = "2026-01-01T00:00:00Z";
const TOLERATED: TimeDelta = TimeDelta::seconds(5);

pub(super) fn check(around: &Surroundings) -> Vec<Finding> {
    let now = Utc::now();
    let survey = around.survey.as_ref().and_then(|survey| survey.as_ref().ok());
    let mut findings = vec![itself(now, survey.and_then(|survey| survey.last_event())), synchronised()];
    if let Some(theirs) = survey.and_then(|survey| survey.now) {
        findings.push(compare(now, theirs));
    }
    findings
}

fn itself(now: DateTime<Utc>, last_event: Option<DateTime<Utc>>) -> Finding {
    let advice = "Set the clock, and let NTP keep it (systemd-timesyncd, chrony)";
    let shown = now.format("%Y-%m-%d %H:%M:%S UTC");
    if BEGINNING.parse::<DateTime<Utc>>().is_ok_and(|beginning| now < beginning) {
        return Finding::failed(CLOCK, format!("it says {shown}, which has long passed"), advice);
    }
    match last_event {
        Some(last) if last > now + TOLERATED => {
            let found = format!(
                "it says {shown}, but the last event was recorded at {}: it has gone back",
                last.format("%Y-%m-%d %H:%M:%S UTC")
            );
            Finding::warning(CLOCK, found, advice)
        }
        _ => Finding::ok(CLOCK, shown.to_string()),
    }
}

fn compare(ours: DateTime<Utc>, theirs: DateTime<Utc>) -> Finding {
    let apart = (ours - theirs).abs();
    match apart > TOLERATED {
        true => Finding::warning(
            DATABASE,
            format!("{} s apart from this machine's", apart.num_seconds()),
            "Let NTP keep both clocks: times of deployments would not fit those of the database's own log",
        ),
        false => Finding::ok(DATABASE, "agrees with this machine's"),
    }
}

/// What the kernel has been told by whoever keeps it.
fn synchronised() -> Finding {
    // SAFETY: all zeros is a valid `timex`; with `modes` 0 the call only reads.
    let (state, status) = unsafe {
        let mut times: nix::libc::timex = std::mem::zeroed();
        (nix::libc::adjtimex(&mut times), times.status)
    };
    match state {
        -1 => Finding::skipped(SYNC, "the kernel does not say"),
        _ if status & nix::libc::STA_UNSYNC != 0 => Finding::warning(
            SYNC,
            "nothing on this machine keeps the clock, as far as the kernel knows",
            "Let NTP keep it (systemd-timesyncd, chrony); in a container the machine below may do it",
        ),
        _ => Finding::ok(SYNC, "kept by NTP"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_clock_that_went_back_is_told() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let now = at("2026-11-21T10:00:00Z");
        assert_eq!(itself(now, Some(at("2026-11-21T10:00:03Z"))).status, Status::Ok);
        assert_eq!(itself(now, Some(at("2026-11-21T11:00:00Z"))).status, Status::Warning);
        assert_eq!(itself(at("1970-01-01T00:00:10Z"), None).status, Status::Failed);
        assert_eq!(compare(now, at("2026-11-21T09:59:00Z")).status, Status::Warning);
    }
}
