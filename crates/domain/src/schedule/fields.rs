//! The five fields of a cron expression: which one is wrong, and what it may hold.

/// One field, and what may stand in it.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) allowed: &'static str,
    min: u32,
    max: u32,
    /// Names of its values; the first one is the value `min`.
    names: &'static [&'static str],
    /// Letters and signs with a meaning of their own.
    special: &'static str,
}

pub(super) const FIELDS: [Field; 5] = [
    Field { name: "minute", allowed: "0-59", min: 0, max: 59, names: &[], special: "" },
    Field { name: "hour", allowed: "0-23", min: 0, max: 23, names: &[], special: "" },
    Field { name: "day of month", allowed: "1-31, or L for the last day", min: 1, max: 31, names: &[], special: "LW" },
    Field {
        name: "month",
        allowed: "1-12 or JAN-DEC",
        min: 1,
        max: 12,
        names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
        special: "",
    },
    Field {
        name: "day of week",
        allowed: "0-7 (0 and 7 are Sunday) or SUN-SAT, and FRI#2 for the second Friday",
        min: 0,
        max: 7,
        names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
        special: "L#",
    },
];

impl Field {
    /// What is wrong with the text of this field, as far as its words go; their order is croner's to judge.
    pub(super) fn wrong(&self, text: &str) -> Option<String> {
        if let Some(c) = text.chars().find(|c| !self.may_hold(*c)) {
            return Some(format!("`{c}` has no meaning in it"));
        }
        for part in text.to_ascii_uppercase().split(',') {
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => (range, Some(step)),
                None => (part, None),
            };
            match step.map(str::parse::<u32>) {
                Some(Err(_)) => return Some(format!("`{part}` has no number behind the `/`")),
                Some(Ok(0)) => return Some(format!("the step of `{part}` is 0")),
                Some(Ok(step)) if step > self.max => return Some(format!("the step of `{part}` is beyond its range")),
                _ => {}
            }
            let base = range.split('#').next().unwrap_or(range);
            let ends: Vec<&str> = base.split('-').collect();
            if let Some(bad) = ends.iter().find(|end| self.value(end).is_none()) {
                return Some(match bad.is_empty() {
                    true => format!("`{part}` lacks a value"),
                    false => format!("`{bad}` is none of its values"),
                });
            }
            if let [Some(from), Some(to)] = ends.iter().map(|end| self.value(end)).collect::<Vec<_>>().as_slice()
                && from > to
                && !(self.max == 7 && *to == 0)
            {
                return Some(format!("`{base}` goes backwards; write it as two ranges"));
            }
        }
        None
    }

    fn may_hold(&self, c: char) -> bool {
        let letters = !self.names.is_empty() && c.is_ascii_alphabetic();
        c.is_ascii_digit() || "*,-/".contains(c) || letters || self.special.contains(c.to_ascii_uppercase())
    }

    /// The number that one end of a range stands for; `*` and special words count as the lowest.
    fn value(&self, text: &str) -> Option<u32> {
        if text == "*" || (text == "L" && self.special.contains('L')) || (text == "LW" && self.special.contains('W')) {
            return Some(self.min);
        }
        if let Some(n) = self.names.iter().position(|name| *name == text) {
            return u32::try_from(n).ok().map(|n| n + self.min);
        }
        let digits = text.strip_suffix(['L', 'W']).filter(|_| !self.special.is_empty()).unwrap_or(text);
        let plain = !digits.is_empty() && digits.len() <= 2 && digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse().ok().filter(|n| plain && (self.min..=self.max).contains(n))
    }
}
