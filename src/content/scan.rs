//! Cuts a template into text and tags: the small part of Handlebars that template sets may use.
//!
//! Closed on purpose: a tag that is not known here is a fault with its line, so that no template can print something
//! unescaped, call a helper or include a file. Block tags and comments that stand alone on a line take the line with them.

/// A value's name: `incident` and `title`, `extra` and `Customer No.`, or `name` and nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Path {
    pub(super) root: String,
    pub(super) rest: String,
}

impl Path {
    /// As messages and tables write it: `incident.title`.
    pub(super) fn dotted(&self) -> String {
        if self.rest.is_empty() { self.root.clone() } else { format!("{}.{}", self.root, self.rest) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Text(String),
    Value(Path),
    If(Path),
    Unless(Path),
    Each(Path),
    ElseIf(Path),
    Else,
    End,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) what: What,
    pub(super) line: u32,
    /// A block tag alone on its line; then `indent` is what stood before it.
    pub(super) alone: bool,
    pub(super) indent: String,
}

impl Piece {
    pub(super) fn is_blank(&self) -> bool {
        matches!(&self.what, What::Text(text) if text.trim().is_empty())
    }
}

/// What is wrong, and in which line; 0 where Markdown no longer tells.
pub(super) type Fault = (u32, String);

/// The pieces of a source whose first line has the number `first_line`; all faults at once.
pub(super) fn scan(source: &str, first_line: u32) -> Result<Vec<Piece>, Vec<Fault>> {
    let mut scanner = Scanner { pieces: Vec::new(), faults: Vec::new(), open: Vec::new(), line: first_line };
    if let Some(at) = source.find(|c: char| c.is_control() && c != '\n' && c != '\t') {
        let line = first_line + line_ends(source.split_at(at).0);
        scanner.faults.push((line, "has a control character; delete it".to_owned()));
    }
    scanner.run(source);
    for (line, kind) in std::mem::take(&mut scanner.open) {
        scanner.faults.push((line, format!("`{{{{#{kind}}}}}` is never closed; add `{{{{/{kind}}}}}`")));
    }
    if scanner.faults.is_empty() { Ok(scanner.pieces) } else { Err(scanner.faults) }
}

struct Scanner {
    pieces: Vec<Piece>,
    faults: Vec<Fault>,
    /// The blocks that are open, with their lines.
    open: Vec<(u32, &'static str)>,
    line: u32,
}

fn line_ends(text: &str) -> u32 {
    text.bytes().filter(|b| *b == b'\n').count() as u32
}

impl Scanner {
    fn run(&mut self, source: &str) {
        let mut rest = source;
        let mut at_line_start = true;
        while let Some((before, from_tag)) = rest.find("{{").map(|at| rest.split_at(at)) {
            self.line += line_ends(before);
            let (close, width) = if from_tag.starts_with("{{!--") { ("--}}", 4) } else { ("}}", 2) };
            let Some(end) = from_tag.find(close) else {
                self.faults.push((self.line, "`{{` is never closed by `}}`".to_owned()));
                return;
            };
            let (tag, after) = from_tag.split_at(end + width);
            let inner = tag.trim_start_matches("{{").trim_end_matches("}}");
            let takes_line = inner.starts_with(['!', '#', '/', '^']) || inner.split_whitespace().next() == Some("else");
            let (head, indent) = before.rsplit_once('\n').map_or(("", before), |(h, i)| (h, i));
            let starts_line = (before.contains('\n') || at_line_start) && indent.trim().is_empty();
            let (tail, ends_line) = match after.split_once('\n') {
                Some((tail, _)) => (tail, true),
                None => (after, false),
            };
            let alone = takes_line && starts_line && tail.trim().is_empty();
            let tag_line = self.line;
            self.line += line_ends(tag);
            if alone {
                let keep = if before.contains('\n') { before.split_at(head.len() + 1).0 } else { "" };
                self.text(keep);
                rest = after.split_at(tail.len() + usize::from(ends_line)).1;
                self.tag(tag, tag_line, Some(indent));
                self.line += u32::from(ends_line);
            } else {
                self.text(before);
                self.tag(tag, tag_line, None);
                rest = after;
            }
            at_line_start = alone;
        }
        self.text(rest);
    }

    fn text(&mut self, text: &str) {
        if !text.is_empty() {
            let what = What::Text(text.to_owned());
            self.pieces.push(Piece { what, line: self.line, alone: false, indent: String::new() });
        }
    }

    fn tag(&mut self, tag: &str, line: u32, alone: Option<&str>) {
        if tag.starts_with("{{!") {
            return;
        }
        match self.read(tag, line) {
            Ok(what) => {
                let indent = alone.unwrap_or_default().to_owned();
                self.pieces.push(Piece { what, line, alone: alone.is_some(), indent });
            }
            Err(message) => self.faults.push((line, message)),
        }
    }

