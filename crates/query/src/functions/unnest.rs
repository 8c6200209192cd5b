//! `UNNEST` beside the table whose columns it reads: of arrays, of arrays of rows, of maps, with ordinality.
//!
//! The dialect groups an `UNNEST` with what stands before it (`a CROSS JOIN UNNEST(a.b) AS t(c)`); here that group is
//! planned as one projection that DataFusion's own operator unnests.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, NullHandling, Result, TableReference, UnnestOptions, plan_err};
use datafusion::functions::expr_fn::get_field;
use datafusion::functions::expr_fn::greatest;
use datafusion::functions_nested::expr_fn::{array_length, map_keys, map_values, range};
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, cast, lit};
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, Join, JoinConstraint, JoinOperator, TableAlias, TableFactor, Value,
};

/// The name that columns have while they are unnested.
const PLACEHOLDER: &str = "__unnest";

/// Plans `UNNEST`.
#[derive(Debug)]
pub(crate) struct Unnest;

impl RelationPlanner for Unnest {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        match relation {
            TableFactor::UNNEST { alias, array_exprs, with_ordinality, with_offset: false, .. } => {
                let left = LogicalPlanBuilder::empty(true).build()?;
                let arrays = Arrays { exprs: array_exprs, alias, ordinality: with_ordinality, keep: false };
                let plan = arrays.beside(left, context)?;
                Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None))))
            }
            TableFactor::NestedJoin { mut table_with_joins, alias: None }
                if table_with_joins.joins.last().is_some_and(is_unnest) =>
            {
                let Some(join) = table_with_joins.joins.pop() else { return plan_err!("a join is missing") };
                let arrays = Arrays::of(join)?;
                let left = if table_with_joins.joins.is_empty() {
                    context.plan(table_with_joins.relation)?
                } else {
                    context.plan(TableFactor::NestedJoin { table_with_joins, alias: None })?
                };
                let plan = arrays.beside(left, context)?;
                Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None))))
            }
            other => Ok(RelationPlanning::Original(Box::new(other))),
        }
    }
}

fn is_unnest(join: &Join) -> bool {
    matches!(join.relation, TableFactor::UNNEST { .. })
}

/// What one `UNNEST` reads and how its columns are called.
struct Arrays {
    exprs: Vec<SqlExpr>,
    alias: Option<TableAlias>,
    ordinality: bool,
    /// Whether a row without elements stays, with nulls: a left join.
    keep: bool,
}

/// A column that comes out of an `UNNEST`.
struct Unnested {
    list: Expr,
    name: String,
    /// Whether the elements are JSON.
    json: bool,
    /// The fields that a row of the array gives one column each.
    fields: Vec<String>,
}

impl Arrays {
    fn of(join: Join) -> Result<Arrays> {
        let TableFactor::UNNEST { alias, array_exprs, with_ordinality, .. } = join.relation else {
            return plan_err!("UNNEST is missing");
        };
        let keep = match &join.join_operator {
            JoinOperator::CrossJoin(_) => false,
            JoinOperator::Join(on) | JoinOperator::Inner(on) if is_true(on) => false,
            JoinOperator::Left(on) | JoinOperator::LeftOuter(on) if is_true(on) => true,
            _ => return plan_err!("UNNEST is joined by CROSS JOIN, or by LEFT JOIN … ON TRUE"),
        };
        Ok(Arrays { exprs: array_exprs, alias, ordinality: with_ordinality, keep })
    }

    fn beside(self, left: LogicalPlan, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
        let qualifier = self.alias.as_ref().map(|alias| context.normalize_ident(alias.name.clone()));
        let qualifier = qualifier.map(TableReference::bare);
        let names = self.alias.iter().flat_map(|alias| &alias.columns);
        let names: Vec<String> = names.map(|column| context.normalize_ident(column.name.clone())).collect();
        let mut exprs = Vec::with_capacity(self.exprs.len());
        for expr in self.exprs {
            exprs.push(context.sql_to_expr(expr, left.schema())?);
        }
        let mut unnested = columns(exprs, &left, names.len().saturating_sub(usize::from(self.ordinality)))?;
        if self.ordinality {
            let longest = unnested.iter().map(|column| array_length(column.list.clone())).collect();
            let longest = cast(greatest(longest), DataType::Int64);
            let list = range(lit(1i64), longest + lit(1i64), lit(1i64));
            unnested.push(Unnested { list, name: "ordinality".to_owned(), json: false, fields: Vec::new() });
        }
        let count: usize = unnested.iter().map(|column| column.fields.len().max(1)).sum();
        if !names.is_empty() && names.len() != count {
            return plan_err!("UNNEST gives {count} columns, and its alias names {}", names.len());
        }

        let kept: Vec<Expr> = left.schema().columns().into_iter().map(Expr::Column).collect();
        let lists = unnested.iter().enumerate();
        let lists = lists.map(|(at, column)| column.list.clone().alias(format!("{PLACEHOLDER}_{at}")));
        let projected: Vec<Expr> = kept.iter().cloned().chain(lists).collect();
        let placeholders: Vec<Column> =
            (0..unnested.len()).map(|at| Column::new_unqualified(format!("{PLACEHOLDER}_{at}"))).collect();
        let options = UnnestOptions {
            null_handling: if self.keep { NullHandling::PreserveAndExpandEmpty } else { NullHandling::Drop },
            recursions: Vec::new(),
        };
        let plan = LogicalPlanBuilder::from(left)
            .project(projected)?
            .unnest_columns_with_options(placeholders.clone(), options)?;

        let mut names = names.into_iter();
        let mut named = kept;
        for (column, placeholder) in unnested.into_iter().zip(placeholders) {
            let element = Expr::Column(placeholder);
            if column.fields.is_empty() {
                let name = names.next().unwrap_or(column.name);
                let metadata = column.json.then(super::types::json_mark);
                named.push(element.alias_qualified_with_metadata(qualifier.clone(), name, metadata));
                continue;
            }
            for field in column.fields {
                let value = get_field(element.clone(), field.clone());
                named.push(value.alias_qualified(qualifier.clone(), names.next().unwrap_or(field)));
            }
        }
        plan.project(named)?.build()
    }
}

/// The columns that come out of arrays and maps. Rows in an array give a column a field, unless the alias names but one.
fn columns(exprs: Vec<Expr>, left: &LogicalPlan, named: usize) -> Result<Vec<Unnested>> {
    let only = exprs.len() == 1;
    let mut unnested = Vec::new();
    for expr in exprs {
        let plain = |list: Expr, name: &str| Unnested { list, name: name.to_owned(), json: false, fields: Vec::new() };
        match expr.get_type(left.schema().as_ref())? {
            DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
                let fields = match element.data_type() {
                    DataType::Struct(fields) if !(only && named == 1) => {
                        fields.iter().map(|field| field.name().clone()).collect()
                    }
                    _ => Vec::new(),
                };
                let json = super::types::is_json(&element);
                unnested.push(Unnested { list: expr, name: "unnest".to_owned(), json, fields });
            }
            DataType::Map(_, _) => {
                unnested.push(plain(map_keys(expr.clone()), "key"));
                unnested.push(plain(map_values(expr), "value"));
            }
            other => return plan_err!("UNNEST takes arrays and maps, not {}", super::types::trino_name(&other)),
        }
    }
    Ok(unnested)
}

fn is_true(on: &JoinConstraint) -> bool {
    match on {
        JoinConstraint::None => true,
        JoinConstraint::On(SqlExpr::Value(value)) => matches!(value.value, Value::Boolean(true)),
        _ => false,
    }
}
