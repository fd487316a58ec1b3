//! Whose notices are shown to somebody who wants to see what will go out: for each variant the first real person.

use super::carrier::OpenCampaign;
use super::{App, AppError};
use crate::model::channel::Channel;
use crate::model::contact::Role;
use crate::model::notice::NoticeId;
use crate::model::person::Person;
use crate::model::problem::Problem;
use crate::store::preview::PersonRow;
use std::collections::HashSet;
use std::sync::Arc;

/// Persons who are looked at for rare variants (a guardian in a list of adults); what is beyond is not searched.
const SEARCHED: i64 = 20_000;
const PAGE: usize = 500;

/// One notice to show.
#[derive(Clone, Debug)]
pub struct Shown {
    pub person: Arc<Person>,
    pub notice: NoticeId,
    pub channel: Channel,
    pub role: Role,
    /// The language it is written in.
    pub language: String,
}

/// The notices to show, by language, channel and role.
struct Variants<'a> {
    open: &'a OpenCampaign,
    channel: Option<Channel>,
    seen: HashSet<(String, Channel, Role)>,
    shown: Vec<Shown>,
}

impl App {
    /// One notice of every combination of language, channel and role that occurs in the list.
    pub async fn variants(
        &self,
        no: i64,
        open: &OpenCampaign,
        channel: Option<Channel>,
    ) -> Result<Vec<Shown>, AppError> {
        let mut variants = Variants { open, channel, seen: HashSet::new(), shown: Vec::new() };
        for row in self.store.one_of_each(no).await? {
            variants.add(&row)?;
        }
        // Roles are sealed: they are found by opening persons.
        let mut after = 0;
        while after < SEARCHED {
            let page = self.store.persons_after(no, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.no;
            for row in &page {
                variants.add(row)?;
            }
        }
        let order = |s: &Shown| (s.language.clone(), s.channel, s.role.as_str());
        variants.shown.sort_by_key(order);
        Ok(variants.shown)
    }

    /// All notices that the ladder foresees for the person with this reference.
    pub async fn notices_of(
        &self,
        no: i64,
        open: &OpenCampaign,
        reference: &str,
        channel: Option<Channel>,
    ) -> Result<Vec<Shown>, AppError> {
        let hash = open.keys.reference_hash(reference.trim());
        let Some(row) = self.store.person_with(no, &hash).await? else {
            let message = format!("nobody in campaign {} has this reference; write it as the list does", open.id);
            return Err(Problem::new("no-such-person", "ref", message).into());
        };
        let person = Arc::new(open.keys.open_person(row.no, &row.sealed)?);
        Ok(planned(open, &row, &person, channel).collect())
    }
}

impl Variants<'_> {
    fn add(&mut self, row: &PersonRow) -> Result<(), AppError> {
        let person = Arc::new(self.open.keys.open_person(row.no, &row.sealed)?);
        for shown in planned(self.open, row, &person, self.channel) {
            if self.seen.insert((shown.language.clone(), shown.channel, shown.role)) {
                self.shown.push(shown);
            }
        }
        Ok(())
    }
}

fn planned<'a>(
    open: &'a OpenCampaign,
    row: &'a PersonRow,
    person: &'a Arc<Person>,
    channel: Option<Channel>,
) -> impl Iterator<Item = Shown> + 'a {
    let wanted = move |c: Channel| channel.is_none_or(|w| w == c);
    open.plan.ladder.plan(&row.reach).into_iter().filter(move |p| wanted(p.channel)).filter_map(move |p| {
        let contact = person.contacts.get(usize::from(p.contact))?;
        Some(Shown {
            person: person.clone(),
            notice: p.id(row.no),
            channel: p.channel,
            role: contact.role,
            language: open.texts.language_for(&row.locale).to_owned(),
        })
    })
}
