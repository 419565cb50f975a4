//! From the text of an expression to what is computed.

use std::thread;

use cel::{
    Env, ParseError,
    common::ast::{Expr, IdedExpr, LiteralValue, operators},
};

use rust_decimal::Decimal;

use super::{DEEPEST, Expression, LONGEST, Node, Operator, Read, Wrong, function::Function, value::number_of};
use crate::mapping::likely::likely_of;

/// What the parser may use of the stack, in bytes. Its generated code takes much of it for each level.
const STACK: usize = 16 << 20;

impl Expression {
    /// Reads an expression over the fields named `known`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(in crate::mapping) fn compile(text: &str, known: &[&str]) -> Result<Self, Vec<Wrong>> {
        if text.trim().is_empty() {
            return Err(vec![wrong("is empty")]);
        }
        if text.len() > LONGEST {
            return Err(vec![wrong(format!("is longer than {LONGEST} bytes"))]);
        }
        // On a thread of its own: a mapping may come from anybody, and no text may take the host's stack or its thread along.
        thread::scope(|scope| {
            let parse = || Compiler { known, text, reads: Vec::new(), wrong: Vec::new() }.run();
            let parser = thread::Builder::new().name("expression".into()).stack_size(STACK).spawn_scoped(scope, parse);
            let parser = parser.map_err(|_| vec![wrong("could not be read: this machine starts no more threads")])?;
            parser.join().unwrap_or_else(|_| Err(vec![wrong("cannot be read")]))
        })
    }
}

fn wrong(problem: impl Into<String>) -> Wrong {
    Wrong { problem: problem.into(), hint: None }
}

struct Compiler<'a> {
    known: &'a [&'a str],
    text: &'a str,
    reads: Vec<Read>,
    wrong: Vec<Wrong>,
}

