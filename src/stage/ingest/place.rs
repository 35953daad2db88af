//! Which dossier a patch speaks of, what it says anew, and the event that tells it.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::{Record, Statement};
use crate::adapter::{Adapter, Fact};
use crate::dossier::{Author, DossierCode, DossierId, Origin, Patch, Shadow, fold_code};
use crate::event::Event;
use crate::fault::Fault;
use crate::stage::Shared;
use crate::store::{CREATE_OPEN, CodeKey, InboxState, ORPHAN, Replica, StoreError, Transaction};

/// What became of one record.
pub(super) struct Placed {
    pub(super) state: InboxState,
    pub(super) dossier: Option<DossierId>,
    pub(super) event: Option<String>,
    /// The code, normalised, under which a record waits for its dossier.
    pub(super) waits_under: Option<String>,
}

/// What became of a batch.
pub(super) struct Batch {
    pub(super) records: Vec<Placed>,
    pub(super) shadows: Vec<(String, DossierId, Shadow)>,
    pub(super) events: Vec<Event>,
}

/// Places every record of a batch. A record whose mapping failed, or one of whose patches can't be taken, is refused
/// whole; the others are none the worse for it.
pub(super) async fn place(
    shared: &Shared,
    transaction: &mut dyn Transaction,
    records: &[Record],
    mappings: Vec<Result<Vec<Fact>, Fault>>,
) -> Result<Batch, StoreError> {
    let parsed: Vec<Result<Parsed, Fault>> =
        mappings.into_iter().map(|facts| facts.and_then(parse)).collect();
    let mut desk = Desk::open(shared, transaction, records, &parsed).await?;
    let placed = records
        .iter()
        .zip(parsed)
        .map(|(record, parsed)| desk.take(record, parsed))
        .collect();
    Ok(desk.close(placed))
}

/// Takes what a system says of dossiers that are known, outside any record: `at`, by the clock that never goes back. In the
/// same order: what became of it. Of a dossier that is not there nothing is said.
pub(super) async fn say(
    shared: &Shared,
    transaction: &mut dyn Transaction,
    adapter: &Adapter,
    statements: &[(DossierId, Statement)],
    at: Timestamp,
) -> Result<Batch, StoreError> {
    let ids: Vec<DossierId> = statements.iter().map(|(id, _)| *id).collect();
    let keys: Vec<_> = ids.iter().map(|id| (adapter.name.clone(), *id)).collect();
    let mut desk = Desk {
        shared,
        known: HashMap::new(),
        aliases: HashMap::new(),
        candidates: HashMap::new(),
        open_creates: HashMap::new(),
        replicas: transaction.replicas(&ids).await?,
        shadows: transaction.shadows(&keys).await?,
        changed: HashSet::new(),
        events: Vec::new(),
    };
    let said = statements.iter().map(|(id, Statement { patch, asked })| {
        match desk
            .replicas
            .get(id)
            .map(|replica| replica.dossier.origin.clone())
        {
            Some(origin) => desk.say(adapter, (at, *asked), patch, *id, &origin),
            None => Placed::without_dossier(InboxState::Ignored("no such dossier".to_owned())),
        }
    });
    let records = said.collect();
    Ok(desk.close(records))
}

/// A record's facts, parsed.
enum Parsed {
    Patches(Vec<Patch>),
    Ignored(String),
}

fn parse(facts: Vec<Fact>) -> Result<Parsed, Fault> {
    let mut patches = Vec::new();
    let mut ignored = None;
    for fact in facts {
        match fact {
            // The first fault is the one to mend first; a retry shows the next.
            Fact::Patch { patch, complete } => {
                let patch = Patch::parse(&patch).map_err(|mut faults| faults.swap_remove(0))?;
                patches.push(patch.complete(&complete));
            }
            Fact::Ignored(reason) => ignored = Some(reason),
        }
    }
    Ok(match ignored {
        Some(reason) if patches.is_empty() => Parsed::Ignored(reason),
        _ => Parsed::Patches(patches),
    })
}

fn key_of(adapter: &Adapter, patch: &Patch) -> CodeKey {
    (adapter.name.clone(), fold_code(patch.reference().code()))
}

/// Everything that placing a batch reads, and what it has decided so far.
struct Desk<'a> {
    shared: &'a Shared,
    known: HashMap<CodeKey, DossierId>,
    /// Ids under which a dossier came into being that was joined with another one.
    aliases: HashMap<DossierId, DossierId>,
    /// Dossiers under a code that is the same once its agency is written in the new form.
    candidates: HashMap<String, Vec<DossierId>>,
    /// By system: dossiers of whose creation there nobody knows yet whether it took effect.
    open_creates: HashMap<String, Vec<DossierId>>,
    replicas: HashMap<DossierId, Replica>,
    shadows: HashMap<(String, DossierId), Shadow>,
    /// The shadows that are no longer as they were read.
    changed: HashSet<(String, DossierId)>,
    events: Vec<Event>,
}

