//! The mailbox that notices come from.

use std::str::FromStr;

/// A display name and an address that can stand in a header as they are: no control characters, ASCII address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// May be empty.
    pub name: String,
    /// The domain in lower case, as A-labels.
    pub address: String,
}

impl Mailbox {
    /// Reads `Name <address>`, `"Name, with signs" <address>` or `address`.
    pub fn parse(text: &str) -> Result<Mailbox, String> {
        if text.chars().any(char::is_control) {
            return Err("must be one line of text without control characters".to_owned());
        }
        let text = text.trim();
        let (name, address) = match text.strip_suffix('>').and_then(|t| t.rsplit_once('<')) {
            Some((name, address)) => (unquoted(name.trim())?, address),
            None => (String::new(), text),
        };
        Ok(Mailbox { name, address: checked_address(address.trim())? })
    }
}

/// The name without its quotes. Characters that mean something in a header need them.
fn unquoted(name: &str) -> Result<String, String> {
    let Some(inner) = name.strip_prefix('"') else {
        if name.contains(['"', '<', '>', ',', ';', ':', '@', '(', ')', '[', ']', '\\']) {
            return Err("has signs in the name that need quotes: '\"Name, Inc.\" <address>'".to_owned());
        }
        return Ok(name.to_owned());
    };
    let mut plain = String::new();
    let mut rest = inner.chars();
    loop {
        match rest.next() {
            Some('\\') => plain.extend(rest.next()),
            Some('"') if rest.as_str().is_empty() => return Ok(plain),
            Some('"') | None => return Err("has quotes in the name that do not match".to_owned()),
            Some(c) => plain.push(c),
        }
    }
}

fn checked_address(address: &str) -> Result<String, String> {
    const HOW: &str = "must hold an address as Data Protection <dpo@example.com>";
    let (user, domain) = address.rsplit_once('@').ok_or(HOW)?;
    let domain = idna::domain_to_ascii_strict(domain).map_err(|_| "has a domain that cannot be".to_owned())?;
    let address = format!("{user}@{domain}");
    if !address.is_ascii() {
        return Err("must have an address in ASCII before the @: relays may not take another".to_owned());
    }
    if address.contains(' ') || !domain.contains('.') && domain != "localhost" || address.len() > 254 {
        return Err(HOW.to_owned());
    }
    match lettre::Address::from_str(&address) {
        Ok(_) => Ok(address),
        Err(_) => Err(HOW.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailboxes_are_read_in_their_usual_forms() {
        for (text, name, address) in [
            ("Data Protection <dpo@example.com>", "Data Protection", "dpo@example.com"),
            ("dpo@example.com", "", "dpo@example.com"),
            ("<dpo@Example.COM>", "", "dpo@example.com"),
            ("\"Müller, GmbH \\\"DE\\\"\" <d@müller.example>", "Müller, GmbH \"DE\"", "d@xn--mller-kva.example"),
            ("数据保护 <d@example.com>", "数据保护", "d@example.com"),
        ] {
            let want = Mailbox { name: name.to_owned(), address: address.to_owned() };
            assert_eq!(Mailbox::parse(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_could_break_a_header_is_refused() {
        for text in [
            "",
            "nobody",
            "a@b@",
            "Name <a@example.com",
            "Name <>",
            "Name\r\nBcc: x@example.org <a@example.com>",
            "Name <a@example.com>\nBcc: x@example.org",
            "Name\u{0} <a@example.com>",
            "Example, Ltd <a@example.com>",
            "\"Example <a@example.com>",
            "x <y@example.org> <a@example.com>",
            "Name <ü@example.com>",
            "Name <a b@example.com>",
            "Name <a@exa mple.com>",
            "Name <a@b..example>",
        ] {
            assert!(Mailbox::parse(text).is_err(), "{text:?}");
        }
    }
}
