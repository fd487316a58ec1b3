//! A notice in its final words, ready for an adapter.

use super::channel::Channel;
use super::personal::Personal;

/// The exact content of one notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rendered {
    Email(EmailNotice),
    Sms(SmsNotice),
    Call(CallScript),
}

/// Both parts say the same: they are made from one text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EmailNotice {
    pub subject: Personal,
    pub text: Personal,
    pub html: Personal,
    /// The whole message as octets go to DATA: headers and multipart body, CRLF lines of at most 998 octets, all
    /// ASCII, not yet dot-stuffed, ending in CRLF (RFC 5322, 2045).
    pub mime: Personal,
    /// The Message-ID in `mime`, without `<` and `>`; names nobody.
    pub message_id: String,
    /// From whom it is: the name shown, and the address.
    pub sender_name: String,
    pub sender_address: String,
    /// Both, as a header writes them.
    pub sender_mailbox: String,
}

/// How a text is coded on the air (3GPP TS 23.038).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmsCoding {
    Gsm7,
    Ucs2,
}

impl SmsCoding {
    pub fn as_str(self) -> &'static str {
        match self {
            SmsCoding::Gsm7 => "gsm-7",
            SmsCoding::Ucs2 => "ucs-2",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmsNotice {
    pub text: Personal,
    pub coding: SmsCoding,
    /// Parts that will be billed.
    pub segments: u32,
}

/// What a caller reads, section by section, in the person's language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallScript {
    /// (section id, heading, plain text with line breaks): greeting, identity, message, questions, closing.
    pub sections: Vec<(String, String, Personal)>,
    /// The person's language as the script is written, BCP 47.
    pub language: String,
    /// What a machine reads aloud; `None` where the texts have no words for machines.
    pub spoken: Option<Spoken>,
}

/// A call made by a machine, in plain sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// Who calls and which key to press. An answering machine may hear it: it says nothing of an incident.
    pub opening: Personal,
    /// The notice.
    pub message: Personal,
}

impl Rendered {
    pub fn channel(&self) -> Channel {
        match self {
            Rendered::Email(_) => Channel::Email,
            Rendered::Sms(_) => Channel::Sms,
            Rendered::Call(_) => Channel::Phone,
        }
    }
}
