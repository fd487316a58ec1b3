//! Making a campaign from an incident file, or bringing one that has not started up to date with it.
//!
//! `create` is idempotent: the campaign of an incident and kind exists once, and a list that is in already adds nobody.

use super::approved::ApprovedRoute;
use super::digests::{approved_words_changed, digests, ladder_digest, list_digest};
use super::import::{Files, Into, Outputs, import};
use super::{App, AppError, sources};
use crate::config::{Database, DatabaseAddress};
use crate::content::{Sender, TemplateFiles, Texts};
use crate::model::campaign::CampaignState;
use crate::model::incident::{CampaignPlan, Incident};
use crate::model::problem::Problem;
use crate::model::time::Micros;
use crate::secrets::SecretRef;
use crate::store::ImportLock;
use crate::store::campaign::Campaign;
use crate::vault::CampaignKeys;
use rand::seq::IndexedRandom as _;
use std::path::Path;
use std::sync::Arc;

/// What `create` and `check` came to.
#[derive(Debug)]
pub struct Created {
    pub campaign: Campaign,
    /// Nothing had to be done: the campaign was there with the same content.
    pub unchanged: bool,
    /// The first problems of the rows that were read now.
    pub problems: Vec<Problem>,
    /// Worth knowing, no obstacle.
    pub warnings: Vec<Problem>,
    /// Approvals that the change voided.
    pub voided: u64,
}

/// An incident with everything that follows from it.
struct Prepared {
    incident: Incident,
    incident_file: String,
    templates: TemplateFiles,
    sender: Sender,
    texts: Arc<Texts>,
    plan: Arc<CampaignPlan>,
    /// Routes that send approved words only.
    approved: Vec<ApprovedRoute>,
    /// Worth knowing, no obstacle.
    warnings: Vec<Problem>,
}

impl App {
    /// Makes the campaign of an incident file, or updates it while it has not started. `by` is its creator.
    pub async fn create_campaign(
        &self,
        incident_path: &Path,
        by: &str,
        outputs: &Outputs<'_>,
        now: Micros,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Created, AppError> {
        let prepared = self.prepare(incident_path, now)?;
        self.spares_what_is_read(incident_path, &prepared.incident, outputs)?;
        // Every list must open before anything is written.
        for source in &prepared.incident.sources {
            sources::open(source).await?;
        }
        let kind = prepared.plan.kind;
        let existing = self.store.campaign_of_incident(&prepared.incident.id, kind).await?;
        let (campaign, keys, _alone) = match existing {
            None => {
                let (campaign, keys) = self.create_new(&prepared, by, now).await?;
                let alone = self.store.lock_for_import(campaign.no).await?;
                (campaign, keys, alone)
            }
            Some(campaign) => match self.open_for_change(&campaign, &prepared).await? {
                Some((keys, alone)) => (campaign, keys, alone),
                None => {
                    let warnings = prepared.warnings;
                    return Ok(Created { campaign, unchanged: true, problems: Vec::new(), warnings, voided: 0 });
                }
            },
        };
        self.take_in(campaign, prepared, keys, by, outputs, now, progress).await
    }

    /// No file that the command is told to write is one that it reads: a list written over would be lost.
    fn spares_what_is_read(&self, incident: &Path, read: &Incident, outputs: &Outputs<'_>) -> Result<(), AppError> {
        let mut taken = vec![incident.to_owned(), self.config.file.clone()];
        match &self.config.database {
            Database::Sqlite { file } => taken.push(file.clone()),
            Database::Postgres { address: DatabaseAddress::Kept(SecretRef::File(file)) } => taken.push(file.clone()),
            Database::Postgres { .. } => {}
        }
        taken.extend(read.sources.iter().filter_map(sources::file_of));
        if let SecretRef::File(key) = &self.config.master_key {
            taken.push(key.clone());
        }
        let mut problems = Vec::new();
        for (flag, path) in [("--rejects", outputs.rejects), ("--rows", outputs.rows)] {
            let Some(path) = path else { continue };
            if taken.iter().any(|other| same_file(path, other)) {
                let message = format!(
                    "{flag} names {}, which this command reads or writes already; give it another name",
                    path.display()
                );
                problems.push(Problem::new("would-overwrite", flag, message));
            }
            taken.push(path.to_owned());
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.into()) }
    }

