//! `count(DISTINCT x)` by group: one table of all groups' values, instead of a table for each group.
//!
//! DataFusion keeps a set of values for every group, and for every value a copy in every group's set. Here each value is
//! kept once and numbered; what is remembered is which group saw which number.

use std::collections::{HashMap, HashSet};
use std::mem::size_of;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, BooleanArray, Int64Array, ListArray, ListBuilder,
    StringViewArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::hash_utils::RandomState;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, Aggregate, AggregateUDF, AggregateUDFImpl, EmitTo, Expr, ExprSchemable, GroupsAccumulator,
    LogicalPlan, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

/// Puts [`CountDistinct`] where a question groups and counts distinct values of a type it knows.
#[derive(Debug)]
pub(super) struct CountByGroup(Arc<AggregateUDF>);

impl CountByGroup {
    pub(super) fn new() -> CountByGroup {
        let signature = Signature::any(1, Volatility::Immutable);
        CountByGroup(Arc::new(AggregateUDF::from(CountDistinct { signature })))
    }

    fn in_plan(&self, plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Aggregate(mut aggregate) = plan else { return Ok(Transformed::no(plan)) };
        if aggregate.group_expr.is_empty() {
            return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
        }
        let mut changed = false;
        for expr in &mut aggregate.aggr_expr {
            if let Some(ours) = self.ours(expr, &aggregate.input)? {
                *expr = ours;
                changed = true;
            }
        }
        if !changed {
            return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
        }
        let Aggregate { input, group_expr, aggr_expr, .. } = aggregate;
        Ok(Transformed::yes(LogicalPlan::Aggregate(Aggregate::try_new(input, group_expr, aggr_expr)?)))
    }

    /// The same count by our function, under the name it had.
    fn ours(&self, expr: &Expr, input: &LogicalPlan) -> Result<Option<Expr>> {
        let Expr::AggregateFunction(AggregateFunction { func, params }) = expr else { return Ok(None) };
        let is_ours = func.name() == "count" && params.distinct && params.order_by.is_empty();
        let ([value], true) = (params.args.as_slice(), is_ours) else { return Ok(None) };
        if !is_known(&value.get_type(input.schema())?) {
            return Ok(None);
        }
        let mut params = params.clone();
        params.distinct = false;
        let ours = Expr::AggregateFunction(AggregateFunction { func: Arc::clone(&self.0), params });
        Ok(Some(ours.alias(expr.schema_name().to_string())))
    }
}

impl AnalyzerRule for CountByGroup {
    fn name(&self) -> &str {
        "count_distinct_by_group"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(|plan| self.in_plan(plan))?.data)
    }
}

/// Types whose values are told apart by their bytes.
fn is_known(data_type: &DataType) -> bool {
    let is_text = matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    is_text || matches!(data_type, DataType::Date32 | DataType::Int32 | DataType::Int64 | DataType::Timestamp(_, _))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CountDistinct {
    signature: Signature,
}

impl AggregateUDFImpl for CountDistinct {
    fn name(&self) -> &str {
        "count_distinct"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn is_nullable(&self) -> bool {
        false
    }

    fn default_value(&self, _: &DataType) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(0)))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let values = DataType::List(Arc::new(Field::new_list_field(DataType::Binary, true)));
        Ok(vec![Arc::new(Field::new(format!("{}[values]", args.name), values, true))])
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OneGroup(Seen::default())))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Seen::default()))
    }
}

/// Which group saw which value.
#[derive(Debug, Default)]
struct Seen {
    /// Every value once, and its number.
    values: HashMap<Box<[u8]>, u32, RandomState>,
    bytes: usize,
    /// A group above, a value's number below.
    pairs: HashSet<u64, RandomState>,
    /// How many values each group saw.
    counts: Vec<i64>,
}

fn pair(group: usize, value: u32) -> Result<u64> {
    match u32::try_from(group) {
        Ok(group) => Ok(u64::from(group) << 32 | u64::from(value)),
        Err(_) => exec_err!("there are more groups than can be counted"),
    }
}

impl Seen {
    fn number(&mut self, value: &[u8]) -> Result<u32> {
        if let Some(&number) = self.values.get(value) {
            return Ok(number);
        }
        let Ok(number) = u32::try_from(self.values.len()) else {
            return exec_err!("there are more values than can be counted");
        };
        self.bytes += value.len();
        self.values.insert(value.into(), number);
        Ok(number)
    }

    fn see(&mut self, pair: u64) {
        if self.pairs.insert(pair) {
            self.counts[(pair >> 32) as usize] += 1;
        }
    }

    fn grow(&mut self, groups: usize) {
        self.counts.resize(groups.max(self.counts.len()), 0);
    }

