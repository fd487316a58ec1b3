//! Writes a Markdown document as two coded templates, HTML and plain text, from the same blocks: they cannot differ in
//! what they say.

use super::markdown::{Block, Document, Inline, Item, Style, code};
use super::resolve::{Resolved, Slot};
use std::borrow::Cow;

/// Text made safe for HTML, in content and in quoted attributes.
pub(super) fn escape_html(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|b| matches!(b, b'<' | b'>' | b'&' | b'"' | b'\'')) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

/// A source without Markdown (subject, SMS) as a coded template.
pub(super) fn plain(resolved: &Resolved, html: bool) -> String {
    let pen = Pen { slots: &resolved.slots, joins_lines: false };
    let mut out = String::new();
    for part in super::markdown::split(&resolved.source) {
        if html { pen.html_inline(&part, &mut out) } else { pen.text_inline(&part, "", &mut out) }
    }
    out
}

impl Document {
    /// The body of the HTML part. `joins_lines`: a line end in a paragraph is nothing, not a blank.
    pub(super) fn html(&self, slots: &[Slot], joins_lines: bool) -> String {
        let mut out = String::new();
        Pen { slots, joins_lines }.html_blocks(&self.0, &mut out);
        out
    }

    /// The text part.
    pub(super) fn text(&self, slots: &[Slot], joins_lines: bool) -> String {
        let mut out = String::new();
        Pen { slots, joins_lines }.text_blocks(&self.0, "", "", &mut out);
        out
    }
}

struct Pen<'a> {
    slots: &'a [Slot],
    joins_lines: bool,
}

/// A coded line end.
const END: char = '\u{1}';

