//! Whom a notice is for, among the people who may see what it is about.

use crate::event::{Event, EventKind};
use crate::id::ApprovalId;

/// Channels and programs are told of everything that they want and see; people of what concerns them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience<'a> {
    Everybody,
    /// Whose vote counts on it.
    Voters(&'a ApprovalId),
    /// Who asked for what it is about; everybody, when no person did.
    Asker(&'a ApprovalId),
}

/// Who is to hear of `event`, if it has something to tell.
pub fn audience(event: &Event) -> Audience<'_> {
    match &event.kind {
        EventKind::ApprovalRequested { approval, .. } | EventKind::ApprovalReset { approval, .. } => {
            Audience::Voters(approval)
        }
        EventKind::ApprovalDecided { approval, .. } => Audience::Asker(approval),
        _ => Audience::Everybody,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::event;
    use super::*;
    use crate::approval::ApprovalState;

    #[test]
    fn a_question_is_for_voters_and_the_answer_for_who_asked() {
        let approval = ApprovalId::from_ulid(ulid::Ulid::from_parts(1, 3));
        let reset = event(EventKind::ApprovalReset { approval: approval.clone(), why: String::new() });
        assert_eq!(audience(&reset), Audience::Voters(&approval));
        let decided =
            EventKind::ApprovalDecided { approval: approval.clone(), state: ApprovalState::Refused, why: None };
        assert_eq!(audience(&event(decided)), Audience::Asker(&approval));
        assert_eq!(audience(&event(EventKind::AppCreated)), Audience::Everybody);
    }
}
