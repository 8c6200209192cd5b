//! A function of one column of text is worked out once for each value of a batch, not for each of its rows.
//!
//! Text comes out of Parquet's dictionaries: rows that say the same share one view, so that two views are compared
//! instead of two texts. Rows that say the same by other views are merely worked out again.

use datafusion::arrow::array::{Array, AsArray, StringViewArray, UInt32Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

/// Batches of fewer rows are not worth it.
const FEWEST: usize = 64;
/// After so many rows it is clear whether values repeat.
const TRIAL: usize = 1024;
/// Values that are remembered at a time.
const REMEMBERED: usize = 256;

/// A call on each value, and which of the results each row has.
pub(super) struct Once {
    pub(super) args: ScalarFunctionArgs,
    pub(super) values: usize,
    pub(super) rows: UInt32Array,
}

/// The call on each value, where the arguments are one column of text that repeats itself and constants.
pub(super) fn once(args: &ScalarFunctionArgs) -> Result<Option<Once>> {
    let mut columns = args.args.iter().enumerate().filter(|(_, arg)| matches!(arg, ColumnarValue::Array(_)));
    let (Some((place, ColumnarValue::Array(column))), None) = (columns.next(), columns.next()) else {
        return Ok(None);
    };
    if column.data_type() != &DataType::Utf8View {
        return Ok(None);
    }
    let Some((firsts, rows)) = distinct_views(column.as_string_view()) else { return Ok(None) };
    let mut args = args.clone();
    args.args[place] = ColumnarValue::Array(take(column, &firsts, None)?);
    args.number_rows = firsts.len();
    Ok(Some(Once { args, values: firsts.len(), rows }))
}

/// The rows where a column's values stand for the first time, and which of them each row repeats; `None` if there are few
/// rows, or values hardly repeat.
pub(crate) fn distinct_views(column: &StringViewArray) -> Option<(UInt32Array, UInt32Array)> {
    match column.len() {
        ..FEWEST => None,
        _ => values(column.views(), |row| column.is_null(row)),
    }
}

/// The rows where values stand for the first time, and which of them each row repeats; `None` if they hardly do.
fn values(views: &[u128], is_null: impl Fn(usize) -> bool) -> Option<(UInt32Array, UInt32Array)> {
    let mut remembered: [Option<(u128, u32)>; REMEMBERED] = [None; REMEMBERED];
    let mut null = None;
    let mut firsts: Vec<u32> = Vec::new();
    let mut rows: Vec<u32> = Vec::with_capacity(views.len());
    for (row, &view) in views.iter().enumerate() {
        let mut first = || {
            firsts.push(u32::try_from(row).expect("a batch has fewer rows"));
            u32::try_from(firsts.len() - 1).expect("there are no more values than rows")
        };
        let value = if is_null(row) {
            *null.get_or_insert_with(first)
        } else {
            match &mut remembered[slot(view)] {
                Some((known, value)) if *known == view => *value,
                place => place.insert((view, first())).1,
            }
        };
        rows.push(value);
        if row == TRIAL && firsts.len() > TRIAL / 2 {
            return None;
        }
    }
    (firsts.len() <= views.len() / 2).then(|| (firsts.into(), rows.into()))
}

fn slot(view: u128) -> usize {
    let halves = (view as u64) ^ ((view >> 64) as u64);
    (halves.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as usize % REMEMBERED
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unfolded(views: &[u128], nulls: &[usize]) -> Option<Vec<Option<u128>>> {
        let (firsts, rows) = values(views, |row| nulls.contains(&row))?;
        let value = |row: &u32| firsts.value(*row as usize) as usize;
        Some(rows.values().iter().map(value).map(|row| (!nulls.contains(&row)).then(|| views[row])).collect())
    }

    #[test]
    fn every_row_has_its_own_value_back() {
        // More values than are remembered, in runs; views of null rows say nothing.
        let views: Vec<u128> = (0..20_000_u128).map(|row| (row / 7) % 600 * 0x1_0000_0001).collect();
        let nulls: Vec<usize> = (0..20_000).step_by(97).collect();
        let expected: Vec<_> = views.iter().enumerate().map(|(row, &v)| (!nulls.contains(&row)).then_some(v)).collect();
        assert!(unfolded(&views, &nulls) == Some(expected));
    }

    #[test]
    fn values_that_do_not_repeat_are_left_alone() {
        assert_eq!(unfolded(&(0..5_000).collect::<Vec<_>>(), &[]), None);
    }
}
