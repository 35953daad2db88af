//! A province in one thread, its time and its chance.
//!
//! A run has two phases. In the storm everything happens in an order that the seed chooses: steps of the stages, gap by
//! gap; news from the source; time; deaths; what the targets and the broker do wrong. In the quiet that follows nothing
//! goes wrong any more, and everything that is due is done until nothing is; then the judge looks, and a fresh dossier
//! shows that the province still works.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lienthong::adapter::Adapter;
use lienthong::clock::{Clock, ManualClock};
use lienthong::dossier::Ownership;

use crate::broker::Exchange;
use crate::gates::{Gap, Gates, Held, Task};
use crate::kit::{Kit, SOURCE, StoreFile, name_of};
use crate::node::{Ground, Node, START, TASKS};
use crate::oracle::asked::Class;
use crate::oracle::mishap::{Roll, Times};
use crate::oracle::model::Oracle;
use crate::plan::Plan;
use crate::source::Source;
use crate::target::{SharedTarget, Target, locked, millis};

/// Turns of a storm at most.
const STORM: u32 = 1500;

/// Turns until nothing is left to do at most; more of them mean that the province never comes to rest.
const QUIET: u32 = 20_000;

/// How often a rest is looked at once more before it counts as none. A clock that was turned back two hours takes nothing in
/// for as long; then its node is told what others have said meanwhile, and that lies two hours ahead of it.
const LOOKS: u32 = 400;

/// How long nothing may happen before everybody looks again.
const PAUSE: SignedDuration = SignedDuration::from_mins(1);

/// How likely a death is where the plan wants one; a step that goes on has ten.
const AIMED: u32 = 100;

/// How far a clock is turned.
const TURNED: SignedDuration = SignedDuration::from_hours(1);

/// A province.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) ground: Ground,
    pub(crate) nodes: Vec<Node>,
    pub(crate) targets: BTreeMap<String, (Class, SharedTarget)>,
    pub(crate) roll: Roll,
    /// What happened, a line a turn; steps that found nothing to do are left out.
    pub(crate) trace: Vec<String>,
    pub(crate) turns: u64,
    /// Where the first death is to be, until it is.
    aim: Option<(&'static str, Gap)>,
    /// Deaths by stage and gap.
    pub(crate) deaths: BTreeMap<(String, Gap), u64>,
    /// Clocks that were turned, machines that were started anew, targets that went away, and versions told that no target
    /// will ever take.
    pub(crate) turned: u64,
    pub(crate) reboots: u64,
    pub(crate) outages: u64,
    pub(crate) unacceptable: u64,
    /// What must not be and was seen on the way.
    pub(crate) seen: Vec<String>,
    _files: Vec<StoreFile>,
}

/// A system of a world: its adapter, and what is behind it; the source has nothing.
type System = (Arc<Adapter>, Option<SharedTarget>);

/// What the scheduler can do next.
#[derive(Debug, Clone)]
pub(crate) enum Turn {
    /// A step begins.
    Begin(usize, usize),
    /// A step that is held goes on.
    Open(Held),
    /// A step that waits for what another one has looks whether it is free.
    Look(usize, usize),
    /// The source has news.
    News,
    /// Time passes.
    Pass(SignedDuration),
    /// A node dies and is started again.
    Die(usize),
    /// Somebody turns a node's clock.
    SetClock(usize, SignedDuration),
    /// A target goes away, or comes back.
    Switch(String),
}

/// What is still to happen in a storm.
struct Stock {
    versions: u32,
    deaths: u32,
    turned: u32,
    outages: u32,
}

