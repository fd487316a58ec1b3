//! Whether a text is one SELECT. This spares people surprises; the guard is that the transaction reads only.

/// Words that make a SELECT write, or keep others from writing. They are reserved in all databases that are read.
const WRITES: [&str; 1] = ["into"];
const LOCKS: [(&str, &str); 6] =
    [("for", "update"), ("for", "share"), ("for", "no"), ("for", "key"), ("lock", "in"), ("nowait", "")];

/// The statement without what stands behind it, or why it is none of one SELECT.
pub(super) fn only_select(query: &str) -> Result<&str, &'static str> {
    let words = words(query)?;
    let end = match words.iter().position(|word| word.text == ";") {
        Some(at) if words.len() > at + 1 && words[at + 1..].iter().any(|word| word.text != ";") => {
            return Err("holds more than one statement");
        }
        Some(at) => words[at].at,
        None => query.len(),
    };
    let lower: Vec<String> = words.iter().map(|word| word.text.to_lowercase()).collect();
    let first = lower.iter().find(|word| *word != "(").map_or("", String::as_str);
    match first {
        "select" => {}
        "with" if lower.iter().any(|word| word == "select") => {}
        "" | ";" => return Err("is empty"),
        _ => return Err("is not a SELECT"),
    }
    if lower.iter().any(|word| WRITES.contains(&word.as_str())) {
        return Err("writes what it selects (INTO)");
    }
    if lower.windows(2).any(|two| LOCKS.contains(&(two[0].as_str(), two[1].as_str()))) {
        return Err("locks the rows it selects");
    }
    Ok(query[..end].trim())
}

struct Word<'q> {
    text: &'q str,
    at: usize,
}

/// Words and signs, without what is quoted and without remarks. What a quote or a remark is differs a little between
/// databases; where it does, the text is refused rather than guessed.
fn words(query: &str) -> Result<Vec<Word<'_>>, &'static str> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(sign) = query[at..].chars().next() {
        let rest = &query[at..];
        let length = match sign {
            '\'' | '"' | '`' => quoted(rest, sign).ok_or("has a quote that is not closed")?,
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*!") || rest.starts_with("/*M!") => {
                return Err("holds a remark that is executed");
            }
            '/' if rest.starts_with("/*") => rest.find("*/").ok_or("has a remark that is not closed")? + 2,
            '$' => dollar_quoted(rest).unwrap_or(1),
            sign if sign.is_alphanumeric() || sign == '_' => {
                let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'));
                let length = length.unwrap_or(rest.len());
                words.push(Word { text: &rest[..length], at });
                length
            }
            ';' | '(' => {
                words.push(Word { text: &rest[..1], at });
                1
            }
            other => other.len_utf8(),
        };
        at += length;
    }
    Ok(words)
}

/// The length of what is quoted; a doubled quote is one inside.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut signs = text.char_indices().skip(1).peekable();
    while let Some((at, sign)) = signs.next() {
        if sign == quote {
            if signs.peek().is_some_and(|(_, next)| *next == quote) {
                signs.next();
            } else {
                return Some(at + 1);
            }
        }
    }
    None
}

/// The length of `$tag$ … $tag$`.
fn dollar_quoted(text: &str) -> Option<usize> {
    let tag = text.get(1..)?.find('$').map(|end| &text[..end + 2])?;
    let named = tag.trim_matches('$');
    if !named.chars().all(|c| c.is_alphanumeric() || c == '_') || named.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let inside = text.get(tag.len()..)?;
    inside.find(tag).map(|end| 2 * tag.len() + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_select_is_taken_as_it_stands() {
        for (query, want) in [
            ("select 1", "select 1"),
            (" SELECT a, 'x;y' FROM t ; -- all\n", "SELECT a, 'x;y' FROM t"),
            ("with a as (select 1) select * from a;;", "with a as (select 1) select * from a"),
            ("(select 1) union (select 2)", "(select 1) union (select 2)"),
            (
                "/* who */ select replace(a, 'into', ''), \"into\" from t",
                "/* who */ select replace(a, 'into', ''), \"into\" from t",
            ),
            ("select $x$ ; into $x$", "select $x$ ; into $x$"),
            ("select 'it''s; into'", "select 'it''s; into'"),
        ] {
            assert_eq!(only_select(query), Ok(want));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for (query, why) in [
            ("", "is empty"),
            (" -- nothing", "is empty"),
            (";", "is empty"),
            ("delete from t", "is not a SELECT"),
            ("update t set a = 1", "is not a SELECT"),
            ("explain select 1", "is not a SELECT"),
            ("with x as (delete from t) delete from u", "is not a SELECT"),
            ("select 1; drop table t", "holds more than one statement"),
            ("select 1;;select 2", "holds more than one statement"),
            ("select * into u from t", "writes what it selects (INTO)"),
            ("select * from t INTO OUTFILE '/x'", "writes what it selects (INTO)"),
            ("select * from t for update", "locks the rows it selects"),
            ("select * from t lock in share mode", "locks the rows it selects"),
            ("select 'a", "has a quote that is not closed"),
            ("select /* a", "has a remark that is not closed"),
            ("select 1 /*! into outfile '/x' */", "holds a remark that is executed"),
        ] {
            assert_eq!(only_select(query), Err(why), "{query}");
        }
    }
}
