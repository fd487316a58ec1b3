//! What one attempt is bound to in the evidence log: the address, the exact octets, what the provider said.
//!
//! The same values are made again when a proof is asked for, from what the store keeps: so nothing of a message is stored.

use crate::evidence::disclosure::{DisclosureError, SaltKey};
use crate::evidence::fact::AttemptProof;
use crate::model::channel::Channel;
use crate::model::notice::NoticeId;
use crate::model::outcome::Outcome;
use crate::model::rendered::Rendered;
use crate::providers::Outgoing;
use crate::vault::{ContentKey, IdentityKey};
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;

/// The labels of what an attempt is bound to.
pub const ADDRESS: &str = "addr";
pub const MESSAGE: &str = "msg_sha256";
pub const EXCHANGE: &str = "exch_sha256";

/// The name of an attempt among the facts of its person.
pub fn uid(notice: NoticeId, attempt: i64) -> String {
    format!("attempt/{}/{}/{attempt}", notice.contact(), notice.channel().map_or("none", Channel::as_str))
}

/// What this attempt is bound to.
pub fn proof_of(
    notice: NoticeId,
    out: &Outgoing,
    (route, provider): (&str, &str),
    outcome: &Outcome,
    (identity, content): (&IdentityKey, &ContentKey),
) -> Result<AttemptProof, DisclosureError> {
    let uid = uid(notice, i64::from(out.attempt));
    let exchange = exchange((route, provider), outcome);
    let content = SaltKey::new(content.bytes());
    let digest = |octets: &[u8], label: &str| content.commit(&uid, label, &const_hex::encode(Sha256::digest(octets)));
    Ok(AttemptProof {
        address: SaltKey::new(identity.bytes()).commit(&uid, ADDRESS, out.to.reveal())?,
        exchange: digest(exchange.as_bytes(), EXCHANGE)?,
        message: digest(&octets(&out.rendered), MESSAGE)?,
    })
}

/// The exchange with the provider as a text of a line for each part.
pub fn exchange((route, provider): (&str, &str), outcome: &Outcome) -> String {
    let id = outcome.provider_id.as_deref().unwrap_or("");
    let (class, code) = (outcome.class.as_str(), &outcome.code);
    let text = outcome.text.replace(['\r', '\n'], " ");
    format!("route: {route}\nprovider: {provider}\nclass: {class}\ncode: {code}\nprovider id: {id}\nanswer: {text}\n")
}

/// What was handed over, as octets: the message as it goes to DATA, the text, or what is read to the person.
pub fn octets(rendered: &Rendered) -> Cow<'_, [u8]> {
    match rendered {
        Rendered::Email(email) => Cow::Borrowed(email.mime.reveal().as_bytes()),
        Rendered::Sms(sms) => Cow::Borrowed(sms.text.reveal().as_bytes()),
        Rendered::Call(script) => {
            let mut text = String::new();
            for (_, heading, words) in &script.sections {
                text.push_str(&format!("{heading}\n{}\n\n", words.reveal()));
            }
            if let Some(spoken) = &script.spoken {
                text.push_str(&format!("{}\n{}\n", spoken.opening.reveal(), spoken.message.reveal()));
            }
            Cow::Owned(text.into_bytes())
        }
    }
}
