//! What a server answered: code, enhanced code, text, and the queue id in it. Pure.

use std::fmt;

/// Longest queue id worth keeping.
const LONGEST_ID: usize = 64;

/// One complete reply, its lines joined by a space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub code: u16,
    pub text: String,
}

/// An enhanced status code (RFC 3463) without its first digit, which must be that of the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Enhanced {
    pub subject: u16,
    pub detail: u16,
}

impl Reply {
    pub(super) fn new(code: u16, text: impl Into<String>) -> Reply {
        Reply { code, text: text.into() }
    }

    /// A reply as it came through the cork, with the server's own code where another stood in for it.
    pub(super) fn heard(code: u16, text: &str) -> Reply {
        let own = text.get(..3).and_then(|own| own.parse::<u16>().ok());
        match own {
            Some(own)
                if own / 100 == code / 100
                    && (own / 10) % 10 > 5
                    && matches!(text.as_bytes().get(3), None | Some(b' ' | b'-')) =>
            {
                Reply::new(own, text.get(4..).unwrap_or_default())
            }
            Some(_) | None => Reply::new(code, text),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.code / 100 == 2
    }

    /// The first enhanced code in the text that agrees with the reply's first digit. Most servers begin with it;
    /// some write `#5.1.0` or `(5.1.1)` further on.
    pub(super) fn enhanced(&self) -> Option<Enhanced> {
        self.text.split_whitespace().find_map(|word| enhanced_in(word, self.code / 100))
    }

    /// `550 5.1.1`, or `550` where the server gave no enhanced code.
    pub(super) fn label(&self) -> String {
        match self.enhanced() {
            Some(e) => format!("{} {}.{}.{}", self.code, self.code / 100, e.subject, e.detail),
            None => self.code.to_string(),
        }
    }

    /// The relay's id of the message in the reply to the final dot: what follows `queued as` or `id=`, else the last
    /// word that looks like an id.
    pub(super) fn queue_id(&self) -> Option<String> {
        let words: Vec<&str> = self.text.split_whitespace().collect();
        let after_queued = words.windows(3).find_map(|w| {
            let said = w[0].eq_ignore_ascii_case("queued") && w[1].eq_ignore_ascii_case("as");
            said.then(|| clean_id(w[2])).flatten()
        });
        let after_id = || words.iter().find_map(|word| clean_id(word.strip_prefix("id=")?));
        let likely = || words.iter().rev().find_map(|word| clean_id(word).filter(|id| looks_like_id(id)));
        after_queued.or_else(after_id).or_else(likely).map(str::to_owned)
    }
}

fn enhanced_in(word: &str, class: u16) -> Option<Enhanced> {
    let word = word.trim_matches(|c: char| !c.is_ascii_digit());
    let mut parts = word.split('.').map(|part| {
        let short = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        short.then(|| part.parse::<u16>().ok()).flatten()
    });
    let (first, subject, detail) = (parts.next()??, parts.next()??, parts.next()??);
    (first == class && parts.next().is_none()).then_some(Enhanced { subject, detail })
}

fn clean_id(word: &str) -> Option<&str> {
    let id = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let whole = (1..=LONGEST_ID).contains(&id.len()) && !id.contains('@') && id.bytes().all(|b| b.is_ascii_graphic());
    whole.then_some(id)
}

fn looks_like_id(id: &str) -> bool {
    id.len() >= 6 && id.bytes().any(|b| b.is_ascii_digit()) && enhanced_in(id, 2).is_none()
}

/// Hides the recipient where a server repeats it: the whole address is masked later by its `@`, the local part alone
/// only here.
pub(super) fn without_local_part(text: &str, address: &str) -> String {
    let local = address.rsplit_once('@').map_or(address, |(local, _)| local);
    if local.chars().count() < 3 {
        return text.to_owned();
    }
    let words: Vec<&str> =
        text.split_whitespace().map(|word| if stands_in(local, word) { "‹address›" } else { word }).collect();
    words.join(" ")
}

/// Whether the name is in the word as a whole: `ann` is in `'Ann':` and not in `cannot`.
fn stands_in(name: &str, word: &str) -> bool {
    let (name, word) = (name.to_lowercase(), word.to_lowercase());
    word.match_indices(&name).any(|(at, found)| {
        let before = word[..at].chars().next_back();
        let after = word[at + found.len()..].chars().next();
        ![before, after].into_iter().flatten().any(char::is_alphanumeric)
    })
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enhanced_codes_are_found_where_servers_put_them() {
        for (code, text, want) in [
            (550, "5.1.1 unknown", "550 5.1.1"),
            (550, "#5.1.0 Address rejected.", "550 5.1.0"),
            (550, "Requested action not taken (5.2.1)", "550 5.2.1"),
            (452, "4.5.3 too many", "452 4.5.3"),
            (550, "5.7.515 access denied", "550 5.7.515"),
            (550, "no such user", "550"),
            (550, "4.2.1 the digits disagree", "550"),
            (554, "blocked: 5.1.1.7 is listed", "554"),
            (550, "5.1111.1 too long", "550"),
        ] {
            assert_eq!(Reply::new(code, text).label(), want, "{text}");
        }
    }

    #[test]
    fn a_code_that_another_stood_in_for_comes_back() {
        for (code, text, want) in [
            (554, "571 5.7.1 not authorized", Reply::new(571, "5.7.1 not authorized")),
            (554, "571-no 571 way", Reply::new(571, "no 571 way")),
            (451, "471", Reply::new(471, "")),
            (554, "471 is not of this kind", Reply::new(554, "471 is not of this kind")),
            (550, "5712 errors", Reply::new(550, "5712 errors")),
            (250, "", Reply::new(250, "")),
        ] {
            assert_eq!(Reply::heard(code, text), want);
        }
    }

    #[test]
    fn queue_ids_of_well_known_servers() {
        let long = format!("OK {}", "a1".repeat(40));
        for (text, want) in [
            ("2.0.0 Ok: queued as 4F1C2A0042", Some("4F1C2A0042")),
            ("OK id=1pXyZ2-0004Ab-1C", Some("1pXyZ2-0004Ab-1C")),
            ("2.0.0 3AGBx1k2003345 Message accepted for delivery", Some("3AGBx1k2003345")),
            ("2.0.0 OK  1732400000 d2e1a72fcca58-724de4 - gsmtp", Some("d2e1a72fcca58-724de4")),
            ("Ok 0100018b2c3d4e5f-aa-000000", Some("0100018b2c3d4e5f-aa-000000")),
            ("2.0.0 Ok", None),
            ("OK", None),
            ("accepted for jane99@example.org", None),
            (long.as_str(), None),
        ] {
            assert_eq!(Reply::new(250, text).queue_id().as_deref(), want, "{text}");
        }
    }

    #[test]
    fn the_recipient_is_hidden_in_repeated_text() {
        let told = without_local_part("5.1.1 User 'Jane.Doe' unknown", "jane.doe@example.org");
        assert_eq!(told, "5.1.1 User ‹address› unknown");
        assert_eq!(without_local_part("user=jane.doe, gone", "Jane.Doe@example.org"), "‹address› gone");
        assert_eq!(without_local_part("cannot deliver", "ann@example.org"), "cannot deliver");
        assert_eq!(without_local_part("5.1.1 no such user", "jo@example.org"), "5.1.1 no such user");
    }
}