impl Pen<'_> {
    fn slot(&self, number: usize, html: bool, out: &mut String) {
        match self.slots.get(number) {
            Some(Slot::Fixed(text)) if html => out.push_str(&code(&escape_html(text))),
            Some(Slot::Fixed(text)) => out.push_str(&code(text)),
            Some(Slot::Coded(text)) if html => out.push_str(&escape_html_of_coded(text)),
            Some(Slot::Coded(text) | Slot::Value(text)) => out.push_str(text),
            Some(Slot::Open { tag, .. } | Slot::Else { tag, .. } | Slot::Close { tag, .. }) => out.push_str(tag),
            None => {}
        }
    }

    fn html_blocks(&self, blocks: &[Block], out: &mut String) {
        for block in blocks {
            match block {
                Block::Paragraph { inline, bare: true } => self.html_line(inline, out),
                Block::Paragraph { inline, bare: false } => self.html_element("p", inline, out),
                Block::Heading(level, inline) => self.html_element(&format!("h{level}"), inline, out),
                Block::Code(inline) => self.html_element("pre", inline, out),
                Block::Rule => out.push_str("<hr>"),
                Block::Mark(n) => self.slot(*n, true, out),
                Block::Quote(inner) => {
                    out.push_str("<blockquote>");
                    self.html_blocks(inner, out);
                    out.push_str("</blockquote>");
                }
                Block::List { start, items } => self.html_list(*start, items, out),
            }
            if !matches!(block, Block::Mark(_) | Block::Paragraph { bare: true, .. }) {
                out.push(END);
            }
        }
    }

    fn html_list(&self, start: Option<u64>, items: &[Item], out: &mut String) {
        let element = if start.is_some() { "ol" } else { "ul" };
        match start {
            Some(first) if first != 1 => out.push_str(&format!("<ol start=\"{first}\">")),
            _ => out.push_str(&format!("<{element}>")),
        }
        out.push(END);
        for item in items {
            match item {
                Item::Mark(n) => self.slot(*n, true, out),
                Item::Blocks(blocks) => {
                    out.push_str("<li>");
                    self.html_blocks(blocks, out);
                    out.push_str("</li>");
                    out.push(END);
                }
            }
        }
        out.push_str(&format!("</{element}>"));
    }

    fn html_element(&self, element: &str, inline: &[Inline], out: &mut String) {
        out.push_str(&format!("<{element}>"));
        self.html_line(inline, out);
        out.push_str(&format!("</{element}>"));
    }

    fn html_line(&self, inline: &[Inline], out: &mut String) {
        inline.iter().for_each(|part| self.html_inline(part, out));
    }

    fn html_inline(&self, part: &Inline, out: &mut String) {
        match part {
            Inline::Text(text) => out.push_str(&code(&escape_html(text))),
            Inline::Slot(n) => self.slot(*n, true, out),
            Inline::Soft if self.joins_lines => {}
            Inline::Soft => out.push(END),
            Inline::Hard => out.push_str("<br>\u{1}"),
            Inline::Node(style, inner) => {
                let (open, close) = match style {
                    Style::Strong => ("<strong>".to_owned(), "</strong>"),
                    Style::Emphasis => ("<em>".to_owned(), "</em>"),
                    Style::Code => ("<code>".to_owned(), "</code>"),
                    Style::Link(target) => (format!("<a href=\"{}\">", code(&escape_html(target))), "</a>"),
                };
                out.push_str(&open);
                self.html_line(inner, out);
                out.push_str(close);
            }
        }
    }

    /// Blocks of text. `first` begins the first line, `indent` every other.
    fn text_blocks(&self, blocks: &[Block], first: &str, indent: &str, out: &mut String) {
        let mut lead = first;
        for block in blocks {
            if let Block::Mark(n) = block {
                self.slot(*n, false, out);
                continue;
            }
            match block {
                Block::Quote(inner) => {
                    self.text_blocks(inner, &format!("{lead}> "), &format!("{indent}> "), out);
                }
                Block::List { start, items } => self.text_list(*start, items, lead, indent, out),
                Block::Rule => out.push_str(&format!("{lead}----------\u{1}\u{1}")),
                Block::Heading(level, inline) => {
                    out.push_str(lead);
                    self.text_line(inline, indent, out);
                    let line = if *level == 1 { "=" } else { "-" }.repeat(self.width(inline).clamp(3, 60));
                    out.push_str(&format!("\u{1}{indent}{line}\u{1}\u{1}"));
                }
                Block::Code(inline) => {
                    out.push_str(&format!("{lead}    "));
                    self.text_line(inline, &format!("{indent}    "), out);
                    out.push_str("\u{1}\u{1}");
                }
                Block::Paragraph { inline, bare } => {
                    out.push_str(lead);
                    self.text_line(inline, indent, out);
                    out.push_str(if *bare { "\u{1}" } else { "\u{1}\u{1}" });
                }
                Block::Mark(_) => {}
            }
            lead = indent;
        }
    }

    fn text_list(&self, start: Option<u64>, items: &[Item], first: &str, indent: &str, out: &mut String) {
        let mut number = start;
        let mut lead = first;
        let mut tight = true;
        for item in items {
            match item {
                Item::Mark(n) => self.slot(*n, false, out),
                Item::Blocks(blocks) => {
                    let marker = number.map_or("- ".to_owned(), |n| format!("{n}. "));
                    number = number.map(|n| n + 1);
                    let inner = format!("{indent}{}", " ".repeat(marker.len()));
                    self.text_blocks(blocks, &format!("{lead}{marker}"), &inner, out);
                    tight = matches!(blocks.first(), Some(Block::Paragraph { bare: true, .. }));
                    if tight && out.ends_with("\u{1}\u{1}") {
                        out.pop();
                    }
                    lead = indent;
                }
            }
        }
        if tight {
            out.push(END);
        }
    }

    fn text_line(&self, inline: &[Inline], indent: &str, out: &mut String) {
        inline.iter().for_each(|part| self.text_inline(part, indent, out));
    }

    fn text_inline(&self, part: &Inline, indent: &str, out: &mut String) {
        match part {
            Inline::Text(text) => out.push_str(&code(&text.replace('\n', &format!("\n{indent}")))),
            Inline::Slot(n) => self.slot(*n, false, out),
            Inline::Soft if self.joins_lines => {}
            Inline::Soft | Inline::Hard => out.push_str(&format!("\u{1}{indent}")),
            Inline::Node(Style::Link(target), inner) => {
                let at = out.len();
                self.text_line(inner, indent, out);
                let shown = target.strip_prefix("mailto:").or(target.strip_prefix("tel:")).unwrap_or(target);
                let words = out.split_at(at).1;
                if words != code(shown) && words != code(target) {
                    out.push_str(&format!(" ({})", code(shown)));
                }
            }
            Inline::Node(_, inner) => self.text_line(inner, indent, out),
        }
    }

    /// About how wide a heading prints; a value that differs by person counts as ten.
    fn width(&self, inline: &[Inline]) -> usize {
        let of = |text: &str| text.chars().map(|c| if c >= '\u{1100}' { 2 } else { 1 }).sum::<usize>();
        inline
            .iter()
            .map(|part| match part {
                Inline::Text(text) => of(text),
                Inline::Slot(n) => match self.slots.get(*n) {
                    Some(Slot::Fixed(text) | Slot::Coded(text)) => of(text),
                    Some(Slot::Value(_)) => 10,
                    _ => 0,
                },
                Inline::Soft | Inline::Hard => 1,
                Inline::Node(_, inner) => self.width(inner),
            })
            .sum()
    }
}

