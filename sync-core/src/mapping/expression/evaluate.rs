//! Computing an expression for one row.

use std::cmp::Ordering;

use rust_decimal::Decimal;

use super::{Expression, Node, Operator, Read, value::Value};

/// Why there is no value.
enum Stop {
    /// It read a field the record does not have.
    Absent,
    /// With the reason.
    Failed(String),
}

impl From<String> for Stop {
    fn from(reason: String) -> Self {
        Self::Failed(reason)
    }
}

impl Expression {
    /// The result as JSON text; `None` when it had to read a field the record does not have, about which it then says nothing. `cell` answers
    /// what stands at a place of [`reads`](Self::reads).
    ///
    /// # Errors
    /// The reason, in words that follow the name of the field.
    pub(in crate::mapping) fn evaluate<'v>(&self, cell: &dyn Fn(usize) -> Option<&'v str>) -> Result<Option<String>, String> {
        match (Row { reads: &self.reads, cell }).value(&self.root) {
            Ok(value) => Ok(Some(value.json())),
            Err(Stop::Absent) => Ok(None),
            Err(Stop::Failed(reason)) => Err(reason),
        }
    }
}

struct Row<'e, 'v> {
    reads: &'e [Read],
    cell: &'e dyn Fn(usize) -> Option<&'v str>,
}

impl<'v> Row<'_, 'v> {
    fn value(&self, node: &Node) -> Result<Value<'v>, Stop> {
        Ok(match node {
            Node::Null => Value::Null,
            Node::Bool(yes) => Value::Bool(*yes),
            Node::Number(number) => Value::Number(*number),
            Node::Text(text) => Value::Text(text.to_string().into()),
            Node::Read(at) => {
                let json = (self.cell)(*at).ok_or(Stop::Absent)?;
                Value::read(json).map_err(|reason| match &self.reads[*at] {
                    Read::Field(name) | Read::Source(name) => format!("{name} {reason}"),
                })?
            }
            Node::Has(at) => Value::Bool((self.cell)(*at).is_some_and(|json| !matches!(json, "null" | "\"\""))),
            Node::Not(side) => Value::Bool(!self.value(side)?.truth("!")?),
            Node::Negate(side) => Value::Number(-self.value(side)?.number("-")?),
            // As people write guards: the second side counts only where the first leaves it open.
            Node::And(sides) => Value::Bool(self.value(&sides[0])?.truth("&&")? && self.value(&sides[1])?.truth("&&")?),
            Node::Or(sides) => Value::Bool(self.value(&sides[0])?.truth("||")? || self.value(&sides[1])?.truth("||")?),
            Node::Choose(sides) => {
                let yes = self.value(&sides[0])?.truth("?")?;
                self.value(&sides[if yes { 1 } else { 2 }])?
            }
            Node::Binary(operator, sides) => operator.compute(&self.value(&sides[0])?, &self.value(&sides[1])?)?,
            Node::In(nodes) => {
                let wanted = self.value(&nodes[0])?;
                for node in &nodes[1..] {
                    if equal(&wanted, &self.value(node)?)? {
                        return Ok(Value::Bool(true));
                    }
                }
                Value::Bool(false)
            }
            Node::Coalesce(nodes) => {
                let mut last = Value::Null;
                for node in nodes {
                    match self.value(node) {
                        Ok(value) if value.is_something() => return Ok(value),
                        Ok(value) => last = value,
                        Err(Stop::Absent) => {}
                        Err(failed) => return Err(failed),
                    }
                }
                last
            }
            Node::Call(function, nodes) => {
                let arguments = nodes.iter().map(|node| self.value(node)).collect::<Result<Vec<_>, _>>()?;
                function.call(&arguments)?
            }
        })
    }
}

impl Operator {
    fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    fn compute<'v>(self, left: &Value<'v>, right: &Value<'v>) -> Result<Value<'v>, String> {
        Ok(match self {
            Self::Add if matches!((left, right), (Value::Text(_), _) | (_, Value::Text(_))) => {
                Value::Text([left.text("+ with a text")?, right.text("+ with a text")?].concat().into())
            }
            Self::Add | Self::Subtract | Self::Multiply | Self::Divide | Self::Remainder => {
                Value::Number(self.arithmetic(left.number(self.sign())?, right.number(self.sign())?)?)
            }
            Self::Equal => Value::Bool(equal(left, right)?),
            Self::Unequal => Value::Bool(!equal(left, right)?),
            Self::Less => Value::Bool(order(self, left, right)?.is_lt()),
            Self::LessOrEqual => Value::Bool(order(self, left, right)?.is_le()),
            Self::Greater => Value::Bool(order(self, left, right)?.is_gt()),
            Self::GreaterOrEqual => Value::Bool(order(self, left, right)?.is_ge()),
        })
    }

    /// Sums, differences and products are exact or refused; only a quotient is rounded, to 28 digits.
    fn arithmetic(self, left: Decimal, right: Decimal) -> Result<Decimal, String> {
        let places = match self {
            Self::Add | Self::Subtract => left.scale().max(right.scale()),
            Self::Multiply => left.scale() + right.scale(),
            _ => 0,
        };
        let result = match self {
            Self::Add => left.checked_add(right),
            Self::Subtract => left.checked_sub(right),
            Self::Multiply => left.checked_mul(right),
            _ if right.is_zero() => return Err(format!("{} by zero", self.sign())),
            Self::Divide => left.checked_div(right),
            _ => left.checked_rem(right),
        };
        // Fewer places than the digits need are what rounding left over; zero needs none.
        let rounded = |result: &Decimal| result.scale() < places && !(left.is_zero() || right.is_zero());
        result.filter(|result| !rounded(result)).ok_or_else(|| format!("the result of {} has more than 28 digits", self.sign()))
    }
}

fn equal(left: &Value<'_>, right: &Value<'_>) -> Result<bool, String> {
    match (left, right) {
        (Value::Null, _) | (_, Value::Null) => Ok(left == right),
        (Value::Nested(_), _) | (_, Value::Nested(_)) => Err("objects and lists cannot be compared".into()),
        _ if std::mem::discriminant(left) == std::mem::discriminant(right) => Ok(left == right),
        _ => Err(format!("== compares {} with {}", left.what(), right.what())),
    }
}

fn order(operator: Operator, left: &Value<'_>, right: &Value<'_>) -> Result<Ordering, String> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => Ok(left.cmp(right)),
        (Value::Text(left), Value::Text(right)) => Ok(left.cmp(right)),
        _ => Err(format!("{} compares {} with {}", operator.sign(), left.what(), right.what())),
    }
}
