//! Guides: the documents of Plimsoll as blocks of text, which a page, a terminal or an agent shows in its own way.
//!
//! There is no markup in them, so that nothing has to be made harmless. Lists are not nested: each block says how deep it
//! stands in lists.

mod search;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use search::{Hit, Library};

/// Where the guides stand in the web interface; links from one to another begin with it.
pub const ROOT: &str = "/guides/";

/// One document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Guide {
    /// Its name in addresses, such as `runbook`.
    pub page: String,
    pub title: String,
    /// In the order of the document; the first one is what stands above all others.
    pub sections: Vec<Section>,
}

/// A heading and what stands below it, up to the next heading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "GuideSection")]
pub struct Section {
    /// Its name in addresses, behind the `#`.
    pub id: String,
    /// 1 for the whole document, 2 for its chapters, and so on.
    pub level: u8,
    pub title: String,
    pub blocks: Vec<Block>,
}

/// One piece of a section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "GuideBlock")]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Block {
    /// A paragraph.
    Text {
        /// In how many lists it stands; it goes on with the item before it then.
        depth: u8,
        spans: Vec<Span>,
    },
    /// Begins an item of a list.
    Item {
        /// In how many lists it stands, from 1 on.
        depth: u8,
        /// In a list that is numbered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<u64>,
        spans: Vec<Span>,
    },
    /// Lines to be shown as they are.
    Code {
        depth: u8,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        language: Option<String>,
        text: String,
    },
    Table {
        head: Vec<Vec<Span>>,
        rows: Vec<Vec<Vec<Span>>>,
    },
}

/// Text in one look.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "GuideSpan")]
pub struct Span {
    pub text: String,
    #[serde(default, skip_serializing_if = "is_false")]
    pub code: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub strong: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub emphasis: bool,
    /// Where it leads: `/guides/PAGE#SECTION`, another path of this server, or an address elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks with a reference
fn is_false(value: &bool) -> bool {
    !value
}

/// A guide without its text: what there is to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "GuideContents")]
pub struct Contents {
    /// Its name in addresses, such as `runbook`.
    pub page: String,
    pub title: String,
    pub sections: Vec<Heading>,
}

/// A section without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "GuideHeading")]
pub struct Heading {
    pub id: String,
    /// 1 for the whole document, 2 for its chapters, and so on.
    pub level: u8,
    pub title: String,
}

impl Guide {
    pub fn contents(&self) -> Contents {
        let heading = |of: &Section| Heading { id: of.id.clone(), level: of.level, title: of.title.clone() };
        Contents {
            page: self.page.clone(),
            title: self.title.clone(),
            sections: self.sections.iter().map(heading).collect(),
        }
    }

    /// A section with those below it; `None` when there is none of this name.
    pub fn part(&self, id: &str) -> Option<Guide> {
        let at = self.sections.iter().position(|section| section.id == id)?;
        let (first, rest) = self.sections.get(at..)?.split_first()?;
        let below = rest.iter().take_while(|section| section.level > first.level);
        let sections = std::iter::once(first).chain(below).cloned().collect();
        Some(Guide { page: self.page.clone(), title: self.title.clone(), sections })
    }
}

impl Section {
    /// All its text, block by block, as one reads it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for block in &self.blocks {
            match block {
                Block::Text { spans, .. } | Block::Item { spans, .. } => add(&mut text, spans),
                Block::Code { text: code, .. } => {
                    text.push_str(code);
                    text.push('\n');
                }
                Block::Table { head, rows } => std::iter::once(head).chain(rows).flatten().for_each(|cell| {
                    add(&mut text, cell);
                }),
            }
        }
        text
    }

    /// Where it leads.
    pub fn links(&self) -> impl Iterator<Item = &str> {
        let spans = self.blocks.iter().flat_map(|block| -> Vec<&Span> {
            match block {
                Block::Text { spans, .. } | Block::Item { spans, .. } => spans.iter().collect(),
                Block::Code { .. } => Vec::new(),
                Block::Table { head, rows } => std::iter::once(head).chain(rows).flatten().flatten().collect(),
            }
        });
        spans.filter_map(|span| span.link.as_deref())
    }
}

fn add(text: &mut String, spans: &[Span]) {
    spans.iter().for_each(|span| text.push_str(&span.text));
    text.push('\n');
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn section(id: &str, level: u8, title: &str, text: &str) -> Section {
        let spans = vec![Span { text: text.to_owned(), ..Span::default() }];
        Section { id: id.to_owned(), level, title: title.to_owned(), blocks: vec![Block::Text { depth: 0, spans }] }
    }

    #[test]
    fn a_part_is_a_section_with_those_below_it() {
        let sections = vec![
            section("all", 1, "All", ""),
            section("a", 2, "A", ""),
            section("a-1", 3, "A 1", ""),
            section("b", 2, "B", ""),
        ];
        let guide = Guide { page: "all".into(), title: "All".into(), sections };
        let ids = |of: &str| guide.part(of).map(|part| part.sections.into_iter().map(|s| s.id).collect::<Vec<_>>());
        assert_eq!(ids("all").unwrap(), ["all", "a", "a-1", "b"]);
        assert_eq!(ids("a").unwrap(), ["a", "a-1"]);
        assert_eq!(ids("b").unwrap(), ["b"]);
        assert_eq!(ids("c"), None);
        assert_eq!(guide.contents().sections.len(), 4);
    }

    #[test]
    fn what_is_not_so_is_left_out_of_the_json() {
        let span = Span { text: "x".into(), strong: true, ..Span::default() };
        assert_eq!(serde_json::to_value(&span).unwrap(), serde_json::json!({ "text": "x", "strong": true }));
    }
}
