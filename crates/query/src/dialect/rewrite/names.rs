//! Names of columns: case, and what an expression is called once it was rewritten.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Ident, Query, Select, SelectItem, TableAlias, TableFactor, Visitor};

/// The names that a statement defines itself.
#[derive(Debug, Default)]
pub(crate) struct Defined {
    /// Common table expressions, lower case.
    tables: BTreeSet<String>,
    /// Names in quotes, as they are written.
    quoted: BTreeSet<String>,
}

impl Defined {
    /// Whether a table is one of the statement's own.
    pub(crate) fn has_table(&self, name: &str) -> bool {
        self.tables.contains(name)
    }

    /// Puts a quoted name in lower case, as every column of ours is, unless the statement itself defines it so.
    pub(crate) fn lower(&self, name: &mut Ident) {
        if name.quote_style.is_some() && !self.quoted.contains(&name.value) {
            name.value = name.value.to_lowercase();
        }
    }

    fn define(&mut self, name: &Ident) {
        if name.quote_style.is_some() {
            self.quoted.insert(name.value.clone());
        }
    }

    fn define_alias(&mut self, alias: Option<&TableAlias>) {
        let Some(alias) = alias else { return };
        self.define(&alias.name);
        alias.columns.iter().for_each(|column| self.define(&column.name));
    }
}

impl Visitor for Defined {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.tables.insert(table.alias.name.value.to_lowercase());
            self.define_alias(Some(&table.alias));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        for item in &select.projection {
            if let SelectItem::ExprWithAlias { alias, .. } = item {
                self.define(alias);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<()> {
        match table {
            TableFactor::Table { alias, .. }
            | TableFactor::Derived { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::NestedJoin { alias, .. } => self.define_alias(alias.as_ref()),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Names what was rewritten as it was written, and tells apart what has the same name.
pub(crate) fn name_rewritten(projection: &mut [SelectItem], written: Vec<Option<String>>) {
    let mut seen = BTreeSet::new();
    for (item, written) in projection.iter_mut().zip(written) {
        let (SelectItem::UnnamedExpr(expr), Some(written)) = (&mut *item, written) else { continue };
        let rewritten = expr.to_string() != written;
        let mut name = written.clone();
        let mut count = 1;
        while !seen.insert(name.clone()) {
            count += 1;
            name = format!("{written} ({count})");
        }
        if rewritten || count > 1 {
            let expr = std::mem::replace(expr, super::build::null());
            *item = SelectItem::ExprWithAlias { expr: unnested(expr), alias: Ident::with_quote('"', name) };
        }
    }
}

fn unnested(expr: Expr) -> Expr {
    match expr {
        Expr::Nested(inner) => *inner,
        other => other,
    }
}
