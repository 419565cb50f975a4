//! Expressions of computed fields: the syntax of CEL, computed with exact decimals, without loops and without I/O.
//!
//! The text is parsed by the crate `cel` and turned into a tree that knows where each field is read, so that everything that can be wrong
//! before the first row is told then. What is computed is ours: CEL keeps integers and binary fractions apart and rounds the latter.

mod compile;
mod evaluate;
mod function;
mod value;

use rust_decimal::Decimal;

use self::function::Function;
use crate::FieldKind;

/// The longest expression, in bytes.
pub(super) const LONGEST: usize = 1000;

/// How deep parentheses, calls and choices may stand in each other.
pub(super) const DEEPEST: u16 = 32;

/// An expression that was checked and is ready to be computed.
#[derive(Clone, Debug)]
pub(super) struct Expression {
    root: Node,
    /// What it reads; nodes name these by their place.
    pub(super) reads: Vec<Read>,
}

/// A value an expression reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// What the mapping made for a field of the target.
    Field(Box<str>),
    /// A field of the record, as the source has it.
    Source(Box<str>),
}

/// Something wrong with an expression, with what to do about it where that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) problem: String,
    pub(super) hint: Option<String>,
}

#[derive(Clone, Debug)]
enum Node {
    Null,
    Bool(bool),
    Number(Decimal),
    Text(Box<str>),
    Read(usize),
    /// Whether a field has a value.
    Has(usize),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    Choose(Box<[Node; 3]>),
    Binary(Operator, Box<[Node; 2]>),
    /// Whether the first is among the others.
    In(Vec<Node>),
    /// The first that has a value.
    Coalesce(Vec<Node>),
    Call(Function, Vec<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Expression {
    /// The type of its results, where the text alone tells.
    pub(super) fn kind(&self) -> Option<FieldKind> {
        self.root.kind()
    }
}

impl Node {
    fn kind(&self) -> Option<FieldKind> {
        let alike = |nodes: &[Self]| {
            let mut kinds = nodes.iter().filter(|node| !matches!(node, Self::Null)).map(Self::kind);
            let first = kinds.next()??;
            kinds.all(|kind| kind == Some(first)).then_some(first)
        };
        match self {
            Self::Null | Self::Read(_) => None,
            Self::Bool(_) | Self::Has(_) | Self::Not(_) | Self::And(_) | Self::Or(_) | Self::In(_) => Some(FieldKind::Boolean),
            Self::Number(_) | Self::Negate(_) => Some(FieldKind::Number),
            Self::Text(_) => Some(FieldKind::Text),
            Self::Choose(nodes) => alike(&nodes[1..]),
            Self::Coalesce(nodes) => alike(nodes),
            // A sum is of what one of its sides is known to be.
            Self::Binary(Operator::Add, sides) => sides.iter().find_map(Self::kind),
            Self::Binary(Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Remainder, _) => Some(FieldKind::Number),
            Self::Binary(..) => Some(FieldKind::Boolean),
            Self::Call(function, _) => Some(function.kind()),
        }
    }
}

#[cfg(test)]
mod tests;
