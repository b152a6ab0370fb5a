//! `plimsoll queue timeline`: the hours to come, drawn as text.

use chrono::{DateTime, Local, Utc};
use domain::estimate::Start;
use domain::timeline::{Span, What};
use operations::queue::Ahead;

use super::Context;
use crate::failure::Failure;
use crate::table::{Table, Tone};
use crate::text::{self, clean};

/// Characters for all of the time.
const WIDTH: usize = 48;

pub(super) fn show(context: &Context, ahead: &Ahead) -> Result<(), Failure> {
    let out = &context.out;
    if out.json {
        return out.document(ahead);
    }
    if ahead.spans.is_empty() {
        out.remark(format!("nothing is planned until {}", text::local(ahead.until)));
        return Ok(());
    }
    let mut table = Table::new(out, &["from", "to", "what", &scale(ahead)]);
    for span in &ahead.spans {
        let (what, tone) = told(span);
        table.row([
            (moment(span.from), Tone::Plain),
            (span.until.map(moment).unwrap_or_else(|| "…".to_owned()), Tone::Plain),
            (what, Tone::Plain),
            (bar(span, ahead), tone),
        ]);
    }
    table.keep_whole(3);
    out.line(table.render())?;
    if ahead.truncated {
        out.remark("there is more: look at fewer hours, or at one app");
    }
    Ok(())
}

fn moment(at: DateTime<Utc>) -> String {
    at.with_timezone(&Local).format("%a %H:%M").to_string()
}

/// When an entry of the queue probably begins, for its table.
pub(super) fn estimate(start: &Start) -> String {
    match (start.late - start.early).num_seconds() {
        0 => moment(start.at),
        _ => format!("{} ({} to {})", moment(start.at), moment(start.early), moment(start.late)),
    }
}

fn told(span: &Span) -> (String, Tone) {
    let place = match (&span.app, &span.environment) {
        (Some(app), Some(environment)) => format!("{app}/{environment}"),
        (Some(app), None) => app.to_string(),
        (None, Some(environment)) => format!("*/{environment}"),
        (None, None) => "everything".to_owned(),
    };
    match &span.what {
        What::AtWork { .. } => (format!("{place} is deployed"), Tone::Good),
        What::Queued { .. } => (format!("{place} waits, then is deployed"), Tone::Waiting),
        What::Scheduled { name, .. } => (format!("{place} by schedule {name}"), Tone::Plain),
        What::DeployWindow { .. } => (format!("{place}: deploy window"), Tone::Good),
        What::Freeze { reason, .. } => (format!("{place} is frozen: {}", clean(reason)), Tone::Bad),
    }
}

/// Where an instant is on the scale.
fn column(at: DateTime<Utc>, ahead: &Ahead) -> usize {
    let all = (ahead.until - ahead.from).num_seconds().max(1);
    let passed = (at - ahead.from).num_seconds().clamp(0, all);
    usize::try_from(passed * WIDTH as i64 / all).unwrap_or(0).min(WIDTH)
}

/// The begin, three marks in between, and the end.
fn scale(ahead: &Ahead) -> String {
    let quarter = (ahead.until - ahead.from) / 4;
    let marks = (0..4).map(|n| (ahead.from + quarter * n).with_timezone(&Local).format("%H:%M").to_string());
    marks.map(|mark| format!("{mark:<width$}", width = WIDTH / 4)).collect::<String>().trim_end().to_owned()
}

/// `···░▒██▓░···`: dots where it is not, blocks where it is; what is uncertain of a start is lighter.
fn bar(span: &Span, ahead: &Ahead) -> String {
    let (from, until) = (column(span.from, ahead), column(span.until.unwrap_or(ahead.until), ahead));
    let solid = from.min(WIDTH - 1)..until.max(from + 1).min(WIDTH);
    let light = match &span.what {
        What::Queued { early, late, .. } => column(*early, ahead)..column(*late, ahead).max(solid.end),
        _ => solid.clone(),
    };
    let cell = |n: usize| match () {
        () if solid.contains(&n) => '█',
        () if light.contains(&n) => '░',
        () => '·',
    };
    (0..WIDTH).map(cell).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    #[test]
    fn a_bar_is_where_its_time_is() {
        let from: DateTime<Utc> = "2026-11-21T00:00:00Z".parse().unwrap();
        let ahead = Ahead { from, until: from + TimeDelta::hours(24), spans: vec![], truncated: false };
        let hours = |n| from + TimeDelta::hours(n);
        let id = "dep_01hf7yat00000000000000002a".parse().unwrap();
        let span =
            |a, b: Option<i64>, what| Span { from: hours(a), until: b.map(hours), app: None, environment: None, what };
        let queued = What::Queued { deployment: id, early: hours(5), late: hours(9) };
        let drawn = bar(&span(6, Some(8), queued), &ahead);
        assert_eq!(drawn.chars().count(), WIDTH);
        assert_eq!(drawn, format!("{}░░████░░{}", "·".repeat(10), "·".repeat(30)));
        let window = "win_01hf7yat00000000000000002a".parse().unwrap();
        let freeze = What::Freeze { window, reason: "x".into() };
        assert_eq!(bar(&span(-5, None, freeze.clone()), &ahead), "█".repeat(WIDTH));
        assert_eq!(bar(&span(23, Some(23), freeze), &ahead).matches('█').count(), 1);
    }
}