impl Compiler<'_> {
    fn run(mut self) -> Result<Expression, Vec<Wrong>> {
        // An environment of its own has no macros: what CEL makes loops of stays a call, and is refused as one nobody knows.
        let parser = Env::default().with_optional_support(false).parser().max_recursion_depth(DEEPEST);
        let tree = parser.parse(self.text).map_err(|errors| {
            // Beyond its limit the parser gives up in several ways at once.
            if errors.errors.iter().any(|error| error.msg.contains("Recursion limit")) {
                return vec![wrong(format!("is nested deeper than {DEEPEST}"))];
            }
            let told = |error: &ParseError| wrong(format!("cannot be read at character {}: {}", error.pos.1, error.msg));
            errors.errors.iter().take(3).map(told).collect()
        })?;
        let root = self.node(&tree);
        if self.wrong.is_empty() { Ok(Expression { root, reads: self.reads }) } else { Err(self.wrong) }
    }

    fn node(&mut self, tree: &IdedExpr) -> Node {
        match &tree.expr {
            Expr::Literal(literal) => self.literal(literal),
            Expr::Ident(name) => self.field(name),
            Expr::Call(call) => {
                // `name.lower()` is `lower(name)`.
                let arguments: Vec<&IdedExpr> = call.target.as_deref().into_iter().chain(&call.args).collect();
                self.call(&call.func_name, &arguments)
            }
            Expr::Select(_) => self.refused("reads a member with a point, which no value has"),
            Expr::List(_) => self.refused("has a list outside of `in`"),
            Expr::Map(_) | Expr::Struct(_) => self.refused("makes an object"),
            Expr::Comprehension(_) => self.refused("has a loop"),
            Expr::Unspecified => self.refused("cannot be read"),
        }
    }

    fn refused(&mut self, problem: impl Into<String>) -> Node {
        self.wrong.push(wrong(problem));
        Node::Null
    }

    fn literal(&mut self, literal: &LiteralValue) -> Node {
        match literal {
            LiteralValue::Null => Node::Null,
            LiteralValue::Boolean(yes) => Node::Bool(*yes.inner()),
            LiteralValue::Int(number) => Node::Number((*number.inner()).into()),
            LiteralValue::UInt(number) => Node::Number((*number.inner()).into()),
            LiteralValue::String(text) => Node::Text(text.inner().into()),
            LiteralValue::Double(rounded) => match self.digits(*rounded.inner()) {
                Some(number) => Node::Number(number),
                None => self.refused(format!("has the number {}, whose digits cannot all be kept; write number(\"…\")", rounded.inner())),
            },
            LiteralValue::Bytes(_) => self.refused("has bytes"),
        }
    }

    /// The digits of a number as they are written, which CEL has rounded to a binary fraction: those in the text that round to it.
    fn digits(&self, rounded: f64) -> Option<Decimal> {
        let part = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
        let mut found = None;
        for (at, _) in self.text.char_indices().filter(|(at, c)| {
            let begins = c.is_ascii_digit() || *c == '.';
            begins && !self.text[..*at].ends_with(|c: char| c.is_ascii_digit() || c == '.')
        }) {
            let rest = &self.text[at..];
            let longest = rest.find(|c| !part(c)).unwrap_or(rest.len());
            // The longest beginning that is a number: `1-2` is one, then another.
            let Some(written) = (1..=longest).rev().map(|end| &rest[..end]).find(|text| text.parse::<f64>().is_ok()) else { continue };
            if written.parse::<f64>().is_ok_and(|again| again == rounded.abs()) {
                let zero = if written.starts_with('.') { "0" } else { "" };
                let number = number_of(&format!("{zero}{written}"))?;
                if found.is_some_and(|found| found != number) {
                    return None;
                }
                found = Some(number);
            }
        }
        found.map(|number| if rounded.is_sign_negative() { -number } else { number })
    }

    fn field(&mut self, name: &str) -> Node {
        if !self.known.contains(&name) {
            let hint = match likely_of(name, self.known.iter().copied()) {
                Some(likely) => format!("did you mean {likely:?}?"),
                None => format!("there are: {}; a field of the record itself is source({name:?})", self.known.join(", ")),
            };
            self.wrong.push(Wrong { problem: format!("reads {name:?}, which is no field the mapping makes before it"), hint: Some(hint) });
        }
        Node::Read(self.read(Read::Field(name.into())))
    }

    fn read(&mut self, read: Read) -> usize {
        self.reads.iter().position(|known| *known == read).unwrap_or_else(|| {
            self.reads.push(read);
            self.reads.len() - 1
        })
    }

    fn call(&mut self, name: &str, arguments: &[&IdedExpr]) -> Node {
        if let (Some(operator), [left, right]) = (binary(name), arguments) {
            return Node::Binary(operator, Box::new([self.node(left), self.node(right)]));
        }
        match (name, arguments) {
            (operators::LOGICAL_NOT, [side]) => Node::Not(Box::new(self.node(side))),
            (operators::NEGATE, [side]) => Node::Negate(Box::new(self.node(side))),
            (operators::CONDITIONAL, [test, yes, no]) => Node::Choose(Box::new([self.node(test), self.node(yes), self.node(no)])),
            // One call holds a whole chain.
            (operators::LOGICAL_AND, [..]) => self.chain(arguments, Node::And),
            (operators::LOGICAL_OR, [..]) => self.chain(arguments, Node::Or),
            (operators::IN, [wanted, list]) => {
                let Expr::List(list) = &list.expr else { return self.refused("has `in` without a list that is written out") };
                let mut nodes = vec![self.node(wanted)];
                nodes.extend(list.elements.iter().map(|element| self.node(element)));
                Node::In(nodes)
            }
            ("has", [IdedExpr { expr: Expr::Ident(_), .. } | IdedExpr { expr: Expr::Call(_), .. }]) => match self.node(arguments[0]) {
                Node::Read(at) => Node::Has(at),
                _ => self.refused("has `has` of something that is no field"),
            },
            ("has", _) => self.refused("has `has` of something that is no field"),
            ("field" | "source", [IdedExpr { expr: Expr::Literal(LiteralValue::String(text)), .. }]) => match name {
                "field" => self.field(text.inner()),
                _ => Node::Read(self.read(Read::Source(text.inner().into()))),
            },
            ("field" | "source", _) => self.refused(format!("has {name} without one name in quotes")),
            ("coalesce", [_, ..]) => Node::Coalesce(arguments.iter().map(|argument| self.node(argument)).collect()),
            _ => self.function(name, arguments),
        }
    }

    fn chain(&mut self, sides: &[&IdedExpr], join: fn(Box<[Node; 2]>) -> Node) -> Node {
        let mut nodes: Vec<Node> = sides.iter().map(|side| self.node(side)).collect();
        let Some(mut chain) = nodes.pop() else { return self.refused("cannot be read") };
        while let Some(node) = nodes.pop() {
            chain = join(Box::new([node, chain]));
        }
        chain
    }

    fn function(&mut self, name: &str, arguments: &[&IdedExpr]) -> Node {
        let nodes: Vec<Node> = arguments.iter().map(|argument| self.node(argument)).collect();
        let Some((function, least, most)) = Function::named(name) else {
            let known = Function::names();
            let hint = match likely_of(name, known.iter().copied()) {
                Some(likely) => format!("did you mean {likely:?}?"),
                None => format!("there are: {}", known.join(", ")),
            };
            self.wrong.push(Wrong { problem: format!("calls {name:?}, which is no function"), hint: Some(hint) });
            return Node::Null;
        };
        if !(least..=most).contains(&nodes.len()) {
            let wanted = if least == most { least.to_string() } else { format!("{least} to {most}") };
            return self.refused(format!("gives {name} {} arguments; it takes {wanted}", nodes.len()));
        }
        Node::Call(function, nodes)
    }
}

fn binary(name: &str) -> Option<Operator> {
    Some(match name {
        operators::ADD => Operator::Add,
        operators::SUBSTRACT => Operator::Subtract,
        operators::MULTIPLY => Operator::Multiply,
        operators::DIVIDE => Operator::Divide,
        operators::MODULO => Operator::Remainder,
        operators::EQUALS => Operator::Equal,
        operators::NOT_EQUALS => Operator::Unequal,
        operators::LESS => Operator::Less,
        operators::LESS_EQUALS => Operator::LessOrEqual,
        operators::GREATER => Operator::Greater,
        operators::GREATER_EQUALS => Operator::GreaterOrEqual,
        _ => return None,
    })
}