    /// Sees a column's values. A value that stood in the row before is known, and a pair that did was seen.
    fn see_all(&mut self, column: &ArrayRef, rows: impl Iterator<Item = (usize, usize)>) -> Result<()> {
        let keys = Keys::of(column)?;
        let (mut known, mut seen) = (None, None);
        for (row, group) in rows.filter(|(row, _)| column.is_valid(*row)) {
            let view = keys.view(row);
            let value = match known {
                Some((known, value)) if view == Some(known) => value,
                _ => keys.with(row, |bytes| self.number(bytes))?,
            };
            known = view.map(|view| (view, value));
            let pair = pair(group, value)?;
            if seen != Some(pair) {
                self.see(pair);
                seen = Some(pair);
            }
        }
        Ok(())
    }

    /// Takes the first groups' pairs out; the others move down.
    fn take(&mut self, emit_to: EmitTo) -> (Vec<i64>, Vec<u64>) {
        let counts = emit_to.take_needed(&mut self.counts);
        let pairs = std::mem::take(&mut self.pairs);
        let taken = (counts.len() as u64) << 32;
        if self.counts.is_empty() {
            return (counts, pairs.into_iter().collect());
        }
        let (gone, stays): (Vec<u64>, Vec<u64>) = pairs.into_iter().partition(|pair| *pair < taken);
        self.pairs = stays.into_iter().map(|pair| pair - taken).collect();
        (counts, gone)
    }

    /// The values that the first groups saw, a list for each group.
    fn lists(&mut self, emit_to: EmitTo) -> ListArray {
        let mut by_number: Vec<&[u8]> = vec![&[]; self.values.len()];
        let values = std::mem::take(&mut self.values);
        for (value, number) in &values {
            by_number[*number as usize] = value;
        }
        let (counts, mut pairs) = self.take(emit_to);
        pairs.sort_unstable();
        let mut lists = ListBuilder::with_capacity(BinaryBuilder::new(), counts.len());
        let mut pairs = pairs.into_iter();
        for count in counts {
            for pair in pairs.by_ref().take(usize::try_from(count).unwrap_or_default()) {
                lists.values().append_value(by_number[(pair & u64::from(u32::MAX)) as usize]);
            }
            lists.append(true);
        }
        if !self.pairs.is_empty() {
            self.values = values;
        } else {
            self.bytes = 0;
        }
        lists.finish()
    }
}

impl GroupsAccumulator for Seen {
    fn update_batch(
        &mut self,
        columns: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        let [column] = columns else { return exec_err!("one column is expected") };
        self.grow(total);
        let rows = groups.iter().copied().enumerate();
        match filter {
            None => self.see_all(column, rows),
            Some(filter) => self.see_all(column, rows.filter(|(row, _)| filter.is_valid(*row) && filter.value(*row))),
        }
    }

    fn merge_batch(&mut self, columns: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        let [lists] = columns else { return exec_err!("one column is expected") };
        self.grow(total);
        for (list, &group) in lists.as_list::<i32>().iter().zip(groups) {
            let Some(list) = list else { continue };
            for value in list.as_binary::<i32>().iter().flatten() {
                let value = self.number(value)?;
                self.see(pair(group, value)?);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        Ok(Arc::new(Int64Array::from(self.take(emit_to).0)))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![Arc::new(self.lists(emit_to))])
    }

    fn convert_to_state(&self, columns: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let [column] = columns else { return exec_err!("one column is expected") };
        let keys = Keys::of(column)?;
        let mut lists = ListBuilder::with_capacity(BinaryBuilder::new(), column.len());
        for row in 0..column.len() {
            let is_in = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if is_in && column.is_valid(row) {
                keys.with(row, |bytes| lists.values().append_value(bytes));
            }
            lists.append(true);
        }
        Ok(vec![Arc::new(lists.finish())])
    }

    fn size(&self) -> usize {
        // A hash table keeps a control byte beside each place, and an eighth of its places free.
        let values = self.values.capacity() * (size_of::<(Box<[u8]>, u32)>() + 2) + self.bytes;
        let pairs = self.pairs.capacity() * (size_of::<u64>() + 2);
        values + pairs + self.counts.capacity() * size_of::<i64>()
    }
}

/// All rows as one group.
#[derive(Debug)]
struct OneGroup(Seen);

impl Accumulator for OneGroup {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let rows = columns.first().map_or(0, |column| column.len());
        self.0.update_batch(columns, &vec![0; rows], None, 1)
    }

    fn merge_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let rows = columns.first().map_or(0, |column| column.len());
        self.0.merge_batch(columns, &vec![0; rows], 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(self.0.counts.first().copied().unwrap_or(0))))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.grow(1);
        Ok(vec![ScalarValue::List(Arc::new(self.0.lists(EmitTo::All)))])
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}

