//! All records of one kind, ordered by key, with their secondary indexes.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use imbl::ordmap::DiffItem;
use imbl::{OrdMap, OrdSet};

use crate::{Record, Revision};

/// A key as the store has it: kind, scope, name.
pub type Key = Arc<str>;

/// A record, and the revision that last wrote it.
#[derive(Debug)]
pub struct Row<R> {
    pub record: Arc<R>,
    pub revision: Revision,
}

impl<R> Clone for Row<R> {
    fn clone(&self) -> Self {
        Row { record: Arc::clone(&self.record), revision: self.revision }
    }
}

/// The same writing of the same record.
impl<R> PartialEq for Row<R> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.record, &other.record) && self.revision == other.revision
    }
}

/// Cloning shares the structure; a change copies only the path to it.
#[derive(Debug)]
pub struct Table<R> {
    rows: OrdMap<Key, Row<R>>,
    indexes: Vec<OrdSet<(Arc<str>, Key)>>,
}

impl<R> Clone for Table<R> {
    fn clone(&self) -> Self {
        Table { rows: self.rows.clone(), indexes: self.indexes.clone() }
    }
}

impl<R: Record> Default for Table<R> {
    fn default() -> Self {
        Table { rows: OrdMap::new(), indexes: R::INDEXES.iter().map(|_| OrdSet::new()).collect() }
    }
}

impl<R: Record> Table<R> {
    /// The key of the record with that name.
    pub fn key(name: &str) -> Key {
        format!("{}/{name}", R::KIND).into()
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The record of that name, without its kind.
    pub fn get(&self, name: &str) -> Option<&Arc<R>> {
        self.row(&Self::key(name)).map(|row| &row.record)
    }

    pub fn row(&self, key: &str) -> Option<&Row<R>> {
        self.rows.get(key)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<R>> {
        self.rows.values().map(|row| &row.record)
    }

    /// The records whose name begins with `prefix`, in the order of their names.
    pub fn range<'a>(&'a self, prefix: &str) -> impl Iterator<Item = &'a Arc<R>> + use<'a, R> {
        let key = Self::key(prefix);
        self.rows_from(Bound::Included(Arc::clone(&key)), key)
    }

    /// Those of [`range`](Self::range) that come after `prefix` and `rest` put together: how a list goes on.
    pub fn range_after<'a>(&'a self, prefix: &str, rest: &str) -> impl Iterator<Item = &'a Arc<R>> + use<'a, R> {
        self.rows_from(Bound::Excluded(Self::key(&format!("{prefix}{rest}"))), Self::key(prefix))
    }

