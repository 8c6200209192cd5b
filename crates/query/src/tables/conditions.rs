//! Conditions on one column of text, where rows are read: each is worked out once for each value of a batch.
//!
//! Text comes out of Parquet's dictionaries, so rows that say the same share one view. A comparison with a constant looks
//! at views alone, two words a row; whatever else is asked of a column, `LIKE`, `IN`, `regexp_like`, is asked once a view.
//! Whoever reads conditions to leave out files, row groups and pages is given them as they were written.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, BooleanArray, RecordBatch, StringViewArray, make_view};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::expressions::{BinaryExpr, Column, IsNotNullExpr, IsNullExpr, Literal};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{DynamicFilterTracking, PhysicalExpr};
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};
use datafusion::physical_expr_common::physical_expr::is_volatile;

use crate::functions::distinct_views;

/// Fits expressions to a file's columns as DataFusion does, and has those of one column of text worked out once a value.
#[derive(Debug)]
pub(crate) struct OncePerValue;

impl PhysicalExprAdapterFactory for OncePerValue {
    fn create(&self, table: SchemaRef, file: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let fitting = DefaultPhysicalExprAdapterFactory.create(table, Arc::clone(&file))?;
        Ok(Arc::new(Adapter { fitting, file }))
    }
}

#[derive(Debug)]
struct Adapter {
    fitting: Arc<dyn PhysicalExprAdapter>,
    file: SchemaRef,
}

impl PhysicalExprAdapter for Adapter {
    fn rewrite(&self, expression: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let fitted = self.fitting.rewrite(expression)?;
        let wrap = |node: Arc<dyn PhysicalExpr>| match OfOneText::new(&node) {
            Some(once) if self.is_text(&once.column) => {
                Ok(Transformed::new(Arc::new(once) as Arc<dyn PhysicalExpr>, true, TreeNodeRecursion::Jump))
            }
            _ => Ok(Transformed::no(node)),
        };
        fitted.transform_down(wrap).data()
    }
}

impl Adapter {
    fn is_text(&self, column: &Column) -> bool {
        self.file.fields().get(column.index()).is_some_and(|field| field.data_type() == &DataType::Utf8View)
    }
}

/// An expression that sees nothing of a row but one column of text.
#[derive(Debug)]
struct OfOneText {
    expression: Arc<dyn PhysicalExpr>,
    column: Column,
    way: Way,
}

/// How its results are had.
#[derive(Debug)]
enum Way {
    /// Is the column this text, or is it not?
    Comparison { text: String, equal: bool },
    /// This, where the column stands alone.
    OnceAValue(Arc<dyn PhysicalExpr>),
}

impl OfOneText {
    /// `None` if the expression sees more, or so little that it is not worth it.
    fn new(expression: &Arc<dyn PhysicalExpr>) -> Option<OfOneText> {
        let node = expression.as_ref();
        if node.is::<Column>() || node.is::<IsNullExpr>() || node.is::<IsNotNullExpr>() {
            return None;
        }
        let mut columns = collect_columns(expression).into_iter();
        let (Some(column), None) = (columns.next(), columns.next()) else { return None };
        if DynamicFilterTracking::classify(expression).contains_dynamic_filter() || is_volatile(expression) {
            return None;
        }
        let way = match comparison(node) {
            Some((text, equal)) => Way::Comparison { text, equal },
            None => Way::OnceAValue(alone(expression).ok()?),
        };
        Some(OfOneText { expression: Arc::clone(expression), column, way })
    }
}

/// The text that a column is compared with, and whether it is to be that.
fn comparison(node: &dyn PhysicalExpr) -> Option<(String, bool)> {
    let node = node.downcast_ref::<BinaryExpr>()?;
    let equal = match node.op() {
        Operator::Eq => true,
        Operator::NotEq => false,
        _ => return None,
    };
    node.left().downcast_ref::<Column>()?;
    match node.right().downcast_ref::<Literal>()?.value() {
        ScalarValue::Utf8View(Some(text)) => Some((text.clone(), equal)),
        _ => None,
    }
}

/// The expression, asked of a batch that has its column and no other.
fn alone(expression: &Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
    let first = |node: Arc<dyn PhysicalExpr>| {
        Ok(match node.downcast_ref::<Column>() {
            Some(column) => Transformed::yes(Arc::new(Column::new(column.name(), 0)) as Arc<dyn PhysicalExpr>),
            None => Transformed::no(node),
        })
    };
    Arc::clone(expression).transform_up(first).data()
}