/// A column's values as bytes.
enum Keys {
    View(StringViewArray),
    Bytes(BinaryArray),
    Numbers(Int64Array),
}

impl Keys {
    fn of(column: &ArrayRef) -> Result<Keys> {
        Ok(match column.data_type() {
            DataType::Utf8View => Keys::View(column.as_string_view().clone()),
            DataType::Utf8 | DataType::LargeUtf8 => {
                Keys::Bytes(cast(column, &DataType::Binary)?.as_binary::<i32>().clone())
            }
            DataType::Date32 => {
                let days = cast(column, &DataType::Int32)?;
                Keys::Numbers(cast(&days, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
            }
            _ => Keys::Numbers(cast(column, &DataType::Int64)?.as_primitive::<Int64Type>().clone()),
        })
    }

    /// What two rows of one column share only if they say the same.
    fn view(&self, row: usize) -> Option<u128> {
        match self {
            Keys::View(column) => Some(column.views()[row]),
            Keys::Bytes(_) => None,
            Keys::Numbers(column) => Some(u128::from(column.value(row).cast_unsigned())),
        }
    }

    fn with<T>(&self, row: usize, body: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Keys::View(column) => body(column.value(row).as_bytes()),
            Keys::Bytes(column) => body(column.value(row)),
            Keys::Numbers(column) => body(&column.value(row).to_le_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const GROUPS: usize = 7;

    /// What the fast way has to equal: a set of values for every group.
    #[derive(Default)]
    struct Slow(Vec<BTreeSet<String>>);

    impl Slow {
        fn see(&mut self, rows: &[(usize, Option<String>)]) {
            self.0.resize(GROUPS, BTreeSet::new());
            for (group, value) in rows {
                self.0[*group].extend(value.clone());
            }
        }

        fn take(&mut self, emit_to: EmitTo) -> Vec<i64> {
            emit_to.take_needed(&mut self.0).iter().map(|seen| i64::try_from(seen.len()).unwrap()).collect()
        }
    }

    fn batch(rows: &[(usize, Option<String>)]) -> (Vec<ArrayRef>, Vec<usize>) {
        let column: StringViewArray = rows.iter().map(|(_, value)| value.as_deref()).collect();
        (vec![Arc::new(column)], rows.iter().map(|(group, _)| *group).collect())
    }

    fn counts(seen: &mut Seen, emit_to: EmitTo) -> Vec<i64> {
        seen.evaluate(emit_to).unwrap().as_primitive::<Int64Type>().values().to_vec()
    }

    fn rows() -> impl Strategy<Value = Vec<(usize, Option<String>)>> {
        // Short values lie in the view, long ones behind it.
        let value = proptest::option::of("[ab]{0,2}|a-value-that-is-long-[ab]{1,2}");
        proptest::collection::vec((0..GROUPS, value), 0..60)
    }

    proptest! {
        #[test]
        fn groups_are_counted_as_by_a_set_each(first in rows(), second in rows(), third in rows(), cut in 0..=GROUPS) {
            let (mut fast, mut slow) = (Seen::default(), Slow::default());
            for rows in [&first, &second] {
                let (columns, groups) = batch(rows);
                fast.update_batch(&columns, &groups, None, GROUPS).unwrap();
                slow.see(rows);
            }
            // The first groups leave, the others move down and go on.
            prop_assert_eq!(counts(&mut fast, EmitTo::First(cut)), slow.take(EmitTo::First(cut)));
            let (columns, groups) = batch(&third);
            fast.update_batch(&columns, &groups, None, GROUPS).unwrap();
            slow.see(&third);
            prop_assert_eq!(counts(&mut fast, EmitTo::All), slow.take(EmitTo::All));
        }

        #[test]
        fn parts_come_together(first in rows(), second in rows(), cut in 0..=GROUPS) {
            let mut slow = Slow::default();
            slow.see(&first);
            slow.see(&second);
            let (columns, groups) = batch(&first);
            let mut part = Seen::default();
            part.update_batch(&columns, &groups, None, GROUPS).unwrap();
            let mut whole = Seen::default();
            // A part that leaves in two pieces, as when memory is short.
            whole.merge_batch(&part.state(EmitTo::First(cut)).unwrap(), &(0..cut).collect::<Vec<_>>(), GROUPS).unwrap();
            whole.merge_batch(&part.state(EmitTo::All).unwrap(), &(cut..GROUPS).collect::<Vec<_>>(), GROUPS).unwrap();
            // And rows that were not grouped before.
            let (columns, groups) = batch(&second);
            whole.merge_batch(&part.convert_to_state(&columns, None).unwrap(), &groups, GROUPS).unwrap();
            prop_assert_eq!(counts(&mut whole, EmitTo::All), slow.take(EmitTo::All));
        }
    }
}
