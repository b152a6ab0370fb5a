//! What happens in a deployment, told in order: events and lines in, notes out. Pure.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::deployment::Deployment;
use domain::event::{Event, EventKind};
use domain::phase::Phase;
use operations::logs::LogLine;

use crate::text::{self, Paint, clean};

/// Something worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Note {
    Began {
        phase: Phase,
        progress: u8,
    },
    /// Further along within the phase, in percent of the whole.
    Progress(u8),
    Ended {
        phase: Phase,
        took: Duration,
        well: bool,
    },
    Printed(LogLine),
    Remark(String),
}

/// Where the telling is.
#[derive(Debug)]
pub(crate) struct Story {
    phase: Phase,
    since: DateTime<Utc>,
    cursor: i64,
    line: u64,
    over: bool,
}

impl Story {
    /// Begins at the beginning, however far the deployment is.
    pub(crate) fn new(deployment: &Deployment) -> Self {
        Self { phase: Phase::Queued, since: deployment.created_at, cursor: 0, line: 0, over: false }
    }

    /// Nothing follows: it has ended, or got stuck.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// An event that was told already (a stream that was resumed may repeat some) gives nothing.
    pub(crate) fn event(&mut self, event: &Event) -> Vec<Note> {
        if event.cursor <= self.cursor || self.over {
            return Vec::new();
        }
        self.cursor = event.cursor;
        match &event.kind {
            EventKind::PhaseChanged { phase, progress } if *phase == self.phase => {
                vec![Note::Progress(*progress)]
            }
            EventKind::PhaseChanged { phase, progress } if phase.is_end() => {
                // `DeploymentFinished` tells the end.
                vec![Note::Progress(*progress)]
            }
            EventKind::PhaseChanged { phase, progress } => {
                let ended = self.end(event.at, true);
                self.phase = *phase;
                self.since = event.at;
                vec![ended, Note::Began { phase: *phase, progress: *progress }]
            }
            EventKind::ReleaseCreated { number, .. } => {
                vec![Note::Remark(format!("this is release v{number}"))]
            }
            EventKind::StepFailed { phase, message, will_retry } => {
                let then = if *will_retry { "trying again" } else { "taking it back" };
                vec![Note::Remark(format!("{}: {}; {then}", text::phase(*phase), clean(message)))]
            }
            EventKind::CancelRequested { by } => {
                vec![Note::Remark(format!("{} asked to cancel it", clean(by)))]
            }
            EventKind::DeploymentFinished { phase, .. } => {
                self.over = true;
                vec![self.end(event.at, *phase == Phase::Active)]
            }
            EventKind::DeploymentStuck { phase, message } => {
                self.over = true;
                vec![
                    self.end(event.at, false),
                    Note::Remark(format!("stuck in {}: {}", text::phase(*phase), clean(message))),
                ]
            }
            _ => Vec::new(),
        }
    }

    /// A line of output; one that was told already gives nothing.
    pub(crate) fn output(&mut self, line: LogLine) -> Option<Note> {
        if line.seq <= self.line {
            return None;
        }
        self.line = line.seq;
        Some(Note::Printed(line))
    }

    fn end(&self, at: DateTime<Utc>, well: bool) -> Note {
        Note::Ended { phase: self.phase, took: text::between(self.since, at), well }
    }
}

