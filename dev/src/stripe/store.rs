//! What the simulator remembers: one shelf for each kind of object, in order of creation. Shelves note which of their records
//! changed, so that `journal` can write these and no others.

use std::collections::{BTreeSet, HashMap};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    idempotency::SavedAnswer,
    objects::{Charge, Dispute, Event, Intent, Method, Refund},
};

/// Something that lies on a shelf under its id.
pub(crate) trait Record: Serialize + DeserializeOwned {
    /// The name of its kind in the state file; permanent.
    const KIND: &'static str;

    /// The id that it is found by.
    fn id(&self) -> &str;
}

/// Records of one kind, oldest first.
#[derive(Debug)]
pub(crate) struct Shelf<T> {
    records: Vec<T>,
    places: HashMap<String, usize>,
    changed: BTreeSet<usize>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { records: Vec::new(), places: HashMap::new(), changed: BTreeSet::new() }
    }
}

impl<T: Record> Shelf<T> {
    pub(crate) fn get(&self, id: &str) -> Option<&T> {
        self.places.get(id).map(|&place| &self.records[place])
    }

    /// The record, to be changed in place.
    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        let place = *self.places.get(id)?;
        self.changed.insert(place);
        Some(&mut self.records[place])
    }

    /// Adds the record, or replaces the one with its id.
    pub(crate) fn put(&mut self, record: T) {
        let next = self.records.len();
        let place = *self.places.entry(record.id().to_owned()).or_insert(next);
        if place == next {
            self.records.push(record);
        } else {
            self.records[place] = record;
        }
        self.changed.insert(place);
    }

    /// All records, oldest first.
    pub(crate) fn all(&self) -> &[T] {
        &self.records
    }

    /// Where a record stands among all, oldest first.
    pub(crate) fn place(&self, id: &str) -> Option<usize> {
        self.places.get(id).copied()
    }

    /// The changed records as lines of the state file; they count as unchanged from now on.
    fn take_changes(&mut self, lines: &mut Vec<u8>) {
        for place in std::mem::take(&mut self.changed) {
            write_line(&self.records[place], lines);
        }
    }

    /// Marks every record as changed, to be written anew.
    fn touch_all(&mut self) {
        self.changed = (0..self.records.len()).collect();
    }
}

/// A line of the state file: one record as it stood at some moment; a later line of the same id replaces it.
#[derive(serde::Serialize, serde::Deserialize)]
struct Line<R> {
    kind: String,
    record: R,
}

fn write_line<T: Record>(record: &T, lines: &mut Vec<u8>) {
    let line = Line { kind: T::KIND.to_owned(), record };
    serde_json::to_writer(&mut *lines, &line).expect("records have string keys and are written to memory");
    lines.push(b'\n');
}

/// All that the simulator remembers.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) intents: Shelf<Intent>,
    pub(crate) charges: Shelf<Charge>,
    pub(crate) refunds: Shelf<Refund>,
    pub(crate) disputes: Shelf<Dispute>,
    pub(crate) events: Shelf<Event>,
    pub(crate) methods: Shelf<Method>,
    pub(crate) answers: Shelf<SavedAnswer>,
    /// What settles by itself, and when (milliseconds): intents that are processing, refunds on their way.
    pub(crate) due: BTreeSet<(i64, String)>,
    /// Events that were emitted and are not yet on their way.
    pub(crate) fresh: Vec<String>,
}

impl Books {
    /// Puts back one line of a state file.
    ///
    /// # Errors
    /// When the line is not one that [`Books::take_changes`] writes.
    pub(crate) fn restore(&mut self, line: &str) -> Result<(), serde_json::Error> {
        let Line { kind, record } = serde_json::from_str::<Line<serde_json::Value>>(line)?;
        match kind.as_str() {
            Intent::KIND => self.intents.put(serde_json::from_value(record)?),
            Charge::KIND => self.charges.put(serde_json::from_value(record)?),
            Refund::KIND => self.refunds.put(serde_json::from_value(record)?),
            Dispute::KIND => self.disputes.put(serde_json::from_value(record)?),
            Event::KIND => self.events.put(serde_json::from_value(record)?),
            Method::KIND => self.methods.put(serde_json::from_value(record)?),
            SavedAnswer::KIND => self.answers.put(serde_json::from_value(record)?),
            _ => return Err(serde::de::Error::custom(format!("unknown kind of record: {kind}"))),
        }
        Ok(())
    }

    /// Works out what is due from the restored records.
    pub(crate) fn schedule_restored(&mut self) {
        let intents = self.intents.all().iter().filter_map(|intent| Some((intent.settles_at?, intent.id.clone())));
        let refunds = self.refunds.all().iter().filter_map(|refund| Some((refund.settles_at?, refund.id.clone())));
        self.due = intents.chain(refunds).collect();
    }

    /// The records that changed since the last call, as lines of the state file.
    pub(crate) fn take_changes(&mut self) -> Vec<u8> {
        let mut lines = Vec::new();
        self.intents.take_changes(&mut lines);
        self.charges.take_changes(&mut lines);
        self.refunds.take_changes(&mut lines);
        self.disputes.take_changes(&mut lines);
        self.events.take_changes(&mut lines);
        self.methods.take_changes(&mut lines);
        self.answers.take_changes(&mut lines);
        lines
    }

    /// Everything, as lines of the state file.
    pub(crate) fn take_all(&mut self) -> Vec<u8> {
        self.intents.touch_all();
        self.charges.touch_all();
        self.refunds.touch_all();
        self.disputes.touch_all();
        self.events.touch_all();
        self.methods.touch_all();
        self.answers.touch_all();
        self.take_changes()
    }
}
