//! `try(…)`: whatever can fail inside gives null instead.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{BinaryOperator, CastKind, Expr, Ident, ObjectName, VisitMut, VisitorMut};

use super::super::build;
use crate::functions::{TRY_PREFIX, is_fallible};

/// Makes an expression give null where it would fail.
pub(crate) fn lenient(mut expr: Expr) -> Expr {
    let _ = VisitMut::visit(&mut expr, &mut Lenient);
    expr
}

struct Lenient;

impl VisitorMut for Lenient {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Cast { kind, .. } => *kind = CastKind::TryCast,
            Expr::BinaryOp { op: BinaryOperator::Divide | BinaryOperator::Modulo, right, .. } => {
                let divisor = super::take(right);
                **right = build::call("nullif", vec![divisor, build::number(0)]);
            }
            Expr::Function(function) => {
                if let Some(name) = super::calls::simple_name(function) {
                    let lenient = match name.as_str() {
                        "arrow_cast" => "arrow_try_cast".to_owned(),
                        name if is_fallible(name) => format!("{TRY_PREFIX}{name}"),
                        _ => return ControlFlow::Continue(()),
                    };
                    function.name = ObjectName::from(vec![Ident::new(lenient)]);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
