//! Finding sections of the guides by words.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Guide;

/// A section in which all the words are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "GuideHit")]
pub struct Hit {
    /// The guide's name in addresses.
    pub page: String,
    /// What the guide is called.
    pub guide: String,
    /// The section's name in addresses, behind the `#`.
    pub section: String,
    pub title: String,
    /// Some of its text, around the first of the words.
    pub excerpt: String,
}

/// The guides, and where each word is.
#[derive(Debug, Clone)]
pub struct Library {
    guides: Vec<Guide>,
    /// Which section of which guide; in their order.
    places: Vec<(usize, usize)>,
    /// For each word, in lower case, the places that have it, and how much it says about each.
    index: BTreeMap<String, Vec<(usize, u32)>>,
}

/// A word of a title says more than one of the text.
const TITLE: u32 = 12;
/// Of the text a word counts so often at most.
const OFTEN: u32 = 4;
/// The title and nothing but the title.
const EXACT: u32 = 1_000;
/// Words of a question that are looked at; the others say no more.
const WORDS: usize = 16;
/// Characters of an excerpt.
const EXCERPT: usize = 180;

impl Library {
    pub fn new(guides: Vec<Guide>) -> Self {
        let mut places = Vec::new();
        let mut index: BTreeMap<String, BTreeMap<usize, u32>> = BTreeMap::new();
        for (guide, section) in guides.iter().enumerate().flat_map(|(n, g)| (0..g.sections.len()).map(move |s| (n, s)))
        {
            let place = places.len();
            places.push((guide, section));
            let Some(section) = guides.get(guide).and_then(|guide| guide.sections.get(section)) else { continue };
            let mut said: BTreeMap<String, u32> = BTreeMap::new();
            for (_, word) in words(&section.text()) {
                *said.entry(word).or_default() += 1;
            }
            said.values_mut().for_each(|times| *times = (*times).min(OFTEN));
            for (_, word) in words(&section.title) {
                *said.entry(word).or_default() += TITLE;
            }
            for (word, weight) in said {
                index.entry(word).or_default().insert(place, weight);
            }
        }
        let index = index.into_iter().map(|(word, places)| (word, places.into_iter().collect())).collect();
        Self { guides, places, index }
    }

    pub fn guides(&self) -> &[Guide] {
        &self.guides
    }

    pub fn guide(&self, page: &str) -> Option<&Guide> {
        self.guides.iter().find(|guide| guide.page == page)
    }

    /// The sections that have all of the words, or longer ones that begin like them; the best first.
    pub fn search(&self, question: &str, limit: usize) -> Vec<Hit> {
        let asked: Vec<String> = words(question).map(|(_, word)| word).take(WORDS).collect();
        let mut found: Option<BTreeMap<usize, u32>> = None;
        for word in &asked {
            let of_word = self.having(word);
            found = Some(match found {
                None => of_word,
                Some(before) => before
                    .into_iter()
                    .filter_map(|(place, weight)| of_word.get(&place).map(|more| (place, weight + more)))
                    .collect(),
            });
        }
        let mut found: Vec<(usize, u32)> = found.unwrap_or_default().into_iter().collect();
        for (place, weight) in &mut found {
            let title = self.places.get(*place).and_then(|(g, s)| self.guides.get(*g)?.sections.get(*s));
            if title.is_some_and(|section| words(&section.title).map(|(_, word)| word).eq(asked.iter().cloned())) {
                *weight += EXACT;
            }
        }
        found.sort_by_key(|(place, weight)| (std::cmp::Reverse(*weight), *place));
        found.into_iter().take(limit).filter_map(|(place, _)| self.hit(place, &asked)).collect()
    }

    /// Where a word is, or begins one. The whole word counts twice.
    fn having(&self, word: &str) -> BTreeMap<usize, u32> {
        let mut found: BTreeMap<usize, u32> = BTreeMap::new();
        let from = self.index.range(word.to_owned()..);
        for (known, places) in from.take_while(|(known, _)| known.starts_with(word)) {
            let times = if known == word { 2 } else { 1 };
            for (place, weight) in places {
                *found.entry(*place).or_default() += weight * times;
            }
        }
        found
    }