/// Which rows are the text (or are not). A short text is in its view; of a longer one the view has the length and the
/// first four bytes, and rows of the same view are the same.
fn compare(column: &StringViewArray, text: &str, equal: bool) -> BooleanArray {
    let views = column.views();
    let inside = u32::try_from(text.len()).is_ok_and(|length| length <= 12);
    let sought = make_view(text.as_bytes(), 0, 0);
    let found = if inside {
        BooleanBuffer::collect_bool(views.len(), |row| (views[row] == sought) == equal)
    } else {
        let mut last = None;
        BooleanBuffer::collect_bool(views.len(), |row| {
            let view = views[row];
            let is_text = view as u64 == sought as u64
                && match last {
                    Some((known, is_text)) if known == view => is_text,
                    _ => last.insert((view, column.value(row) == text)).1,
                };
            is_text == equal
        })
    };
    BooleanArray::new(found, column.nulls().cloned())
}

impl PartialEq for OfOneText {
    fn eq(&self, other: &Self) -> bool {
        self.expression.eq(&other.expression)
    }
}

impl Eq for OfOneText {}

impl Hash for OfOneText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.expression.hash(state);
    }
}

impl PhysicalExpr for OfOneText {
    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.expression.return_field(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        // Whether a constant can be made of it is asked with a batch that has no columns.
        let Some(texts) = batch.columns().get(self.column.index()).and_then(|column| column.as_string_view_opt())
        else {
            return self.expression.evaluate(batch);
        };
        let expression = match &self.way {
            Way::Comparison { text, equal } => {
                return Ok(ColumnarValue::Array(Arc::new(compare(texts, text, *equal))));
            }
            Way::OnceAValue(expression) => expression,
        };
        let Some((firsts, rows)) = distinct_views(texts) else { return self.expression.evaluate(batch) };
        let field = Field::new(self.column.name(), DataType::Utf8View, true);
        let values = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![take(texts, &firsts, None)?])?;
        Ok(match expression.evaluate(&values)? {
            ColumnarValue::Array(results) => ColumnarValue::Array(take(&results, &rows, None)?),
            constant @ ColumnarValue::Scalar(_) => constant,
        })
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.expression]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let expression = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.expression));
        Ok(match OfOneText::new(&expression) {
            Some(once) => Arc::new(once),
            None => expression,
        })
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expression.fmt_sql(f)
    }

    /// What statistics, pages and bloom filters are asked: the expression as it was written.
    fn snapshot(&self) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        Ok(Some(Arc::clone(&self.expression)))
    }
}