impl<'a> Desk<'a> {
    async fn open(
        shared: &'a Shared,
        transaction: &mut dyn Transaction,
        records: &[Record],
        parsed: &[Result<Parsed, Fault>],
    ) -> Result<Self, StoreError> {
        let spoken: Vec<(&Record, &Patch)> = records
            .iter()
            .zip(parsed)
            .filter_map(|(record, parsed)| match parsed {
                Ok(Parsed::Patches(patches)) => Some(patches.iter().map(move |patch| (record, patch))),
                _ => None,
            })
            .flatten()
            .collect();
        let keys: Vec<CodeKey> = spoken
            .iter()
            .map(|(record, patch)| key_of(&record.adapter, patch))
            .collect();
        let births: Vec<DossierId> = spoken
            .iter()
            .map(|(record, patch)| birth(&record.adapter, patch).id())
            .collect();
        // From the comparison with the shadow to the event in the outbox nobody else speaks for these dossiers.
        transaction.lock(&births, &keys).await?;
        let known = transaction.resolve(&keys).await?;
        let unknown: Vec<(&Adapter, &Patch)> = spoken
            .iter()
            .zip(&keys)
            .filter(|(_, key)| !known.contains_key(key))
            .map(|((record, patch), _)| (&*record.adapter, *patch))
            .collect();
        let codes: Vec<String> = unknown.iter().filter_map(|(_, patch)| modern(patch)).collect();
        let candidates = transaction.candidates(&codes).await?;
        let aliases = transaction.aliases(&births).await?;
        let mut open_creates = HashMap::new();
        for (adapter, _) in &unknown {
            if !adapter.pushes.is_empty() && !open_creates.contains_key(&adapter.name) {
                let open = transaction.open_creates(&adapter.name).await?;
                open_creates.insert(adapter.name.clone(), open);
            }
        }
        // A dossier that was born a moment ago may not be in the replica yet; its shadow already is.
        let mut ids: Vec<DossierId> = known.values().copied().collect();
        ids.extend(births.iter().map(|id| aliases.get(id).unwrap_or(id)));
        ids.extend(candidates.values().flatten());
        ids.extend(open_creates.values().flatten());
        ids.sort_unstable();
        ids.dedup();
        let mut systems: Vec<&str> = spoken
            .iter()
            .map(|(record, _)| record.adapter.name.as_str())
            .collect();
        systems.sort_unstable();
        systems.dedup();
        let pairs: Vec<(String, DossierId)> = systems
            .iter()
            .flat_map(|system| ids.iter().map(|id| ((*system).to_owned(), *id)))
            .collect();
        Ok(Self {
            shared,
            known,
            aliases,
            candidates,
            open_creates,
            replicas: transaction.replicas(&ids).await?,
            shadows: transaction.shadows(&pairs).await?,
            changed: HashSet::new(),
            events: Vec::new(),
        })
    }

    fn take(&mut self, record: &Record, parsed: Result<Parsed, Fault>) -> Placed {
        let patches = match parsed {
            Ok(Parsed::Patches(patches)) => patches,
            Ok(Parsed::Ignored(reason)) => return Placed::without_dossier(InboxState::Ignored(reason)),
            Err(fault) => return Placed::without_dossier(InboxState::Refused(fault)),
        };
        // Several patches stand or fall together: a record that is refused has said nothing.
        let before = (patches.len() > 1).then(|| (self.shadows.clone(), self.events.len()));
        let mut last = Placed::without_dossier(InboxState::Ignored("no patch".to_owned()));
        for patch in &patches {
            let placed = self.write(record, patch);
            match placed.state {
                InboxState::Refused(_) | InboxState::Waiting(_) => {
                    if let Some((shadows, events)) = before {
                        self.shadows = shadows;
                        self.events.truncate(events);
                    }
                    return placed;
                }
                InboxState::Ignored(_) if last.event.is_some() => {}
                InboxState::Mapped | InboxState::Ignored(_) => last = placed,
            }
        }
        last
    }

