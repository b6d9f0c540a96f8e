//! A checked definition, executed by DataFusion on a centre's patients.
//!
//! All numbers are computed as `Float64`, so that no coercion rule of SQL is in play. DataFusion
//! orders NaN above all numbers and -0 below 0; every calculated number therefore passes through
//! `known`, which turns what is not finite into a missing value and -0 into 0.

use super::{Arithmetic, Comparison, Condition, Function, Number};
use crate::dataset::Dataset;
use crate::error::CohortError;
use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, Float64Array};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, DataFusionError};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, Operator, ScalarUDF, Volatility, cast, create_udf, lit,
};
use datafusion::physical_expr::create_physical_expr;
use datafusion::prelude::Column;
use std::sync::Arc;

pub(super) fn apply(condition: &Condition, dataset: &Dataset) -> Result<Dataset, CohortError> {
    let mut names = Vec::new();
    condition.collect_names(&mut names);
    for name in &names {
        // Names the variable, where DataFusion would only say that a column is absent.
        dataset.has_column(name)?;
    }
    let mask = evaluate(condition, dataset).map_err(|_| CohortError::Internal {
        what: "a checked cohort definition could not be executed",
    })?;
    let batch = filter_record_batch(dataset.batch(), &mask).map_err(|_| CohortError::Internal {
        what: "the patients of a cohort could not be selected",
    })?;
    Ok(dataset.with_batch(batch))
}

fn evaluate(condition: &Condition, dataset: &Dataset) -> Result<BooleanArray, DataFusionError> {
    let batch = dataset.batch();
    let schema = DFSchema::try_from(batch.schema())?;
    let expression = truth(condition);
    let props = ExecutionProps::new();
    let context = PhysicalPlanningContext::default();
    let physical = create_physical_expr(&expression, &schema, &props, &context)?;
    let values = physical.evaluate(batch)?.into_array(batch.num_rows())?;
    let mask = values.as_any().downcast_ref::<BooleanArray>().cloned();
    mask.ok_or_else(|| DataFusionError::Internal("a condition is not boolean".to_owned()))
}

fn column(name: &str) -> Expr {
    Expr::Column(Column::from_name(name))
}

fn truth(condition: &Condition) -> Expr {
    match condition {
        Condition::And(parts) => balanced(parts, Operator::And),
        Condition::Or(parts) => balanced(parts, Operator::Or),
        Condition::Not(inner) => Expr::Not(Box::new(truth(inner))),
        Condition::Constant(value) => lit(*value),
        Condition::Flag { name, boolean } => {
            if *boolean {
                column(name)
            } else {
                binary(column(name), Operator::Eq, lit(1_i64))
            }
        }
        Condition::Compare(comparison, left, right) => {
            binary(number(left), operator(*comparison), number(right))
        }
        Condition::Levels { name, levels, negated } => {
            let levels = levels.iter().map(|(_, index)| lit(*index));
            column(name).in_list(levels.collect(), *negated)
        }
        Condition::OneOf { number: of, values, negated } => {
            let values = values.iter().map(|value| lit(*value));
            number(of).in_list(values.collect(), *negated)
        }
        Condition::Between { number: of, low, high, negated } => {
            let above = binary(number(of), Operator::GtEq, number(low));
            let below = binary(number(of), Operator::LtEq, number(high));
            let within = binary(above, Operator::And, below);
            if *negated { Expr::Not(Box::new(within)) } else { within }
        }
        Condition::Missing { name, negated } => {
            if *negated {
                column(name).is_not_null()
            } else {
                column(name).is_null()
            }
        }
    }
}

fn binary(left: Expr, operator: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), operator, Box::new(right)))
}

/// A long chain as a flat tree, since DataFusion walks trees by recursion.
fn balanced(parts: &[Condition], operator: Operator) -> Expr {
    match parts {
        [] => lit(operator == Operator::And),
        [only] => truth(only),
        _ => {
            let (first, second) = parts.split_at(parts.len() / 2);
            binary(balanced(first, operator), operator, balanced(second, operator))
        }
    }
}

fn operator(comparison: Comparison) -> Operator {
    match comparison {
        Comparison::Equal => Operator::Eq,
        Comparison::Unequal => Operator::NotEq,
        Comparison::Less => Operator::Lt,
        Comparison::LessEqual => Operator::LtEq,
        Comparison::Greater => Operator::Gt,
        Comparison::GreaterEqual => Operator::GtEq,
    }
}

fn number(of: &Number) -> Expr {
    match of {
        Number::Variable { name, .. } => cast(column(name), DataType::Float64),
        Number::Literal(value) => lit(*value),
        Number::Negative(inner) => known(binary(lit(0.0), Operator::Minus, number(inner))),
        Number::Arithmetic(arithmetic, left, right) => {
            let operator = match arithmetic {
                Arithmetic::Add => Operator::Plus,
                Arithmetic::Subtract => Operator::Minus,
                Arithmetic::Multiply => Operator::Multiply,
                Arithmetic::Divide => Operator::Divide,
            };
            known(binary(number(left), operator, number(right)))
        }
        Number::Call(function, arguments) => {
            let rule: Rule = match function {
                Function::Abs => |values| values.first().copied().flatten().map(f64::abs),
                Function::Coalesce => |values| values.iter().copied().flatten().next(),
                Function::Least => |values| values.iter().copied().flatten().reduce(f64::min),
                Function::Greatest => |values| values.iter().copied().flatten().reduce(f64::max),
            };
            let arguments: Vec<Expr> = arguments.iter().map(number).collect();
            patientwise(function.word(), rule, arguments.len()).call(arguments)
        }
    }
}

fn known(expression: Expr) -> Expr {
    let rule: Rule = |values| {
        let value = values.first().copied().flatten();
        value.filter(|value| value.is_finite()).map(|value| value + 0.0)
    };
    patientwise("known", rule, 1).call(vec![expression])
}

/// One patient's arguments to one patient's value.
type Rule = fn(&[Option<f64>]) -> Option<f64>;

/// A function of DataFusion that applies a rule patient by patient.
fn patientwise(name: &str, rule: Rule, arguments: usize) -> ScalarUDF {
    let apply = move |arguments: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        let columns: Option<Vec<&Float64Array>> =
            arrays.iter().map(|array| array.as_any().downcast_ref::<Float64Array>()).collect();
        let columns = columns
            .ok_or_else(|| DataFusionError::Internal("an argument is no number".to_owned()))?;
        let rows = columns.first().map_or(0, |column| column.len());
        let mut values = vec![None; columns.len()];
        let results = (0..rows).map(|row| {
            for (value, column) in values.iter_mut().zip(&columns) {
                *value = column.is_valid(row).then(|| column.value(row));
            }
            rule(&values)
        });
        let results: Float64Array = results.collect();
        Ok(ColumnarValue::Array(Arc::new(results) as ArrayRef))
    };
    create_udf(
        name,
        vec![DataType::Float64; arguments],
        DataType::Float64,
        Volatility::Immutable,
        Arc::new(apply),
    )
}
