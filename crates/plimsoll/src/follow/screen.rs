//! Notes on the screen: a line with a bar that is redrawn on a terminal, plain lines elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::story::{Note, line};
use crate::output::Output;
use crate::text;

pub(crate) struct Screen {
    out: Output,
    bar: Option<ProgressBar>,
}

impl Screen {
    pub(crate) fn new(out: &Output) -> Self {
        let bar = out.live.then(|| {
            // Ten times a second is smooth, and cheap over a slow connection.
            let bar = ProgressBar::with_draw_target(Some(100), ProgressDrawTarget::stderr_with_hz(10));
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg:<18} {bar:24} {pos:>3}%  {elapsed}") {
                bar.set_style(style.progress_chars("━╸─"));
            }
            bar.set_message(text::phase(domain::phase::Phase::Queued));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { out: *out, bar }
    }

    pub(crate) fn show(&self, note: &Note) {
        match &self.bar {
            None => {
                if let Some(line) = line(note, self.out.remark_paint) {
                    self.out.remark(line);
                }
            }
            Some(bar) => match note {
                Note::Began { phase, progress } => {
                    bar.set_message(text::phase(*phase));
                    bar.set_position(u64::from(*progress));
                    bar.reset_elapsed();
                }
                Note::Progress(progress) => bar.set_position(u64::from(*progress)),
                other => {
                    if let Some(line) = line(other, self.out.remark_paint) {
                        bar.println(line);
                    }
                }
            },
        }
    }

    /// Something that holds for the moment only: shown in place of the phase.
    pub(crate) fn waiting_for(&self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("waiting for {}", text::clean(what)));
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