/// Escapes the literal parts of a coded template and leaves its tags, which escape by themselves.
fn escape_html_of_coded(coded: &str) -> String {
    let mut out = String::new();
    for (at, part) in coded.split("{{").enumerate() {
        match part.split_once("}}").filter(|_| at > 0) {
            Some((tag, literal)) => {
                out.push_str(&format!("{{{{{tag}}}}}"));
                out.push_str(&escape_html(literal));
            }
            None => out.push_str(&escape_html(part)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::markdown::{parse, uncode};
    use super::super::resolve::{Kind, Known, Uses, resolve};

    fn both(source: &str) -> (String, String) {
        let known = Known {
            fixed: [("organisation".to_owned(), "A*B* <{{Ltd}} \\".to_owned())].into(),
            texts: [("steps".to_owned(), "First:\n\n- one\n- [two](https://x.example/?a=1&b=2)".to_owned())].into(),
            text_keys: vec!["steps".to_owned()],
            has_data_types: true,
            ..Known::default()
        };
        let resolved = resolve("x", source, 1, Kind::Markdown, &known, &mut Uses::default()).unwrap();
        let document = parse(&resolved).unwrap();
        (
            document.html(&resolved.slots, false).replace('\u{1}', "\n"),
            document.text(&resolved.slots, false).replace('\u{1}', "\n"),
        )
    }

    #[test]
    fn html_and_text_come_from_the_same_blocks() {
        for (source, html, text) in [
            ("# Title\n\nA **b**\nc", "<h1>Title</h1>\n<p>A <strong>b</strong>\nc</p>\n", "Title\n=====\n\nA b\nc\n\n"),
            ("- a\n- b\n\nc", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n<p>c</p>\n", "- a\n- b\n\nc\n\n"),
            ("1. a\n2. b", "<ol>\n<li>a</li>\n<li>b</li>\n</ol>\n", "1. a\n2. b\n\n"),
            (
                "- a\n  - b\n- c",
                "<ul>\n<li>a<ul>\n<li>b</li>\n</ul>\n</li>\n<li>c</li>\n</ul>\n",
                "- a\n  - b\n- c\n\n",
            ),
            ("> q\n> r", "<blockquote><p>q\nr</p>\n</blockquote>\n", "> q\n> r\n\n"),
            ("[w](https://x.example)", "<p><a href=\"https://x.example\">w</a></p>\n", "w (https://x.example)\n\n"),
            ("<a@x.example>", "<p><a href=\"mailto:a@x.example\">a@x.example</a></p>\n", "a@x.example\n\n"),
            ("<b>x</b> ![alt](https://x.example/y.png)", "<p>&lt;b&gt;x&lt;/b&gt; alt</p>\n", "<b>x</b> alt\n\n"),
            (
                "{{text.steps}}",
                "<p>First:</p>\n<ul>\n<li>one</li>\n<li><a href=\"https://x.example/?a=1&amp;b=2\">two</a></li>\n</ul>\n",
                "First:\n\n- one\n- two (https://x.example/?a=1&b=2)\n\n",
            ),
            (
                "{{#if name}}\nHello\n{{else}}\nDear\n{{/if}}\nend",
                "{{#if name}}<p>Hello</p>\n{{else}}<p>Dear</p>\n{{/if}}<p>end</p>\n",
                "{{#if name}}Hello\n\n{{else}}Dear\n\n{{/if}}end\n\n",
            ),
            (
                "{{#each data_types}}\n- {{this}}\n{{/each}}",
                "<ul>\n{{#each data_types}}<li>{{this}}</li>\n{{/each}}</ul>\n",
                "{{#each data_types}}- {{this}}\n{{/each}}\n",
            ),
            (
                "- a\n{{#if role_self}}\n- b\n{{else}}\n- c\n{{/if}}\n- d",
                "<ul>\n<li>a</li>\n{{#if role_self}}<li>b</li>\n{{else}}<li>c</li>\n{{/if}}<li>d</li>\n</ul>\n",
                "- a\n{{#if role_self}}- b\n{{else}}- c\n{{/if}}- d\n\n",
            ),
            (
                "{{#if role_self}}\n- a\n{{/if}}\n- b",
                "<ul>\n{{#if role_self}}<li>a</li>\n{{/if}}<li>b</li>\n</ul>\n",
                "{{#if role_self}}- a\n{{/if}}- b\n\n",
            ),
            (
                "{{#if role_self}}\n- b\n{{/if}}",
                "{{#if role_self}}<ul>\n<li>b</li>\n</ul>\n{{/if}}",
                "{{#if role_self}}- b\n\n{{/if}}",
            ),
        ] {
            assert_eq!(both(source), (html.to_owned(), text.to_owned()), "{source}");
        }
    }

    #[test]
    fn a_fixed_value_is_text_and_nothing_else() {
        let (html, text) = both("{{organisation}}");
        assert_eq!(html, "<p>A*B* &lt;\u{2}\u{2}Ltd\u{4}\u{4} \u{3}</p>\n");
        assert_eq!(text, "A*B* <\u{2}\u{2}Ltd\u{4}\u{4} \u{3}\n\n");
        assert_eq!(
            uncode("a\u{1}b {{x}}\u{1}\u{1}c\u{3}{{y}}\u{4}\u{1}z"),
            "a\nb {{x}}{{nl2}}c{{bs}}{{y}}{{rb}}{{nl}}z"
        );
    }

    #[test]
    fn a_block_that_straddles_and_an_unsafe_link_are_faults() {
        for source in [
            "a {{#if name}} b\n\nc {{/if}}",
            "- a {{#if name}}\n- b {{/if}}",
            "**a {{#if name}}b** c{{/if}}",
            "[x](javascript:alert(1))",
            "[x](https://x.example/{{reference}})",
        ] {
            let resolved = resolve("x", source, 1, Kind::Markdown, &Known::default(), &mut Uses::default()).unwrap();
            assert!(parse(&resolved).is_err(), "{source}");
        }
    }
}