    fn prepare(&self, path: &Path, now: Micros) -> Result<Prepared, AppError> {
        let incident_file = fs_err::read_to_string(path).map_err(AppError::io("reading the incident file"))?;
        let incident = crate::incident_file::parse(path, &incident_file, now)?.value;
        let overlay = self.config.paths.templates.as_deref();
        let templates = TemplateFiles::load(&incident.campaign.templates, overlay)
            .map_err(|e| Problem::new("missing-template", "campaign.templates", e.to_string()))?;
        let sender = self.sender();
        let texts = Texts::compile(&templates, &incident, &sender)?;
        let plan = Arc::new(incident.campaign.clone());
        let unserved = self.unserved(&plan);
        if !unserved.is_empty() {
            return Err(unserved.into());
        }
        let (unfit, mut warnings) = self.unfit(&texts, &plan)?;
        if !unfit.is_empty() {
            return Err(unfit.into());
        }
        warnings.extend(texts.warnings());
        let approved = self.approved_routes()?;
        Ok(Prepared { warnings, approved, incident, incident_file, templates, sender, texts: Arc::new(texts), plan })
    }

    async fn create_new(
        &self,
        prepared: &Prepared,
        by: &str,
        now: Micros,
    ) -> Result<(Campaign, CampaignKeys), AppError> {
        let mut tx = self.store.begin().await?;
        let no = tx.next_campaign_no().await?;
        let (keys, sealed_keys) = self.master.new_campaign_keys(no)?;
        let campaign = Campaign {
            no,
            id: fresh_id(&prepared.incident.id),
            incident: prepared.incident.id.clone(),
            kind: prepared.plan.kind,
            title: prepared.incident.title.clone(),
            state: CampaignState::Draft,
            reason: None,
            created_at: now,
            created_by: by.to_owned(),
            started_at: None,
            incident_file: prepared.incident_file.clone(),
            templates: json_of(&prepared.templates),
            sender: json_of_sender(&prepared.sender),
            digests: digests(&[], prepared.texts.digest(), &prepared.plan, &prepared.approved),
            keys: sealed_keys,
            last_person: 0,
            planned: 0,
        };
        tx.insert_campaign(&campaign).await?;
        tx.add_note(no, now, by, "created", &campaign.title).await?;
        tx.commit().await?;
        Ok((campaign, keys))
    }

    /// Makes room in a campaign that exists for what is to be taken in; its keys, or `None` where nothing has changed.
    async fn open_for_change(
        &self,
        campaign: &Campaign,
        prepared: &Prepared,
    ) -> Result<Option<(CampaignKeys, ImportLock)>, AppError> {
        if campaign.state == CampaignState::Cancelled {
            let message = format!(
                "campaign {} of this incident is cancelled and stays so; to tell these persons after all, make another \
                 campaign of the incident (kind = \"update\") or give the incident another id",
                campaign.id
            );
            return Err(Problem::new("wrong-state", "", message).into());
        }
        let words_changed = campaign.digests.texts != prepared.texts.digest()
            || campaign.digests.ladder != ladder_digest(&prepared.plan, &prepared.approved);
        let wanted = source_digests(&prepared.incident).await?;
        let known = self.store.source_digests(campaign.no).await?;
        let complete = self.store.sources(campaign.no).await?.iter().all(|s| s.complete);
        let before_start = matches!(campaign.state, CampaignState::Draft | CampaignState::Approved);
        let list_is_in =
            if before_start { complete && wanted == known } else { wanted.iter().all(|d| known.contains(d)) };
        if list_is_in && complete && !words_changed {
            return Ok(None);
        }
        if !before_start && (campaign.state != CampaignState::Paused || words_changed) {
            return Err(started_already(campaign, words_changed).into());
        }
        let keys = self.master.open_campaign_keys(campaign.no, &campaign.keys)?;
        let alone = self.store.lock_for_import(campaign.no).await?;
        let mut tx = self.store.begin().await?;
        if before_start && !list_is_in {
            tx.drop_list(campaign.no).await?;
        } else if !complete {
            tx.drop_incomplete_source(campaign.no).await?;
        }
        tx.commit().await?;
        Ok(Some((keys, alone)))
    }

