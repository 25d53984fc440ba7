//! What outputs are to be, and a file held against that before any page of it is read.

use std::sync::{Arc, Mutex};

use super::Refusal;
use super::codec::{Codec, Compression, joins};
use super::metadata::{Familiar, Footer, Orders, RowGroup, Schema};
use super::schema::{Leaf, Match, Node, Place, leaves, places, tree};

type Result<T> = std::result::Result<T, Refusal>;
type Places = Arc<Vec<Place>>;

/// The schema of the outputs, how columns are found in files, and how pages are compressed.
pub struct Target {
    nodes: Vec<Node>,
    pub leaves: Vec<Leaf>,
    by: Match,
    pub compression: Compression,
    last: Mutex<Option<Arc<Known>>>,
}

/// What is known of a schema: what footers with it say in the same bytes, where the leaves are in files that have it, and how many leaves
/// these have.
struct Known {
    familiar: Familiar,
    places: Places,
    leaves: usize,
}

impl Target {
    /// `footer`: of a file as outputs are to be, without length and magic.
    pub fn new(footer: &[u8], by: Match, compression: Compression) -> Result<Self> {
        if compression.codec != Codec::None && !joins(compression.codec) {
            return Err(Refusal::new("outputs of this codec are not made of pages"));
        }
        let (nodes, _) = tree(&Footer::schema_of(footer)?)?;
        Ok(Self { leaves: leaves(&nodes), nodes, by, compression, last: Mutex::new(None) })
    }

    fn last(&self) -> Option<Arc<Known>> {
        self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// What is to be known of a schema; of files in a row that have the same one, found once.
    fn known(&self, footer: &mut Footer<'_>, last: Option<Arc<Known>>) -> Result<Arc<Known>> {
        match (&footer.schema, last) {
            (Schema::Known, Some(last)) => Ok(last),
            (Schema::Known, None) => Err(Refusal::new("there is no schema")),
            (Schema::Read { elements, stored }, _) => {
                let (nodes, leaves) = tree(elements)?;
                let orders = Orders { ordered: Arc::clone(&footer.orders.ordered), stored: footer.orders.stored.to_vec() };
                let familiar = Familiar { schema: stored.to_vec(), heads: std::mem::take(&mut footer.heads), orders };
                let found = Arc::new(Known { familiar, places: Arc::new(places(&nodes, &self.nodes, self.by)?), leaves });
                *self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Arc::clone(&found));
                Ok(found)
            }
        }
    }
}

/// A file that can be merged, as far as its footer says.
pub struct Source {
    pub row_groups: Vec<RowGroup>,
    pub rows: usize,
    pub places: Places,
    pub ordered: Arc<[bool]>,
    pub right: bool,
    /// As `right`, of decimals in bytes.
    pub decimals_right: bool,
    /// Bytes of the column chunks that are asked for.
    pub bytes: usize,
}

impl Source {
    pub fn new(target: &Target, data: &[u8]) -> Result<Self> {
        let last = target.last();
        let (mut footer, length) = Footer::of_file(data, last.as_ref().map(|last| &last.familiar))?;
        let known = target.known(&mut footer, last)?;
        let places = Arc::clone(&known.places);
        let end = data.len() - 8 - length;
        let (mut rows, mut bytes) = (0usize, 0usize);
        // Writers have nothing to say of where the columns of a row group without rows are.
        let row_groups: Vec<RowGroup> = footer.row_groups.into_iter().filter(|group| group.rows > 0).collect();
        for group in &row_groups {
            if group.columns.len() != known.leaves {
                return Err(Refusal::new("a row group has not the columns of the schema"));
            }
            rows = rows.checked_add(group.rows).ok_or_else(|| Refusal::new("it counts too many rows"))?;
            for place in places.iter() {
                let Place::At { column, repeated, stored, .. } = place else { continue };
                let chunk = &group.columns[*column];
                Codec::of(chunk.codec)?;
                if chunk.physical != stored.number() {
                    return Err(Refusal::new("a column chunk has not the type of its column"));
                }
                if !chunk.statistics.fit(stored.width()) {
                    return Err(Refusal::new("a bound in its footer has not the length of its type"));
                }
                if repeated.is_empty() && chunk.values != group.rows {
                    return Err(Refusal::new("a column has not the rows of its row group"));
                }
                if chunk.start < 4 || chunk.start.checked_add(chunk.length).is_none_or(|at| at > end) {
                    return Err(Refusal::new("a column goes beyond the file"));
                }
                bytes = bytes.checked_add(chunk.length).ok_or_else(|| Refusal::new("its columns overlap"))?;
            }
        }
        if rows != footer.rows {
            return Err(Refusal::new("its row groups have not the rows that its footer counts"));
        }
        if bytes > end {
            return Err(Refusal::new("its columns overlap"));
        }
        let right = bounds_are_right(&footer.created_by);
        let decimals_right = right && decimals_are_right(&footer.created_by);
        Ok(Self { row_groups, rows, places, ordered: footer.orders.ordered, right, decimals_right, bytes })
    }

    /// Leaves that the file lacks.
    pub fn missing(&self) -> usize {
        self.places.iter().filter(|place| **place == Place::Missing).count()
    }
}

/// Whether a writer's bounds are in the order that the type of a column defines. Only writers that were looked at; those of others are
/// not used.
fn bounds_are_right(created_by: &str) -> bool {
    let known = ["parquet-cpp-arrow version ", "parquet-rs version ", "delta-rs version "];
    if known.iter().any(|name| created_by.starts_with(name)) {
        return true;
    }
    // Before 1.10 parquet-mr had the bounds of text wrong in several ways.
    created_by
        .strip_prefix("parquet-mr version 1.")
        .is_some_and(|rest| rest.split('.').next().and_then(|minor| minor.parse::<u32>().ok()).is_some_and(|minor| minor >= 10))
}

/// Whether a writer compares decimals in bytes as numbers. Before 4.0 parquet-cpp-arrow compared each byte with a sign, before 14.0 parquet-rs
/// without one (apache/arrow 42906, apache/arrow-rs 1532).
fn decimals_are_right(created_by: &str) -> bool {
    [("parquet-cpp-arrow version ", 4), ("parquet-rs version ", 14)].iter().all(|(name, sound)| {
        let major = created_by.strip_prefix(name).map(|rest| rest.split('.').next().and_then(|major| major.parse::<u32>().ok()));
        major.is_none_or(|major| major.is_some_and(|major| major >= *sound))
    })
}

#[cfg(test)]
mod tests {
    use super::{bounds_are_right, decimals_are_right};

    #[test]
    fn bounds_of_decimals_by_writers_that_compared_them_wrongly_are_not_used() {
        assert!(!decimals_are_right("parquet-cpp-arrow version 3.0.0"));
        assert!(decimals_are_right("parquet-cpp-arrow version 21.0.0"));
        assert!(!decimals_are_right("parquet-rs version 12.0.0"));
        assert!(decimals_are_right("parquet-rs version 59.3.0"));
        assert!(!decimals_are_right("parquet-rs version x"));
    }

    #[test]
    fn bounds_of_writers_that_had_them_wrong_are_not_used() {
        assert!(bounds_are_right("parquet-mr version 1.13.1 (build db4183109d5b734ec5930d870cdae161e408ddba)"));
        assert!(!bounds_are_right("parquet-mr version 1.9.0 (build x)"));
        assert!(!bounds_are_right("parquet-mr"));
        assert!(!bounds_are_right("impala version 1.0"));
    }
}