    fn rows_from<'a>(&'a self, from: Bound<Key>, prefix: Key) -> impl Iterator<Item = &'a Arc<R>> + use<'a, R> {
        self.rows
            .range::<_, Arc<str>>((from, Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(&*prefix))
            .map(|(_, row)| &row.record)
    }

    /// How many records the named index files.
    ///
    /// An unknown index is a bug of the caller, and panics.
    pub fn filed_in(&self, index: &str) -> usize {
        self.indexes[Self::number(index)].len()
    }

    /// The records that the named index files under `value`, in the order of their names.
    ///
    /// An unknown index is a bug of the caller, and panics.
    pub fn by<'a>(&'a self, index: &str, value: &str) -> impl Iterator<Item = &'a Arc<R>> + use<'a, R> {
        self.filed(index, Bound::Included((value, "")), Bound::Excluded((&format!("{value}\0"), "")))
    }

    /// Those of [`by`](Self::by) whose name comes after `name`.
    pub fn by_after<'a>(
        &'a self,
        index: &str,
        value: &str,
        name: &str,
    ) -> impl Iterator<Item = &'a Arc<R>> + use<'a, R> {
        let key = Self::key(name);
        self.filed(index, Bound::Excluded((value, &key)), Bound::Excluded((&format!("{value}\0"), "")))
    }

    /// The records that the named index files under any value that begins with `prefix`, in the order of the values, then
    /// of their names. It can be read from both ends.
    pub fn under<'a>(&'a self, index: &str, prefix: &str) -> impl DoubleEndedIterator<Item = &'a Arc<R>> + use<'a, R> {
        self.filed(index, Bound::Included((prefix, "")), Bound::Excluded((&behind(prefix), "")))
    }

    /// Those of [`under`](Self::under) that come after the record `name` under `value`.
    pub fn under_after<'a>(
        &'a self,
        index: &str,
        prefix: &str,
        (value, name): (&str, &str),
    ) -> impl Iterator<Item = &'a Arc<R>> + use<'a, R> {
        let key = Self::key(name);
        self.filed(index, Bound::Excluded((value, &key)), Bound::Excluded((&behind(prefix), "")))
    }

    fn number(index: &str) -> usize {
        R::INDEXES.iter().position(|known| *known == index).expect("the index is declared by the record")
    }

    fn filed<'a>(
        &'a self,
        index: &str,
        from: Bound<(&str, &str)>,
        to: Bound<(&str, &str)>,
    ) -> impl DoubleEndedIterator<Item = &'a Arc<R>> + use<'a, R> {
        let number = Self::number(index);
        let owned = |(value, key): (&str, &str)| -> (Arc<str>, Key) { (value.into(), key.into()) };
        self.indexes[number].range((from.map(owned), to.map(owned))).map(|(_, key)| &self.rows[key].record)
    }

    /// The keys of the records that were written or deleted between this table and a later one.
    pub(crate) fn changed<'a>(&'a self, later: &'a Table<R>) -> impl Iterator<Item = &'a Key> + use<'a, R> {
        self.rows.diff(&later.rows).map(|item| match item {
            DiffItem::Add(key, _) | DiffItem::Remove(key, _) => key,
            DiffItem::Update { new: (key, _), .. } => key,
        })
    }

    /// A table of these rows, which come in the order of their keys and each once.
    pub(crate) fn of(rows: Vec<(Key, Row<R>)>) -> Table<R> {
        let index = |number: usize| {
            let mut filed: BTreeMap<Arc<str>, Vec<Key>> = BTreeMap::new();
            for (key, row) in &rows {
                let Some(value) = row.record.index(number) else { continue };
                match filed.get_mut(value.as_str()) {
                    Some(keys) => keys.push(Arc::clone(key)),
                    None => drop(filed.insert(value.into(), vec![Arc::clone(key)])),
                }
            }
            let places = filed.into_iter().flat_map(|(value, keys)| {
                let place = move |key| (Arc::clone(&value), key);
                keys.into_iter().map(place)
            });
            filled(places, OrdSet::insert)
        };
        let indexes = (0..R::INDEXES.len()).map(index).collect();
        Table { rows: filled(rows.into_iter(), |map: &mut OrdMap<_, _>, (key, row)| map.insert(key, row)), indexes }
    }

    /// Sets a record; gives back the one it replaced.
    pub(crate) fn put(&mut self, key: Key, record: Arc<R>, revision: Revision) -> Option<Arc<R>> {
        let old =
            self.rows.insert(Arc::clone(&key), Row { record: Arc::clone(&record), revision }).map(|row| row.record);
        if let Some(before) = &old
            && record.is_filed_as(before)
        {
            debug_assert!((0..self.indexes.len()).all(|index| before.index(index) == record.index(index)));
            return old;
        }
        for (number, index) in self.indexes.iter_mut().enumerate() {
            let before = old.as_deref().and_then(|old| old.index(number));
            let after = record.index(number);
            if before == after {
                continue;
            }
            if let Some(value) = before {
                index.remove(&(Arc::from(value), Arc::clone(&key)));
            }
            if let Some(value) = after {
                index.insert((shared(index, value), Arc::clone(&key)));
            }
        }
        old
    }

    pub(crate) fn delete(&mut self, key: &Key) -> Option<Arc<R>> {
        let old = self.rows.remove(key)?.record;
        for (number, index) in self.indexes.iter_mut().enumerate() {
            if let Some(value) = old.index(number) {
                index.remove(&(Arc::from(value), Arc::clone(key)));
            }
        }
        Some(old)
    }
}

/// A tree of what comes in order. A tree that grows at its end alone has nodes that are half empty; so every second one is put in
/// first, and the others then fill the nodes.
fn filled<C: Default, T, O>(sorted: impl Iterator<Item = T>, mut put: impl FnMut(&mut C, T) -> O) -> C {
    let mut tree = C::default();
    let mut others = Vec::with_capacity(sorted.size_hint().0 / 2);
    for (number, one) in sorted.enumerate() {
        match number % 2 {
            0 => drop(put(&mut tree, one)),
            _ => others.push(one),
        }
    }
    others.into_iter().for_each(|one| drop(put(&mut tree, one)));
    tree
}

/// The value as the index has it already: records of one service, say, keep one text between them.
fn shared(index: &OrdSet<(Arc<str>, Key)>, value: String) -> Arc<str> {
    let value: Arc<str> = value.into();
    let place = (Arc::clone(&value), Key::from(""));
    match index.get_next(&place) {
        Some((known, _)) if *known == value => Arc::clone(known),
        _ => value,
    }
}

/// A text behind every text that begins with `prefix`.
fn behind(prefix: &str) -> String {
    format!("{prefix}{}", char::MAX)
}