/// A note as a line; progress has none.
pub(crate) fn line(note: &Note, paint: Paint) -> Option<String> {
    Some(match note {
        Note::Began { phase, .. } => format!("{} {}", paint.cyan("•"), text::phase(*phase)),
        Note::Progress(_) => return None,
        Note::Ended { phase, took, well } => {
            let mark = if *well { paint.green("✓") } else { paint.red("✗") };
            format!("{mark} {:<18} {}", text::phase(*phase), paint.dim(text::took(*took)))
        }
        Note::Printed(line) => {
            paint.dim(format!("  {} │ {}", clean(&line.source).replace('_', " "), clean(&line.text)))
        }
        Note::Remark(text) => format!("{} {text}", paint.yellow("!")),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use chrono::TimeZone;
    use domain::failure::{Cause, Failure};
    use operations::logs::Stream;
    use serde_json::json;

    use super::*;

    /// A deployment of `hello` to production, accepted at second 0.
    pub(crate) fn deployment(phase: Phase) -> Deployment {
        serde_json::from_value(json!({
            "id": "dep_01hf7yat00000000000000002a", "app": "hello", "environment": "production", "kind": "deploy",
            "generation": 3, "phase": phase, "progress": phase.progress(), "source": null,
            "release": null, "release_number": 3, "metadata": {"urls": ["http://hello.localhost:8080"]},
            "phases": [], "failure": null, "cancelling": false, "stuck": null, "requested_by": "local",
            "created_at": at(0), "updated_at": at(0), "finished_at": at(4200),
        }))
        .unwrap()
    }

    pub(crate) fn at(ms: i64) -> DateTime<Utc> {
        Utc.timestamp_millis_opt(1_700_000_000_000 + ms).unwrap()
    }

    fn event(cursor: i64, ms: i64, kind: EventKind) -> Event {
        Event { cursor, at: at(ms), app: None, environment: None, deployment: None, kind }
    }

    fn tell(events: &[Event], lines: &[(&str, &str)]) -> String {
        let mut story = Story::new(&deployment(Phase::Queued));
        let mut told: Vec<String> = Vec::new();
        for event in events {
            told.extend(story.event(event).iter().filter_map(|note| line(note, Paint(false))));
        }
        for (n, (source, text)) in lines.iter().enumerate() {
            let printed = LogLine {
                seq: n as u64 / 2 + 1,
                at: at(0),
                source: (*source).into(),
                log: None,
                stream: Stream::Stdout,
                text: (*text).into(),
            };
            told.extend(story.output(printed).iter().filter_map(|note| line(note, Paint(false))));
        }
        told.join("\n")
    }

    #[test]
    fn phases_are_told_with_their_times_and_repeats_are_not() {
        let change = |phase: Phase| EventKind::PhaseChanged { phase, progress: phase.progress() };
        let events = [
            event(5, 100, change(Phase::PullingSource)),
            event(6, 500, change(Phase::Building)),
            event(6, 500, change(Phase::Building)),
            event(5, 100, change(Phase::PullingSource)),
            event(7, 700, EventKind::PhaseChanged { phase: Phase::Building, progress: 30 }),
            event(8, 2600, change(Phase::HealthCheck)),
            event(9, 4200, EventKind::DeploymentFinished { phase: Phase::Active, failure: None }),
            event(10, 9000, change(Phase::Building)),
        ];
        let expected = "\
✓ queued             0.1 s
• pulling source
✓ pulling source     0.4 s
• building
✓ building           2.1 s
• health check
✓ health check       1.6 s";
        assert_eq!(tell(&events, &[]), expected);
    }

    #[test]
    fn a_failure_marks_its_phase_and_output_is_clean() {
        let failure = Failure {
            phase: Phase::Building,
            cause: Cause::Build,
            message: "m".into(),
            output: vec![],
            hint: "h".into(),
            smoke_tests: Vec::new(),
        };
        let events = [
            event(1, 0, EventKind::PhaseChanged { phase: Phase::Building, progress: 15 }),
            event(
                2,
                10,
                EventKind::StepFailed {
                    phase: Phase::Building,
                    message: "exit \x1b[31mstatus 1".into(),
                    will_retry: false,
                },
            ),
            event(3, 1000, EventKind::DeploymentFinished { phase: Phase::Failed, failure: Some(failure) }),
        ];
        let lines = [("building", "npm \x1b[2Jerror"), ("building", "repeated"), ("health_check", "refused")];
        let expected = "\
✓ queued             0.0 s
• building
! building: exit status 1; taking it back
✗ building           1.0 s
  building │ npm error
  health check │ refused";
        assert_eq!(tell(&events, &lines), expected);
    }

    #[test]
    fn stuck_is_an_end_of_the_telling() {
        let mut story = Story::new(&deployment(Phase::Queued));
        story.event(&event(1, 0, EventKind::DeploymentStuck { phase: Phase::UpdatingRoutes, message: "no".into() }));
        assert!(story.is_over());
    }
}
