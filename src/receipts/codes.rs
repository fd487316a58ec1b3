//! Codes in the words of servers: reply codes, enhanced status codes, and at which command they were given.

/// An enhanced status code (RFC 3463).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) class: u16,
    pub(super) subject: u16,
    pub(super) detail: u16,
}

/// Where in the dialogue a server refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Phase {
    Connect,
    Mail,
    Rcpt,
    Data,
}

impl Status {
    /// The code that the text begins with: `5.1.1 (bad destination)`.
    pub(super) fn leading(text: &str) -> Option<Status> {
        let text = text.trim_start();
        let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
        Status::parse(text[..end].trim_end_matches('.'))
    }

    fn parse(word: &str) -> Option<Status> {
        let mut parts = word.split('.').map(|part| {
            let short = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            short.then(|| part.parse::<u16>().ok()).flatten()
        });
        let (class, subject, detail) = (parts.next()??, parts.next()??, parts.next()??);
        let sound = matches!(class, 2 | 4 | 5) && subject <= 7 && parts.next().is_none();
        sound.then_some(Status { class, subject, detail })
    }

    /// Says nothing but the class.
    pub(super) fn is_vague(self) -> bool {
        (self.subject, self.detail) == (0, 0)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// The enhanced code in a text: the first behind a reply code, else the first; one that says more than its class
/// goes before one that does not.
pub(super) fn status_in(text: &str) -> Option<Status> {
    let mut best: Option<(bool, bool, Status)> = None;
    let mut behind = false;
    for word in words(text) {
        let reply = word.len() == 3 && word.starts_with(['4', '5']);
        if let Some(status) = Status::parse(word).filter(|status| status.class != 2) {
            let found = (!status.is_vague(), behind, status);
            if best.is_none_or(|(telling, placed, _)| (found.0, found.1) > (telling, placed)) {
                best = Some(found);
            }
        }
        behind = reply;
    }
    best.map(|(_, _, status)| status)
}

/// Words of digits and dots that stand alone: `5.1.1` in `(#5.1.1)` and `550-5.1.1`, nothing in `192.0.2.1` or
/// `v5.1.1b`.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || "()[]<>#;:,'\"-=*|".contains(c))
        .map(|word| word.trim_end_matches('.'))
        .filter(|word| word.len() >= 3 && word.starts_with(|c: char| c.is_ascii_digit()))
}

/// The SMTP reply code in a text: a number from 400 to 599 in front of words, as servers write it.
pub(super) fn reply_in(text: &str) -> Option<u16> {
    let mut before: Option<&str> = None;
    for word in text.split(|c: char| c.is_whitespace() || "();,<>'\"".contains(c)).filter(|word| !word.is_empty()) {
        let digits = word.trim_start_matches('#').trim_start_matches(':');
        let len = digits.bytes().take_while(u8::is_ascii_digit).count();
        let ends = matches!(digits.as_bytes().get(len), None | Some(b'-' | b':'));
        let counted = before.is_some_and(|b| {
            ["within", "after", "port", "line", "id", "size", "limit", "than"]
                .contains(&b.to_ascii_lowercase().as_str())
        });
        if len == 3 && ends && !counted {
            let code =
                digits[..3].parse::<u16>().ok().filter(|code| (400..600).contains(code) && (code / 10) % 10 <= 7);
            if code.is_some() {
                return code;
            }
        }
        before = Some(word);
    }
    None
}

/// The command that was refused, by what servers write of it. `text` is in lower case.
pub(super) fn phase_in(text: &str) -> Option<Phase> {
    let on_one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let named = PHASES.iter().filter_map(|(words, phase)| on_one_line.find(words).map(|at| (at, *phase)));
    let named = named.min_by_key(|(at, _)| *at).map(|(_, phase)| phase);
    transcript_phase(text).or(named)
}

const PHASES: &[(&str, Phase)] = &[
    ("in reply to rcpt to", Phase::Rcpt),
    ("in reply to mail from", Phase::Mail),
    ("in reply to end of data", Phase::Data),
    ("in reply to data", Phase::Data),
    ("in reply to ehlo", Phase::Connect),
    ("in reply to helo", Phase::Connect),
    ("in reply to end of message", Phase::Data),
    ("after rcpt to", Phase::Rcpt),
    ("after rcpt command", Phase::Rcpt),
    ("after mail from", Phase::Mail),
    ("after mail command", Phase::Mail),
    ("after end of data", Phase::Data),
    ("after data", Phase::Data),
    ("after pipelined mail from", Phase::Mail),
    ("after pipelined rcpt to", Phase::Rcpt),
    ("after pipelined end of data", Phase::Data),
    ("after initial connection", Phase::Connect),
    ("after helo", Phase::Connect),
    ("after ehlo", Phase::Connect),
    ("for text command", Phase::Data),
    ("for data command", Phase::Data),
    ("for rcpt to command", Phase::Rcpt),
    ("for rcpt command", Phase::Rcpt),
    ("for mail from command", Phase::Mail),
    ("does not like recipient", Phase::Rcpt),
    ("sender was rejected", Phase::Mail),
    ("does not like sender", Phase::Mail),
    ("my name was rejected", Phase::Connect),
    ("after i sent the message", Phase::Data),
    ("failed on data command", Phase::Data),
    ("greeting failed", Phase::Connect),
    ("did not like our rcpt to", Phase::Rcpt),
    ("did not like our mail from", Phase::Mail),
    ("did not like our final data", Phase::Data),
    ("did not like our data", Phase::Data),
    ("did not like our ehlo", Phase::Connect),
    ("did not like our helo", Phase::Connect),
    ("refused to talk to me", Phase::Connect),
    ("[rcpt_to]", Phase::Rcpt),
    ("[mail_from]", Phase::Mail),
    ("[data]", Phase::Data),
    ("[eom]", Phase::Data),
    ("rcpt to:", Phase::Rcpt),
    ("from rcpt to", Phase::Rcpt),
];

/// `>>> RCPT To:<…>` before the first `<<< 5…` of a transcript.
fn transcript_phase(text: &str) -> Option<Phase> {
    let mut said = None;
    for line in text.lines().take(2_000) {
        let line = line.trim_start_matches(|c: char| c == '>' && line.starts_with("> ")).trim_start();
        if let Some(command) = line.strip_prefix(">>>") {
            let command = command.trim_start_matches('>').trim_start();
            said = phase_of_command(command).or(said);
        } else if line.strip_prefix("<<<").is_some_and(|reply| reply.trim_start().starts_with(['4', '5'])) {
            return said;
        }
    }
    None
}

fn phase_of_command(command: &str) -> Option<Phase> {
    let known = [
        ("rcpt", Phase::Rcpt),
        ("mail", Phase::Mail),
        ("data", Phase::Data),
        (".", Phase::Data),
        ("bdat", Phase::Data),
        ("helo", Phase::Connect),
        ("ehlo", Phase::Connect),
        ("starttls", Phase::Connect),
    ];
    known.into_iter().find(|(name, _)| command.starts_with(name)).map(|(_, phase)| phase)
}
