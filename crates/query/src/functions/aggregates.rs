//! Aggregates that DataFusion does not have: `max_by`, `min_by`, `map_agg`, `histogram`.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::mem::size_of_val;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, make_comparator};
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

use super::types::{map_of, map_value};

/// How many entries a map of one group holds at most: it is in memory.
const MAX_ENTRIES: usize = 1_000_000;

/// The aggregates.
pub(crate) fn aggregates() -> Vec<AggregateUDF> {
    let aggregate = |name, kind| {
        AggregateUDF::from(Aggregate { name, kind, signature: Signature::user_defined(Volatility::Immutable) })
    };
    vec![
        aggregate("max_by", Kind::By { greatest: true }),
        aggregate("min_by", Kind::By { greatest: false }),
        aggregate("map_agg", Kind::Map),
        aggregate("histogram", Kind::Histogram),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    By { greatest: bool },
    Map,
    Histogram,
}

#[derive(Debug)]
struct Aggregate {
    name: &'static str,
    kind: Kind,
    signature: Signature,
}

impl PartialEq for Aggregate {
    fn eq(&self, other: &Aggregate) -> bool {
        self.name == other.name
    }
}

impl Eq for Aggregate {}

impl Hash for Aggregate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl AggregateUDFImpl for Aggregate {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let takes = if self.kind == Kind::Histogram { 1 } else { 2 };
        if given.len() != takes {
            return plan_err!("{} takes {takes} arguments, not {}", self.name, given.len());
        }
        Ok(given.to_vec())
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match (self.kind, given) {
            (Kind::By { .. }, [value, _]) => Ok(value.clone()),
            (Kind::Map, [key, value]) => Ok(map_of(key.clone(), value.clone())),
            (Kind::Histogram, [key]) => Ok(map_of(key.clone(), DataType::Int64)),
            _ => plan_err!("{} takes other arguments", self.name),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let field = |name: &str, data_type: &DataType| {
            Arc::new(Field::new(format!("{}[{name}]", args.name), data_type.clone(), true))
        };
        Ok(match self.kind {
            Kind::By { .. } => {
                let types = args.input_fields.iter().map(|input| input.data_type());
                types.zip(["value", "key"]).map(|(data_type, name)| field(name, data_type)).collect()
            }
            Kind::Map | Kind::Histogram => vec![field("map", args.return_field.data_type())],
        })
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let data_type = args.return_field.data_type();
        Ok(match self.kind {
            Kind::By { greatest } => {
                let Some(key) = args.expr_fields.get(1) else { return plan_err!("{} takes two arguments", self.name) };
                Box::new(By {
                    greatest,
                    value: ScalarValue::try_from(data_type)?,
                    key: ScalarValue::try_from(key.data_type())?,
                })
            }
            Kind::Map => Box::new(Entries { data_type: data_type.clone(), entries: HashMap::new(), counts: false }),
            Kind::Histogram => {
                Box::new(Entries { data_type: data_type.clone(), entries: HashMap::new(), counts: true })
            }
        })
    }
}

/// The value beside the greatest, or least, key.
#[derive(Debug)]
struct By {
    greatest: bool,
    value: ScalarValue,
    key: ScalarValue,
}

impl Accumulator for By {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let [values, keys] = columns else { return exec_err!("two columns are expected") };
        let compare = make_comparator(keys, keys, SortOptions::default())?;
        let is_better = |order: Ordering| if self.greatest { order.is_gt() } else { order.is_lt() };
        let rows = (0..keys.len()).filter(|row| keys.is_valid(*row));
        let best = rows.reduce(|best, row| if is_better(compare(row, best)) { row } else { best });
        let Some(best) = best else { return Ok(()) };
        let key = ScalarValue::try_from_array(keys, best)?;
        if self.key.is_null() || key.partial_cmp(&self.key).is_some_and(is_better) {
            self.value = ScalarValue::try_from_array(values, best)?;
            self.key = key;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.value.clone())
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.value.size() + self.key.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.value.clone(), self.key.clone()])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }
}

/// A map of what was seen: to the first value, or to how often.
#[derive(Debug)]
struct Entries {
    data_type: DataType,
    entries: HashMap<ScalarValue, ScalarValue>,
    counts: bool,
}

impl Entries {
    fn add(&mut self, key: ScalarValue, value: ScalarValue) -> Result<()> {
        if key.is_null() {
            return Ok(());
        }
        if self.entries.len() >= MAX_ENTRIES && !self.entries.contains_key(&key) {
            return exec_err!("a map holds at most {MAX_ENTRIES} keys; group by the key instead");
        }
        match self.entries.entry(key) {
            std::collections::hash_map::Entry::Occupied(mut seen) if self.counts => {
                let sum = seen.get().add_checked(&value)?;
                seen.insert(sum);
            }
            std::collections::hash_map::Entry::Occupied(_) => {}
            std::collections::hash_map::Entry::Vacant(new) => {
                new.insert(value);
            }
        }
        Ok(())
    }
}

impl Accumulator for Entries {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let Some(keys) = columns.first() else { return exec_err!("a column is expected") };
        for row in 0..keys.len() {
            let key = ScalarValue::try_from_array(keys, row)?;
            let value = match columns.get(1) {
                Some(values) => ScalarValue::try_from_array(values, row)?,
                None => ScalarValue::Int64(Some(1)),
            };
            self.add(key, value)?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.entries.is_empty() {
            return ScalarValue::try_from(&self.data_type);
        }
        // In the order of the keys, so that a result is the same each time.
        let mut entries: Vec<(&ScalarValue, &ScalarValue)> = self.entries.iter().collect();
        entries.sort_by(|left, right| left.0.partial_cmp(right.0).unwrap_or(Ordering::Equal));
        let (keys, values) = entries.into_iter().map(|(key, value)| (key.clone(), value.clone())).unzip();
        map_value(keys, values, &self.data_type)
    }

    fn size(&self) -> usize {
        let entries = self.entries.iter().map(|(key, value)| key.size() + value.size());
        size_of_val(self) + entries.sum::<usize>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(maps) = states.first() else { return exec_err!("a state is expected") };
        let maps = maps.as_map();
        for row in 0..maps.len() {
            if maps.is_null(row) {
                continue;
            }
            let entries = maps.value(row);
            for at in 0..entries.len() {
                let key = ScalarValue::try_from_array(entries.column(0), at)?;
                self.add(key, ScalarValue::try_from_array(entries.column(1), at)?)?;
            }
        }
        Ok(())
    }
}