    fn hit(&self, place: usize, asked: &[String]) -> Option<Hit> {
        let (guide, section) = *self.places.get(place)?;
        let guide = self.guides.get(guide)?;
        let section = guide.sections.get(section)?;
        Some(Hit {
            page: guide.page.clone(),
            guide: guide.title.clone(),
            section: section.id.clone(),
            title: section.title.clone(),
            excerpt: excerpt(&section.text(), asked),
        })
    }
}

/// The words of a text in lower case, each with where it begins. Letters and digits are words; all else parts them.
fn words(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut from = 0;
    text.split(|c: char| !c.is_alphanumeric()).filter_map(move |word| {
        let at = from;
        // What parts them may be several bytes long.
        from += word.len() + text.get(at + word.len()..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        (!word.is_empty()).then(|| (at, word.to_lowercase()))
    })
}

/// A line of the text around the first of the words; its beginning when none is in it.
fn excerpt(text: &str, asked: &[String]) -> String {
    let first = words(text).find(|(_, word)| asked.iter().any(|asked| word.starts_with(asked.as_str())));
    let at = first.map_or(0, |(at, _)| at);
    // A third of it comes before, from the beginning of a word on.
    let before = text.get(..at).unwrap_or_default();
    let from = before.char_indices().rev().take(EXCERPT / 3).last().map_or(at, |(n, _)| n);
    let from = match text.get(from..at).and_then(|part| part.find(char::is_whitespace)) {
        Some(space) if from > 0 => from + space,
        _ => from,
    };
    let rest = text.get(from..).unwrap_or_default();
    let mut line = String::new();
    let mut cut = false;
    for word in rest.split_whitespace() {
        if line.chars().count() + word.chars().count() > EXCERPT && !line.is_empty() {
            cut = true;
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().take(EXCERPT));
    }
    let (before, behind) = (if from > 0 { "… " } else { "" }, if cut { " …" } else { "" });
    format!("{before}{line}{behind}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::guide::tests::section;

    fn library() -> Library {
        let sections = vec![
            section("guide", 1, "Guide", "Deploys software. The queue comes later."),
            section("the-queue", 2, "The queue", "What waits its turn, waits here."),
            section("health-checks", 2, "Health checks", "A check asks the app whether it is well."),
        ];
        let runbook = vec![section("tokens", 2, "Tokens", "Whoever has one may deploy. ÄPFEL und Öl.")];
        Library::new(vec![
            Guide { page: "guide".into(), title: "Guide".into(), sections },
            Guide { page: "runbook".into(), title: "Runbook".into(), sections: runbook },
        ])
    }

    fn found(words: &str) -> Vec<String> {
        library().search(words, 20).into_iter().map(|hit| hit.section).collect()
    }

    #[test]
    fn the_title_comes_first_and_all_words_must_be_there() {
        assert_eq!(found("queue"), ["the-queue", "guide"]);
        assert_eq!(found("The Queue"), ["the-queue", "guide"]);
        assert_eq!(found("queue turn"), ["the-queue"]);
        assert_eq!(found("depl"), ["guide", "tokens"]);
        assert_eq!(found("äpfel"), ["tokens"]);
        assert!(found("queue tokens").is_empty() && found("").is_empty() && found("?!").is_empty());
        assert_eq!(library().search("queue", 1).len(), 1);
    }

    #[test]
    fn an_excerpt_shows_the_word_in_its_surroundings() {
        let long = format!("{}needle {}", "hay and straw ".repeat(40), "more of it ".repeat(40));
        let shown = excerpt(&long, &["needle".to_owned()]);
        assert!(shown.contains("needle") && shown.starts_with("… ") && shown.ends_with(" …"), "{shown}");
        assert!(shown.chars().count() < EXCERPT + 40, "{shown}");
        assert_eq!(excerpt("short", &["none".to_owned()]), "short");
    }

    proptest! {
        #[test]
        fn any_question_has_an_answer(text in "\\PC{0,300}", question in "\\PC{0,40}") {
            let sections = vec![section("s", 2, &question, &text)];
            let library = Library::new(vec![Guide { page: "p".into(), title: "P".into(), sections }]);
            let found = library.search(&question, 5);
            // What is asked for is its title, so it is found if there is a word in it.
            prop_assert_eq!(found.len(), usize::from(words(&question).next().is_some()));
        }
    }
}