impl fmt::Display for OfOneText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expression.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::common::DFSchema;
    use datafusion::physical_expr::PhysicalExprSimplifier;
    use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
    use datafusion::prelude::{Expr, SessionContext};
    use proptest::prelude::*;

    use super::*;

    fn schema() -> SchemaRef {
        let text = |name| Field::new(name, DataType::Utf8View, true);
        Arc::new(Schema::new(vec![text("event_name"), text("error_code"), Field::new("rows", DataType::Int64, true)]))
    }

    /// A condition as the engine has it, and as a file is asked it.
    fn condition(sql: &str) -> (Arc<dyn PhysicalExpr>, Arc<dyn PhysicalExpr>) {
        let (context, schema) = (SessionContext::new(), schema());
        let columns = DFSchema::try_from(Arc::clone(&schema)).expect("columns");
        let parsed: Expr = context.parse_sql_expr(sql, &columns).expect(sql);
        let coerced = context.create_physical_expr(parsed, &columns).expect(sql);
        let coerced = PhysicalExprSimplifier::new(&schema).simplify(coerced).expect(sql);
        let adapter = OncePerValue.create(Arc::clone(&schema), schema).expect("an adapter");
        let asked = adapter.rewrite(Arc::clone(&coerced)).expect(sql);
        (coerced, asked)
    }

    fn wrapped(expression: &Arc<dyn PhysicalExpr>) -> Vec<String> {
        let mut found = Vec::new();
        let visit = |node: &Arc<dyn PhysicalExpr>| {
            if let Some(once) = node.downcast_ref::<OfOneText>() {
                found.push(once.to_string());
                return Ok(TreeNodeRecursion::Jump);
            }
            Ok(TreeNodeRecursion::Continue)
        };
        expression.apply(visit).expect("a walk");
        found
    }

    #[test]
    fn what_sees_one_text_is_worked_out_once() {
        for (sql, expected) in [
            ("event_name = 'GetUser'", vec!["event_name@0 = GetUser"]),
            ("event_name <> 'a' AND error_code = 'b'", vec!["event_name@0 != a", "error_code@1 = b"]),
            ("event_name LIKE 'a%' AND event_name <> 'ab'", vec!["event_name@0 LIKE a% AND event_name@0 != ab"]),
            ("event_name = error_code", vec![]),
            ("error_code IS NOT NULL", vec![]),
            ("rows = 4", vec![]),
            ("event_name = 'a' OR rows = 4", vec!["event_name@0 = a"]),
            ("event_name = 'a' AND random() < 2", vec!["event_name@0 = a"]),
        ] {
            assert_eq!(wrapped(&condition(sql).1), expected, "{sql}");
        }
    }

    #[test]
    fn statistics_are_asked_what_was_written() {
        for sql in ["event_name = 'GetUser'", "event_name IN ('a', 'b') AND rows > 3", "event_name LIKE 'Get%'"] {
            let (written, asked) = condition(sql);
            assert!(!wrapped(&asked).is_empty(), "{sql}");
            let pruning = |of| {
                let built = PruningPredicateBuilder::new().with_file_schema(schema()).try_build(of).expect(sql);
                (built.predicate_expr().to_string(), built.literal_guarantees().to_vec())
            };
            assert_eq!(pruning(written), pruning(asked), "{sql}");
        }
    }

    const LONG: &str = "AttachManagedPolicyToPermissionSet";

    fn texts() -> impl Strategy<Value = Vec<Option<String>>> {
        // Short and long ones, of one length, of one beginning, and one that ends at the twelfth byte.
        let text = prop::sample::select(vec![
            "",
            "a",
            "ab",
            "GetUser",
            "GetUsers",
            "twelve bytes",
            "twelve bytez",
            LONG,
            "AttachManagedPolicyToPermissionGet",
            "AttachManagedPolicy",
            "é漢字",
            "%",
        ]);
        prop::collection::vec(prop::option::weighted(0.8, text.prop_map(str::to_owned)), 0..400)
    }

    /// As Parquet gives them, rows that say the same with one view; or each with its own.
    fn column(texts: &[Option<String>], shared: bool) -> StringViewArray {
        let mut builder = datafusion::arrow::array::StringViewBuilder::new();
        if shared {
            builder = builder.with_deduplicate_strings();
        }
        texts.iter().for_each(|text| builder.append_option(text.as_deref()));
        builder.finish()
    }

    proptest! {
        #[test]
        fn once_a_value_is_what_each_row_says(names in texts(), shared in any::<bool>(), from in 0usize..40) {
            let rows = names.len();
            let name = column(&names, shared).slice(from.min(rows), rows - from.min(rows));
            let codes = column(&names.iter().rev().cloned().collect::<Vec<_>>(), shared).slice(0, name.len());
            let numbers = datafusion::arrow::array::Int64Array::from_iter_values(0..name.len() as i64);
            let columns: Vec<Arc<dyn Array>> = vec![Arc::new(name), Arc::new(codes), Arc::new(numbers)];
            let batch = RecordBatch::try_new(schema(), columns).expect("a batch");
            for sql in [
                "event_name = 'GetUser'", "event_name <> 'GetUser'", "event_name = ''", "event_name = 'twelve bytes'",
                "event_name <> 'twelve bytes'", &format!("event_name = '{LONG}'"), &format!("event_name <> '{LONG}'"),
                "event_name LIKE 'Get%'", "event_name NOT LIKE '%a%'", "nullif(event_name, 'a') = 'ab'",
                "event_name IN ('a', 'ab', 'GetUser')", "event_name NOT IN ('a', 'twelve bytez')", "event_name > 'b'",
                "error_code = 'a' AND event_name <> 'ab'", "event_name IS DISTINCT FROM 'ab'", "upper(event_name)",
                "CASE WHEN event_name = 'ab' THEN error_code ELSE 'none' END", "event_name = 'a' OR rows > 3",
                "event_name IS NULL OR event_name = 'a'",
            ] {
                let (written, asked) = condition(sql);
                let answer = |of: Arc<dyn PhysicalExpr>| of.evaluate(&batch)?.into_array(batch.num_rows());
                prop_assert_eq!(&answer(asked)?, &answer(written)?, "{}", sql);
            }
        }
    }

    #[test]
    fn a_batch_without_columns_is_no_constant() {
        let (_, asked) = condition("event_name = 'a'");
        let nothing = RecordBatch::new_empty(Arc::new(Schema::empty()));
        assert!(asked.evaluate(&nothing).is_err());
    }
}
