//! Cuts `call.md.hbs` into the sections of a call script.

use super::scan::Fault;
use crate::model::nearest::suggestion;

/// The sections every script has, in this order.
pub(super) const SECTIONS: [&str; 5] = ["greeting", "identity", "message", "questions", "closing"];

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) id: String,
    pub(super) heading: String,
    pub(super) body: String,
    /// The number of the body's first line in the file.
    pub(super) first_line: u32,
}

/// Every line `## id | Heading` begins a section. All faults at once.
pub(super) fn sections(source: &str) -> Result<Vec<Section>, Vec<Fault>> {
    let mut sections: Vec<Section> = Vec::new();
    let mut faults = Vec::new();
    let mut before = String::new();
    for (at, line) in source.lines().enumerate() {
        let number = at as u32 + 1;
        match line.strip_prefix("## ").and_then(|rest| rest.split_once('|')) {
            Some((id, heading)) => {
                let (id, heading) = (id.trim().to_owned(), heading.trim().to_owned());
                if heading.is_empty() || heading.contains("{{") {
                    faults.push((number, "the heading after `|` must be plain words".to_owned()));
                }
                if !SECTIONS.contains(&id.as_str()) {
                    faults.push((number, format!("`{id}` is not a section{}", suggestion(&id, SECTIONS))));
                }
                sections.push(Section { id, heading, body: String::new(), first_line: number + 1 });
            }
            None => {
                let body = sections.last_mut().map_or(&mut before, |s| &mut s.body);
                body.push_str(line);
                body.push('\n');
            }
        }
    }
    if super::scan::scan(&before, 1).is_ok_and(|pieces| pieces.iter().any(|p| !p.is_blank())) {
        faults.push((1, "there is text before the first section; begin with `## greeting | …`".to_owned()));
    }
    let found: Vec<&str> = sections.iter().map(|s| s.id.as_str()).collect();
    if faults.is_empty() && found != SECTIONS {
        let message =
            format!("the sections must be {}, in this order; found: {}", SECTIONS.join(", "), found.join(", "));
        faults.push((1, message));
    }
    if faults.is_empty() { Ok(sections) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_cut_at_their_lines() {
        let source = "{{! note }}\n\n## greeting | Hello\nHi\n## identity | Who\n\nYou?\n## message | What\nm\n## questions | Q\n## a heading\nq\n## closing | End\nbye";
        let found = sections(source).unwrap();
        assert_eq!(
            found[0],
            Section { id: "greeting".into(), heading: "Hello".into(), body: "Hi\n".into(), first_line: 4 }
        );
        assert_eq!(found[3].body, "## a heading\nq\n");
        assert_eq!(found.len(), 5);
    }

    #[test]
    fn a_missing_or_misspelt_section_is_named() {
        for (source, want) in [
            ("## greting | x", "did you mean `greeting`?"),
            ("## greeting | x\ny", "found: greeting"),
            ("Hello\n## greeting | x", "text before"),
            ("## greeting | {{name}}", "plain words"),
        ] {
            let faults = sections(source).unwrap_err();
            assert!(faults.iter().any(|(_, m)| m.contains(want)), "{source}: {faults:?}");
        }
    }
}