    /// The dossier that a patch speaks of, or what the patch waits for.
    fn placed(&self, adapter: &Adapter, patch: &Patch) -> Result<(DossierId, Origin), &'static str> {
        let of = |id: &DossierId| {
            let replica = self.replicas.get(id)?;
            Some((replica.dossier.id, replica.dossier.origin.clone()))
        };
        let birth = birth(adapter, patch);
        // What came into being here before it was joined is still judged by its own origin.
        let joined = self.aliases.get(&birth.id());
        if let Some((found, origin)) = self.known.get(&key_of(adapter, patch)).or(joined).and_then(of) {
            let own = joined == Some(&found);
            return Ok((found, if own { birth } else { origin }));
        }
        let agree = |id: &&DossierId| {
            let replica = self.replicas.get(id);
            replica.is_some_and(|replica| replica.dossier.agrees_with(patch))
        };
        // The same code with its agency in the other form: only where procedure and applicant agree, and of one alone.
        let candidates = modern(patch).and_then(|code| self.candidates.get(&code));
        let alike: Vec<&DossierId> = candidates.into_iter().flatten().filter(agree).collect();
        if let [one] = alike.as_slice()
            && let Some(found) = of(one)
        {
            return Ok(found);
        }
        // We may be hearing of what we have just sent there ourselves.
        let open = self.open_creates.get(&adapter.name);
        if open.into_iter().flatten().any(|id| agree(&id)) {
            return Err(CREATE_OPEN);
        }
        let id = birth.id();
        let originates = patch
            .procedure_code()
            .is_some_and(|code| adapter.originates.holds(code));
        let born = self.shadows.contains_key(&(adapter.name.clone(), id));
        if originates || born {
            Ok((id, birth))
        } else {
            Err(ORPHAN)
        }
    }

    /// One patch: places it, takes what is new, says it.
    fn write(&mut self, record: &Record, patch: &Patch) -> Placed {
        match self.placed(&record.adapter, patch) {
            Ok((id, origin)) => {
                let times = (record.observed, record.asked);
                self.say(&record.adapter, times, patch, id, &origin)
            }
            Err(reason) => Placed::waiting(reason, patch),
        }
    }

    /// Takes what is new in a patch of this dossier, and says it. The times: when it was seen and, if so, asked for.
    fn say(
        &mut self,
        adapter: &Adapter,
        (observed, asked): (Timestamp, Option<Timestamp>),
        patch: &Patch,
        id: DossierId,
        origin: &Origin,
    ) -> Placed {
        let known = self.replicas.get(&id).map(|replica| &replica.dossier);
        let hlc = self.shared.hybrid.tick();
        let author = Author {
            system: &adapter.name,
            origin,
            observed,
            asked,
            hlc,
            owns: &adapter.owns,
            known,
        };
        let key = (adapter.name.clone(), id);
        let held = self.shadows.get(&key);
        let born = known.is_none() && held.is_none();
        let mut shadow = held.cloned().unwrap_or_default();
        let delta = match author.write(patch, &mut shadow) {
            Ok(delta) => delta,
            Err(mut faults) => return Placed::of(id, InboxState::Refused(faults.swap_remove(0))),
        };
        if delta.is_empty() && !born {
            self.keep(key, shadow);
            return Placed::of(id, InboxState::Ignored("nothing new".to_owned()));
        }
        let code = known.unwrap_or(&delta).code().map(str::to_owned);
        let store = self.shared.store.id();
        let event = Event::new(store, &adapter.name, code.as_deref(), observed, hlc, delta, born);
        if let Some(fault) = event.faults().into_iter().next() {
            return Placed::of(id, InboxState::Refused(fault));
        }
        self.keep(key, shadow);
        let placed = Placed {
            event: Some(event.id.clone()),
            ..Placed::of(id, InboxState::Mapped)
        };
        self.events.push(event);
        placed
    }

    /// What is to be written.
    fn close(self, records: Vec<Placed>) -> Batch {
        let changed = self.changed;
        let shadows = self.shadows.into_iter().filter(|(key, _)| changed.contains(key));
        Batch {
            records,
            shadows: shadows
                .map(|((adapter, id), shadow)| (adapter, id, shadow))
                .collect(),
            events: self.events,
        }
    }

    fn keep(&mut self, key: (String, DossierId), shadow: Shadow) {
        if self.shadows.get(&key) != Some(&shadow) {
            self.changed.insert(key.clone());
            self.shadows.insert(key, shadow);
        }
    }
}

/// The patch's code with its agency in the new form, where it is an official code.
fn modern(patch: &Patch) -> Option<String> {
    DossierCode::parse(&fold_code(patch.reference().code())).map(|code| code.modern())
}

/// The origin that a dossier has if this patch is its first.
fn birth(adapter: &Adapter, patch: &Patch) -> Origin {
    Origin::new(&adapter.name, patch.reference().code())
}

impl Placed {
    /// The bus has all that the record says. What a mapping leaves out on purpose was not even placed.
    pub(super) fn taken(&self) -> bool {
        self.dossier.is_some() && matches!(self.state, InboxState::Mapped | InboxState::Ignored(_))
    }

    fn of(dossier: DossierId, state: InboxState) -> Self {
        Self {
            state,
            dossier: Some(dossier),
            event: None,
            waits_under: None,
        }
    }

    fn without_dossier(state: InboxState) -> Self {
        Self {
            state,
            dossier: None,
            event: None,
            waits_under: None,
        }
    }

    fn waiting(reason: &str, patch: &Patch) -> Self {
        Self {
            waits_under: Some(fold_code(patch.reference().code())),
            ..Self::without_dossier(InboxState::Waiting(reason.to_owned()))
        }
    }
}