impl World {
    /// The world of a plan, its nodes about to start.
    pub(crate) fn new(kit: &'static Kit, plan: Plan) -> Self {
        fastrand::seed(plan.seed);
        let start: Timestamp = "2026-03-06T02:00:00Z".parse().unwrap();
        let truth = ManualClock::new(start);
        let gates = Gates::new(
            plan.held,
            plan.aim.map(|(_, gap)| gap),
            Roll::new(plan.seed, "gates"),
        );
        gates.tell_time(start);
        let honesty = Arc::default();
        let exchange = Exchange::new(plan.nodes, &honesty, Roll::new(plan.seed, "broker"));
        if !plan.broker {
            locked(&exchange).calm();
        }
        let ground = Ground {
            gates,
            truth,
            exchange,
            source: Source::new(Roll::new(plan.seed, "source")),
            honesty,
            control: plan.control,
        };
        let mut targets = BTreeMap::new();
        let mut hosted: Vec<Vec<System>> = vec![Vec::new(); plan.nodes];
        hosted[0].push((kit.adapter(SOURCE), None));
        for (place, (class, mode)) in plan.targets.iter().enumerate() {
            let name = name_of(*class);
            let adapter = plan
                .adapters
                .get(&name)
                .cloned()
                .unwrap_or_else(|| kit.adapter(&name));
            let times = Times {
                timeout_ms: whole_millis(adapter.connection.timeout),
                settle_ms: whole_millis(adapter.connection.settle),
            };
            let target = Target::new(Oracle::new(plan.seed, *class, *mode, times));
            hosted[(place + 1) % plan.nodes].push((adapter, Some(Arc::clone(&target))));
            targets.insert(name, (*class, target));
        }
        let files: Vec<StoreFile> = (0..plan.nodes).map(|node| kit.store(node)).collect();
        let rights: BTreeMap<String, Ownership> = hosted
            .iter()
            .flatten()
            .map(|(adapter, _)| (adapter.name.clone(), adapter.owns.clone()))
            .collect();
        let nodes = hosted.into_iter().zip(&files).enumerate();
        let nodes = nodes.map(|(number, (adapters, file))| {
            let mut elsewhere = rights.clone();
            elsewhere.retain(|name, _| adapters.iter().all(|(adapter, _)| adapter.name != *name));
            let (file, clock) = (file.path().to_owned(), ManualClock::new(start));
            let mut node = Node::new(number, file, clock, adapters, elsewhere);
            node.start(&ground);
            node
        });
        let nodes = nodes.collect();
        Self {
            roll: Roll::new(plan.seed, "turns"),
            aim: plan.aim,
            plan,
            ground,
            nodes,
            targets,
            trace: Vec::new(),
            turns: 0,
            deaths: BTreeMap::new(),
            turned: 0,
            reboots: 0,
            outages: 0,
            unacceptable: 0,
            seen: Vec::new(),
            _files: files,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.ground.truth.now()
    }

    /// The phase in which everything goes wrong that can.
    pub(crate) async fn storm(&mut self) {
        let mut stock = Stock {
            versions: self.plan.versions,
            deaths: self.plan.deaths,
            turned: self.plan.turned,
            outages: self.plan.outages,
        };
        for turn in 0..STORM {
            let mut turns = self.possible();
            let is_over = stock.versions == 0 && (stock.deaths == 0 || self.aim.is_some());
            if turns.is_empty() && is_over && self.next_deadline().is_none() {
                break;
            }
            self.add_events(&stock, &mut turns);
            let Some(turn_taken) = self.choose(turns) else {
                break;
            };
            match turn_taken {
                Turn::News => {
                    let begun = self.plan.versions - stock.versions;
                    self.news(begun < self.plan.dossiers);
                    stock.versions -= 1;
                }
                Turn::Die(_) => {
                    stock.deaths -= 1;
                    self.aim = None;
                }
                Turn::SetClock(..) => stock.turned -= 1,
                Turn::Switch(_) => stock.outages -= 1,
                _ => {}
            }
            self.take(turn_taken).await;
            if turn % 32 == 0 {
                self.sample(false).await;
            }
        }
    }

    fn add_events(&mut self, stock: &Stock, turns: &mut Vec<(u32, Turn)>) {
        if stock.versions > 0 {
            turns.push((4, Turn::News));
        }
        if stock.deaths > 0 {
            let (likely, node) = match self.aim {
                Some(aim) => self.who_is_at(aim).map_or((0, 0), |node| (AIMED, node)),
                None => (1, self.some_node()),
            };
            turns.push((likely, Turn::Die(node)));
        }
        if stock.turned > 0 {
            let by = *self.roll.among(&[TURNED, -TURNED]);
            turns.push((1, Turn::SetClock(self.some_node(), by)));
        }
        if stock.outages > 0 {
            let names: Vec<String> = self.targets.keys().cloned().collect();
            turns.push((1, Turn::Switch(self.roll.among(&names).clone())));
        }
        if let Some(span) = self.span() {
            turns.push((3, Turn::Pass(span)));
        }
    }

    /// The node of which this stage is held at this gap, if there is one.
    fn who_is_at(&self, (stage, gap): (&str, Gap)) -> Option<usize> {
        let held = self.ground.gates.held().into_iter();
        let mut held = held.filter(|held| held.gap == gap);
        let held = held.find(|held| self.name_of(held.task).split(' ').next() == Some(stage))?;
        Some(held.task / TASKS)
    }

    /// Any node. Where there is only one, no chance is spent on it.
    fn some_node(&mut self) -> usize {
        let last = self.nodes.len() - 1;
        match last {
            0 => 0,
            last => usize::try_from(self.roll.between(0, last as u64)).unwrap_or(0),
        }
    }

    /// The node that hosts the adapter of this system.
    pub(crate) fn host(&self, name: &str) -> &Node {
        let mut nodes = self.nodes.iter();
        nodes
            .find(|node| node.hosts(name))
            .expect("somebody hosts each system")
    }

    /// Goes on in the same weather, in any order, until `enough` or nothing is left to do; whether it came to that.
    pub(crate) async fn go_on(&mut self, limit: u32, enough: impl Fn(&Self) -> bool) -> bool {
        for _ in 0..limit {
            if enough(self) {
                return true;
            }
            let turns = self.possible();
            let turn = match self.choose(turns) {
                Some(turn) => turn,
                None => match self.next_deadline() {
                    Some(deadline) => Turn::Pass(deadline.duration_since(self.now())),
                    None => return true,
                },
            };
            self.take(turn).await;
        }
        false
    }

    /// Days pass, in the same weather, and everything is done when it comes due.
    pub(crate) async fn days(&mut self, days: i64) {
        let end = self.now() + SignedDuration::from_hours(24 * days);
        while self.now() < end {
            let next = self.possible().into_iter().next().map(|(_, turn)| turn);
            let turn = next.unwrap_or_else(|| {
                let deadline = self.next_deadline().unwrap_or(end).min(end);
                Turn::Pass(deadline.duration_since(self.now()))
            });
            self.take(turn).await;
        }
    }

    /// The phase in which nothing goes wrong, until nothing is left to do; whether it came to that.
    pub(crate) async fn quiet(&mut self) -> bool {
        self.calm();
        let mut turns = 0;
        for _ in 0..LOOKS {
            let before = self.activity();
            while turns < QUIET {
                turns += 1;
                let next = self.possible().into_iter().next().map(|(_, turn)| turn);
                let next = next.or_else(|| {
                    let deadline = self.next_deadline()?;
                    Some(Turn::Pass(deadline.duration_since(self.now())))
                });
                let Some(turn) = next else { break };
                self.take(turn).await;
            }
            let is_at_rest = self.activity() == before && !self.has_waiting().await;
            if turns < QUIET && is_at_rest {
                self.sample(true).await;
                return true;
            }
            // Who polls looks again, and what waits for a time has waited longer.
            self.take(Turn::Pass(PAUSE)).await;
            for slot in self.nodes.iter_mut().flat_map(|node| &mut node.slots) {
                slot.forget_idle();
            }
        }
        false
    }

    /// How much was said so far, to targets and by the broker.
    pub(crate) fn activity(&self) -> (u64, u64) {
        let writes = self.targets.values().map(|(_, target)| locked(target).writes);
        (writes.sum(), locked(&self.ground.exchange).published())
    }

    /// Whether the source or a node keeps something for later.
    async fn has_waiting(&self) -> bool {
        let mut waiting = locked(&self.ground.source).has_news();
        for node in &self.nodes {
            let counts = match node.plain() {
                Some(store) => store.counts().await.unwrap(),
                None => return true,
            };
            waiting |= counts
                .inbox
                .iter()
                .any(|(_, state, count)| state == "waiting" && *count > 0);
        }
        waiting
    }

    fn calm(&mut self) {
        self.ground.gates.calm();
        locked(&self.ground.exchange).calm();
        for (_, target) in self.targets.values() {
            let mut target = locked(target);
            target.oracle.calm();
            target.down = false;
            target.shut = false;
        }
    }

    /// Steps that can begin or go on, with their weights.
    fn possible(&self) -> Vec<(u32, Turn)> {
        let now = self.now();
        let held = self.ground.gates.held();
        let is_held = |task: Task| held.iter().any(|held| held.task == task);
        let mut turns: Vec<(u32, Turn)> = held
            .iter()
            .filter(|held| held.not_before.is_none_or(|time| time <= now))
            .map(|held| (10, Turn::Open(held.clone())))
            .collect();
        for (number, node) in self.nodes.iter().enumerate() {
            if node.is_starting() && !is_held(node.task(START)) {
                turns.push((10, Turn::Begin(number, START)));
            }
            for (place, slot) in node.slots.iter().enumerate() {
                if slot.is_running() && !is_held(node.task(place)) {
                    turns.push((5, Turn::Look(number, place)));
                } else if slot.may_work(now, node.clock.now()) {
                    turns.push((10, Turn::Begin(number, place)));
                }
            }
        }
        turns
    }

    fn choose(&mut self, turns: Vec<(u32, Turn)>) -> Option<Turn> {
        let sum: u32 = turns.iter().map(|(weight, _)| weight).sum();
        let mut left = self.roll.between(1, u64::from(sum.max(1)));
        for (weight, turn) in turns {
            if left <= u64::from(weight) {
                return Some(turn);
            }
            left -= u64::from(weight);
        }
        None
    }

    /// When something comes due by itself. Polls come due for ever, and are no reason to wait.
    fn next_deadline(&self) -> Option<Timestamp> {
        let now = self.now();
        let held = self
            .ground
            .gates
            .held()
            .into_iter()
            .filter_map(|held| held.not_before);
        let late = self.targets.values().filter_map(|(_, target)| {
            let ms = locked(target).oracle.next_late_ms()?;
            Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()
        });
        let idle = self.nodes.iter().flat_map(|node| {
            let ahead = node.clock.now().duration_since(now);
            let slots = node
                .slots
                .iter()
                .filter(|slot| !slot.is_running() && !slot.is_pull);
            slots.filter_map(move |slot| slot.until()?.checked_sub(ahead).ok())
        });
        held.chain(late).chain(idle).filter(|time| *time > now).min()
    }

    /// How much time may pass now: to the next deadline, or some.
    fn span(&mut self) -> Option<SignedDuration> {
        let now = self.now();
        let bound = self.bound();
        let some = SignedDuration::from_millis(i64::try_from(self.roll.between(1, 2000)).unwrap_or(1));
        let deadline = self.next_deadline().map(|time| time.duration_since(now));
        let wished = match deadline {
            Some(deadline) if self.roll.of_hundred() < 60 => deadline,
            _ => some,
        };
        let span = bound.map_or(wished, |bound| wished.min(bound.duration_since(now)));
        (span > SignedDuration::ZERO).then_some(span)
    }

    /// Until when the calls under way let time pass. A process may sleep wherever it stands, and the call that is late
    /// after its intent is not made; but once it has made sure of that it is to make the call, and may not sleep.
    fn bound(&self) -> Option<Timestamp> {
        let calls = self.ground.gates.held().into_iter();
        let calls = calls.filter(|held| matches!(held.gap, Gap::Send | Gap::Sent | Gap::Answered));
        calls
            .map(|held| {
                let patience = Self::timeout_of(&self.name_of(held.task)) / 4;
                held.not_before.unwrap_or(held.since).max(held.since) + patience
            })
            .min()
    }

    fn timeout_of(stage: &str) -> Duration {
        let name = stage.split_once(' ').map_or(stage, |(_, adapter)| adapter);
        Kit::get().adapter(name).connection.timeout
    }

    pub(crate) async fn take(&mut self, turn: Turn) {
        self.turns += 1;
        match turn {
            Turn::Begin(node, slot) | Turn::Look(node, slot) => {
                self.ground.gates.stir();
                self.drive(node, slot, "").await;
            }
            Turn::Open(held) => {
                self.ground.gates.open(held.id);
                let (node, slot) = (held.task / TASKS, held.task % TASKS);
                self.drive(node, slot, &format!(" passes {:?}", held.gap)).await;
            }
            // Told by who knows what is new.
            Turn::News => {}
            Turn::Pass(span) => self.pass(span),
            Turn::Die(node) => self.die(node),
            Turn::SetClock(node, by) => self.turn_clock(node, by),
            Turn::Switch(name) => {
                let down = {
                    let mut target = locked(&self.targets[&name].1);
                    target.down = !target.down;
                    target.down
                };
                self.outages += u64::from(down);
                self.note(&format!("{name} {}", if down { "goes away" } else { "is back" }));
            }
        }
    }

    async fn drive(&mut self, node: usize, slot: usize, what: &str) {
        let name = self.name_of(self.nodes[node].task(slot));
        let end = match slot {
            START => self.nodes[node].drive_start(&self.ground).await,
            slot => self.nodes[node].drive(slot, &self.ground).await,
        };
        match end {
            Some(end) => self.note(&format!("{name}{what}: {end}")),
            // Only what began with a hold is worth a line.
            None if !what.is_empty() => self.note(&format!("{name}{what}: nothing to do")),
            None => {}
        }
    }

    /// A dossier begins, or one of them goes on.
    fn news(&mut self, begins: bool) {
        let items = i64::try_from(self.roll.between(0, 2)).unwrap_or(0);
        if begins {
            self.begin(items);
        } else {
            let dossiers = u64::from(self.plan.dossiers);
            let number = u32::try_from(self.roll.between(1, dossiers)).unwrap_or(1);
            let bad = self.plan.bad && self.roll.of_hundred() < 20;
            self.tell(number, items, bad);
        }
    }

    /// A dossier begins, with so many items; its number.
    pub(crate) fn begin(&mut self, items: i64) -> u32 {
        let number = locked(&self.ground.source).begin(items);
        self.note(&format!("dossier {number} begins with {items} items"));
        number
    }

    /// A dossier goes on, with so many new items; `bad`: in a version that no target will ever take.
    pub(crate) fn tell(&mut self, number: u32, items: i64, bad: bool) {
        let notice = locked(&self.ground.source).go_on(number, items, bad);
        self.unacceptable += u64::from(bad);
        self.note(&format!("{notice:?}"));
    }

    /// Time passes everywhere.
    pub(crate) fn pass(&mut self, span: SignedDuration) {
        self.ground.truth.advance(span);
        let now = self.now();
        self.ground.gates.tell_time(now);
        for node in &self.nodes {
            node.clock.advance(span);
        }
        for (_, target) in self.targets.values() {
            locked(target).oracle.tick(millis(now));
        }
        self.note(&format!("{span:#} pass"));
    }

    /// A node dies where it stands and is started from its file; now and then its machine was started anew too.
    pub(crate) fn die(&mut self, node: usize) {
        let held = self.ground.gates.held();
        let held: Vec<&Held> = held.iter().filter(|held| held.task / TASKS == node).collect();
        for held in &held {
            let stage = self.name_of(held.task);
            *self.deaths.entry((stage, held.gap)).or_default() += 1;
        }
        let gaps = held
            .iter()
            .map(|held| format!("{} at {:?}", self.name_of(held.task), held.gap));
        let gaps: Vec<String> = gaps.collect();
        self.note(&format!("node {node} dies: {gaps:?}"));
        if self.roll.of_hundred() < 20 {
            self.nodes[node].clock.reboot();
            self.reboots += 1;
            self.note("its machine is started anew");
        }
        self.nodes[node].die();
        self.nodes[node].start(&self.ground);
    }

    fn turn_clock(&mut self, number: usize, by: SignedDuration) {
        let node = &mut self.nodes[number];
        let turned = node.clock.now().saturating_add(by).unwrap_or(Timestamp::MAX);
        node.clock.set(turned);
        self.turned += 1;
        // Nobody sleeps long by a clock that somebody may turn.
        for slot in &mut node.slots {
            slot.forget_idle();
        }
        self.note(&format!("the clock of node {number} is turned by {by:#}"));
    }

    /// Checks what holds at every moment, from what everybody can see.
    async fn sample(&mut self, at_rest: bool) {
        let (answers, tellings) = {
            let source = locked(&self.ground.source);
            (source.answers, source.tellings)
        };
        for node in &self.nodes {
            let Some(store) = node.plain() else { continue };
            let counts = store.counts().await.unwrap();
            let inbox = counts.inbox.iter().filter(|(adapter, ..)| adapter == SOURCE);
            let records: i64 = inbox.map(|(_, _, count)| *count).sum();
            let records = u64::try_from(records).unwrap_or(0);
            if node.hosts(SOURCE) && (records < answers || records > tellings) {
                let told = format!("{answers} records were answered, {tellings} told, {records} are kept");
                self.seen.push(format!("I8 conservation: {told}"));
            }
            for name in self.targets.keys().filter(|name| node.hosts(name)) {
                let rows = counts.deliveries.iter();
                let rows = rows.filter(|(adapter, push, ..)| adapter == name && push == "dossier");
                let rows: i64 = rows.map(|(.., count)| *count).sum();
                let has_dossiers = self.targets[name].0 != Class::Batch;
                let fits = if at_rest {
                    rows == counts.dossiers
                } else {
                    rows <= counts.dossiers
                };
                if has_dossiers && !fits {
                    let told = format!("{name} has {rows} rows of {} dossiers", counts.dossiers);
                    self.seen.push(format!("I8 conservation: {told}"));
                }
            }
        }
    }

    /// The slot of a stage of the first node, for one that each adapter has that of this adapter.
    pub(crate) fn slot_of(&self, stage: &str, adapter: &str) -> usize {
        let of_adapter = format!("{stage} {adapter}");
        let mut slots = self.nodes[0].slots.iter();
        let slot = slots.position(|slot| slot.name == stage || slot.name == of_adapter);
        slot.unwrap_or_else(|| panic!("no stage {stage} of {adapter}"))
    }

    pub(crate) fn name_of(&self, task: Task) -> String {
        match task % TASKS {
            START => "start".to_owned(),
            slot => self.nodes[task / TASKS].slots[slot].name.clone(),
        }
    }

    fn note(&mut self, what: &str) {
        self.trace
            .push(format!("{} {what}", self.now().strftime("%d %H:%M:%S%.3f")));
    }
}

fn whole_millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