    /// Imports the sources that are not in yet, writes the content down and voids what was approved before.
    #[expect(clippy::too_many_arguments, reason = "the state of one command, passed on once")]
    async fn take_in(
        &self,
        mut campaign: Campaign,
        prepared: Prepared,
        keys: CampaignKeys,
        by: &str,
        outputs: &Outputs<'_>,
        now: Micros,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Created, AppError> {
        remove_old_rejects(outputs)?;
        let mut files = Files::create(outputs)?;
        let keys = Arc::new(keys);
        let mut rows_before = 0;
        let known = self.store.sources(campaign.no).await?;
        let mut digests_in: Vec<String> = known.iter().map(|s| s.digest.clone()).collect();
        let mut next_person = self.campaign(&campaign.id).await?.last_person + 1;
        let mut references = self.store.references(campaign.no).await?;
        for source in &prepared.incident.sources {
            // A query is run again for its digest: only where there is something to compare it with.
            if !digests_in.is_empty() && digests_in.contains(&sources::digest(source).await?) {
                continue;
            }
            let mut counted = |rows: u64| progress(rows_before + rows);
            let mut into = Into {
                campaign: campaign.no,
                keys: keys.clone(),
                texts: prepared.texts.clone(),
                plan: prepared.plan.clone(),
                references: &mut references,
                progress: &mut counted,
            };
            let no = digests_in.len() as i64 + 1;
            let imported = match import(self, &mut into, source, no, next_person, &mut files).await {
                Ok(imported) => imported,
                Err(error) => {
                    // Nothing of a list that is not whole stays: persons beyond the last one that counts go again.
                    files.finish()?;
                    let mut tx = self.store.begin().await?;
                    tx.drop_incomplete_source(campaign.no).await?;
                    tx.commit().await?;
                    return Err(error);
                }
            };
            digests_in.push(imported.digest);
            next_person = imported.next_person;
            rows_before += imported.sums.rows as u64;
        }
        let problems = files.finish()?;
        let voided = self.write_content(&mut campaign, &prepared, &digests_in, by, now).await?;
        if self.store.sums(campaign.no).await?.persons_total() == 0 {
            let message = "no row of the list is a person who can be reached; correct the rows (--rejects FILE.csv \
                           writes them with the reasons) and run the command again";
            let mut refused = vec![Problem::new("no-persons", "source", message)];
            refused.extend(problems);
            return Err(refused.into());
        }
        Ok(Created { campaign, unchanged: false, problems, warnings: prepared.warnings, voided })
    }

    /// Whether the template files and the sender in the configuration, where they can be read, would make other words by
    /// now than the campaign has. The incident file is not looked at: a campaign does not know where it lies.
    pub(super) fn words_changed_since(&self, campaign: &Campaign) -> bool {
        let stored = Path::new("the stored incident file");
        let Ok(incident) = crate::incident_file::parse(stored, &campaign.incident_file, Micros::MAX / 2) else {
            return false;
        };
        let overlay = self.config.paths.templates.as_deref();
        let Ok(templates) = TemplateFiles::load(&incident.value.campaign.templates, overlay) else { return false };
        let texts = Texts::compile(&templates, &incident.value, &self.sender());
        let approved = self.approved_routes().unwrap_or_default();
        approved_words_changed(&incident.value.campaign, &approved, &campaign.digests)
            || texts.map_or(true, |texts| texts.digest() != campaign.digests.texts)
    }

    fn sender(&self) -> Sender {
        Sender {
            organisation: self.config.sender.organisation.clone(),
            from_name: Some(self.config.sender.email.name.clone()).filter(|name| !name.is_empty()),
            from_address: self.config.sender.email.address.clone(),
        }
    }

    /// Writes down what the campaign says and whom it tells now; how many approvals that voided.
    async fn write_content(
        &self,
        campaign: &mut Campaign,
        prepared: &Prepared,
        digests_in: &[String],
        by: &str,
        now: Micros,
    ) -> Result<u64, AppError> {
        campaign.digests = digests(digests_in, prepared.texts.digest(), &prepared.plan, &prepared.approved);
        campaign.title = prepared.incident.title.clone();
        campaign.incident_file = prepared.incident_file.clone();
        campaign.templates = json_of(&prepared.templates);
        campaign.sender = json_of_sender(&prepared.sender);
        let mut tx = self.store.begin().await?;
        tx.update_campaign_content(campaign).await?;
        let voided = tx.void_approvals(campaign.no, now, "the campaign was changed").await?;
        if campaign.state == CampaignState::Approved {
            tx.move_campaign(campaign.no, &[CampaignState::Approved], CampaignState::Draft, None, now).await?;
            campaign.state = CampaignState::Draft;
        }
        let text = format!("list {}", list_digest(digests_in));
        // The list took its time: a fact has that of its own.
        let at = jiff::Timestamp::now().as_microsecond();
        tx.add_note(campaign.no, at, by, "content", &text).await?;
        tx.commit().await?;
        Ok(voided)
    }
}

/// The rejects file is made when the first row is rejected; one of an earlier run must not pass for this run's. What is no
/// plain file (a terminal, `/dev/null`) stays.
fn remove_old_rejects(outputs: &Outputs<'_>) -> Result<(), AppError> {
    let Some(path) = outputs.rejects else { return Ok(()) };
    match fs_err::symlink_metadata(path) {
        Ok(found) if found.is_file() => {
            fs_err::remove_file(path).map_err(AppError::io("removing the old rejects file"))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Whether two paths lead to one file, also over links or where it is not there yet.
fn same_file(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| fs_err::canonicalize(path).or_else(|_| std::path::absolute(path)).ok();
    matches!((whole(one), whole(other)), (Some(one), Some(other)) if one == other)
}

fn started_already(campaign: &Campaign, words_changed: bool) -> Problem {
    let state = campaign.state.as_str();
    let message = match words_changed {
        true => format!(
            "campaign {} is {state}: its texts, ladder and sender stand as they were approved; undo the change, or make \
             another campaign of the incident (kind = \"update\")",
            campaign.id
        ),
        false => format!(
            "campaign {} is {state} and the list has changed; pause it first (`forewarn campaign pause {} --reason …`), \
             then run this again to add the new persons, approve and resume",
            campaign.id, campaign.id
        ),
    };
    Problem::new("already-started", "", message)
}

/// `2026-001-k3f9q`: the incident's id, so that people know it, and five letters that tell campaigns apart.
fn fresh_id(incident: &str) -> String {
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
    let mut rng = rand::rng();
    let tail: String = (0..5).filter_map(|_| LETTERS.choose(&mut rng)).map(|b| char::from(*b)).collect();
    format!("{}-{tail}", incident.to_ascii_lowercase())
}

async fn source_digests(incident: &Incident) -> Result<Vec<String>, AppError> {
    let mut digests = Vec::new();
    for source in &incident.sources {
        digests.push(sources::digest(source).await?);
    }
    Ok(digests)
}

fn json_of(templates: &TemplateFiles) -> String {
    serde_json::Value::from_iter(templates.0.iter().map(|(k, v)| (k.clone(), v.clone()))).to_string()
}

fn json_of_sender(sender: &Sender) -> String {
    serde_json::json!({
        "organisation": sender.organisation,
        "from_name": sender.from_name,
        "from_address": sender.from_address,
    })
    .to_string()
}
