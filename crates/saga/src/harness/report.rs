//! What the harness found.

use std::fmt;

use super::Case;

/// The result of all cases.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// How many cases were run.
    pub cases: usize,
    pub failures: Vec<CaseFailure>,
}

/// A case that went wrong.
#[derive(Debug, Clone)]
pub struct CaseFailure {
    pub case: Case,
    pub problem: String,
    /// The saga's journal, one JSON text per record.
    pub journal: Vec<String>,
}

impl Report {
    pub fn is_sound(&self) -> bool {
        self.failures.is_empty()
    }

    /// Panics with the whole report if any case went wrong. For tests.
    #[track_caller]
    pub fn assert_sound(&self) {
        assert!(self.is_sound(), "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} of {} cases went wrong", self.failures.len(), self.cases)?;
        for failure in &self.failures {
            write!(f, "{failure}")?;
        }
        Ok(())
    }
}

impl fmt::Display for CaseFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "- {}: {}", self.case, self.problem)?;
        if let Ok(json) = serde_json::to_string(&self.case) {
            writeln!(f, "  replay: {json}")?;
        }
        for line in &self.journal {
            writeln!(f, "    {line}")?;
        }
        Ok(())
    }
}