    fn read(&mut self, tag: &str, line: u32) -> Result<What, String> {
        let inner = tag.strip_prefix("{{").and_then(|t| t.strip_suffix("}}")).unwrap_or(tag);
        if inner.starts_with(['{', '&', '~', '>']) || inner.ends_with('~') {
            return Err(format!("`{tag}` is not allowed here; write `{{{{value}}}}`"));
        }
        let inner = inner.trim();
        if let Some(kind) = inner.strip_prefix('/') {
            return match self.open.pop() {
                Some((_, open)) if open == kind.trim() => Ok(What::End),
                Some((from, open)) => Err(format!("`{tag}` closes the `{{{{#{open}}}}}` of line {from}")),
                None => Err(format!("`{tag}` closes nothing")),
            };
        }
        if let Some(block) = inner.strip_prefix('#') {
            let (kind, argument) = block.split_once(char::is_whitespace).unwrap_or((block, ""));
            let (kind, make): (&'static str, fn(Path) -> What) = match kind {
                "if" => ("if", What::If),
                "unless" => ("unless", What::Unless),
                "each" => ("each", What::Each),
                _ => return Err(format!("`{tag}` is not known; blocks are `#if`, `#unless` and `#each`")),
            };
            self.open.push((line, kind));
            return Ok(make(path(argument).ok_or_else(|| format!("`{tag}` needs one name after `#{kind}`"))?));
        }
        if let Some(condition) = inner.strip_prefix("else").filter(|c| c.is_empty() || c.starts_with(' ')) {
            let kind = self.open.last().map(|(_, kind)| *kind);
            let condition = condition.trim();
            if !matches!(kind, Some("if" | "unless")) {
                return Err(format!("`{tag}` stands in no `#if` or `#unless`"));
            }
            if condition.is_empty() {
                return Ok(What::Else);
            }
            let argument = condition.strip_prefix("if ").and_then(path);
            return argument
                .map(What::ElseIf)
                .ok_or_else(|| format!("`{tag}` is not known; write `{{{{else if NAME}}}}`"));
        }
        path(inner)
            .map(What::Value)
            .ok_or_else(|| format!("`{tag}` is not one name; helpers and literals are not allowed"))
    }
}

/// Reads `a`, `a.b`, `a.[b c]`.
fn path(text: &str) -> Option<Path> {
    let text = text.trim();
    let (root, rest) = text.split_once('.').unwrap_or((text, ""));
    let plain = |s: &str| !s.is_empty() && s.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    let rest = match rest.strip_prefix('[').and_then(|r| r.strip_suffix(']')) {
        Some(literal) if !literal.is_empty() && !literal.contains(['[', ']']) => literal,
        Some(_) => return None,
        None if rest.is_empty() && !text.contains('.') => rest,
        None if rest.split('.').all(plain) => rest,
        None => return None,
    };
    plain(root).then(|| Path { root: root.to_owned(), rest: rest.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(source: &str) -> String {
        let shown: Vec<String> = match scan(source, 1) {
            Ok(pieces) => pieces
                .iter()
                .map(|p| {
                    let what = match &p.what {
                        What::Text(t) => return format!("{t:?}"),
                        What::Value(path) => path.dotted(),
                        What::If(path) => format!("if {}", path.dotted()),
                        What::Unless(path) => format!("unless {}", path.dotted()),
                        What::Each(path) => format!("each {}", path.dotted()),
                        What::ElseIf(path) => format!("elseif {}", path.dotted()),
                        What::Else => "else".to_owned(),
                        What::End => "end".to_owned(),
                    };
                    format!("<{what} {}{}>", p.line, if p.alone { " alone" } else { "" })
                })
                .collect(),
            Err(faults) => faults.iter().map(|(line, m)| format!("!{line} {m}")).collect(),
        };
        shown.join(" ")
    }

    #[test]
    fn tags_are_cut_out_with_their_lines() {
        for (source, want) in [
            ("a {{ name }} b", "\"a \" <name 1> \" b\""),
            ("{{extra.[Customer No.]}}{{incident.title}}", "<extra.Customer No. 1> <incident.title 1>"),
            (
                "x\n{{#if name}}\ny\n{{else if extra.a}}\nz\n{{/if}}\n",
                "\"x\\n\" <if name 2 alone> \"y\\n\" <elseif extra.a 4 alone> \"z\\n\" <end 6 alone>",
            ),
            ("  {{#if name}}  \n  {{/if}}", "<if name 1 alone> <end 2 alone>"),
            ("{{#if name}}a{{else}}b{{/if}}", "<if name 1> \"a\" <else 1> \"b\" <end 1>"),
            ("{{! one }}\na{{!-- {{two}} \n --}}b\n{{name}}", "\"a\" \"b\\n\" <name 4>"),
            (
                "{{#each data_types}}\n- {{this}}\n{{/each}}",
                "<each data_types 1 alone> \"- \" <this 2> \"\\n\" <end 3 alone>",
            ),
            ("{{elsewhere}}", "<elsewhere 1>"),
        ] {
            assert_eq!(show(source), want, "{source}");
        }
    }

    #[test]
    fn what_is_not_understood_is_a_fault_with_its_line() {
        for (source, want) in [
            ("a\n{{{name}}}", "!2"),
            ("{{> part}}", "!1"),
            ("{{&name}}", "!1"),
            ("{{~name}}", "!1"),
            ("{{name", "!1"),
            ("\n\n{{#if name}}", "!3"),
            ("{{#if name}}{{/each}}", "!1"),
            ("{{/if}}", "!1"),
            ("{{#with name}}{{/with}}", "!1"),
            ("{{eq a b}}", "!1"),
            ("{{#if (eq a b)}}{{/if}}", "!1"),
            ("{{else}}", "!1"),
            ("{{#each data_types}}{{else}}{{/each}}", "!1"),
            ("{{}}", "!1"),
            ("{{a.}}", "!1"),
            ("{{../name}}", "!1"),
            ("a\u{1}b", "!1"),
        ] {
            assert!(show(source).starts_with(want), "{source}: {}", show(source));
        }
    }
}
