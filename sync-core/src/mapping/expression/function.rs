//! The functions expressions may call.

use rust_decimal::{Decimal, RoundingStrategy};

use super::value::{Value, number_of, whole};
use crate::FieldKind;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Abs,
    Ceil,
    Contains,
    EndsWith,
    Floor,
    Lower,
    Max,
    Micros,
    Min,
    Number,
    Round,
    Size,
    StartsWith,
    Text,
    Trim,
    Upper,
}

/// Name, function, and how many arguments it takes at least and at most.
const TABLE: [(&str, Function, usize, usize); 16] = [
    ("abs", Function::Abs, 1, 1),
    ("ceil", Function::Ceil, 1, 1),
    ("contains", Function::Contains, 2, 2),
    ("endsWith", Function::EndsWith, 2, 2),
    ("floor", Function::Floor, 1, 1),
    ("lower", Function::Lower, 1, 1),
    ("max", Function::Max, 2, 20),
    ("micros", Function::Micros, 1, 1),
    ("min", Function::Min, 2, 20),
    ("number", Function::Number, 1, 1),
    ("round", Function::Round, 1, 2),
    ("size", Function::Size, 1, 1),
    ("startsWith", Function::StartsWith, 2, 2),
    ("text", Function::Text, 1, 1),
    ("trim", Function::Trim, 1, 1),
    ("upper", Function::Upper, 1, 1),
];

/// Those that are no functions of values: they look at the field itself.
const SPECIAL: [&str; 4] = ["coalesce", "field", "has", "source"];

impl Function {
    /// The function of a name, with the numbers of arguments it takes.
    pub(super) fn named(name: &str) -> Option<(Self, usize, usize)> {
        TABLE.iter().find(|(known, ..)| *known == name).map(|(_, function, least, most)| (*function, *least, *most))
    }

    /// All names, in order.
    pub(super) fn names() -> Vec<&'static str> {
        let mut names: Vec<_> = TABLE.iter().map(|(name, ..)| *name).chain(SPECIAL).collect();
        names.sort_unstable();
        names
    }

    fn name(self) -> &'static str {
        TABLE.iter().find(|(_, function, ..)| *function == self).map_or("", |(name, ..)| name)
    }

    pub(super) fn kind(self) -> FieldKind {
        match self {
            Self::Contains | Self::EndsWith | Self::StartsWith => FieldKind::Boolean,
            Self::Lower | Self::Text | Self::Trim | Self::Upper => FieldKind::Text,
            Self::Micros | Self::Size => FieldKind::Integer,
            Self::Abs | Self::Ceil | Self::Floor | Self::Max | Self::Min | Self::Number | Self::Round => FieldKind::Number,
        }
    }

    /// Computes it. The number of arguments was checked when the expression was compiled.
    pub(super) fn call<'v>(self, arguments: &[Value<'v>]) -> Result<Value<'v>, String> {
        let [first, more @ ..] = arguments else { return Err(format!("{} needs an argument", self.name())) };
        let number = |value: &Value<'_>| value.number(self.name());
        let text = |value: &Value<'_>| value.text(self.name()).map(str::to_owned);
        let test = |test: fn(&str, &str) -> bool| -> Result<Value<'v>, String> {
            let part = more.first().unwrap_or(&Value::Null);
            Ok(Value::Bool(test(first.text(self.name())?, part.text(self.name())?)))
        };
        Ok(match self {
            Self::Abs => Value::Number(number(first)?.abs()),
            Self::Ceil => Value::Number(number(first)?.ceil()),
            Self::Floor => Value::Number(number(first)?.floor()),
            Self::Round => {
                let places = more.first().map(number).transpose()?.unwrap_or_default();
                let places = whole(places).and_then(|places| u32::try_from(places).ok()).filter(|places| *places <= Decimal::MAX_SCALE);
                let places = places.ok_or_else(|| format!("round takes 0 to {} places", Decimal::MAX_SCALE))?;
                Value::Number(number(first)?.round_dp_with_strategy(places, RoundingStrategy::MidpointAwayFromZero))
            }
            Self::Max | Self::Min => {
                let mut best = number(first)?;
                for value in more {
                    let next = number(value)?;
                    best = if self == Self::Max { best.max(next) } else { best.min(next) };
                }
                Value::Number(best)
            }
            Self::Micros => {
                let micros = number(first)?.checked_mul(Decimal::from(1_000_000)).and_then(whole);
                let micros = micros.ok_or("micros takes amounts of at most six decimal places and 64 bits; round them first")?;
                Value::Number(micros.into())
            }
            Self::Number => match first {
                Value::Text(text) => Value::Number(number_of(text.trim()).ok_or("number was given a text that is no number of 28 digits")?),
                value => Value::Number(number(value)?),
            },
            Self::Text => Value::Text(first.written()?.into()),
            Self::Size => Value::Number(first.text(self.name())?.chars().count().into()),
            Self::Lower => Value::Text(text(first)?.to_lowercase().into()),
            Self::Upper => Value::Text(text(first)?.to_uppercase().into()),
            Self::Trim => Value::Text(text(first)?.trim().to_owned().into()),
            Self::Contains => test(|text, part| text.contains(part))?,
            Self::StartsWith => test(|text, part| text.starts_with(part))?,
            Self::EndsWith => test(|text, part| text.ends_with(part))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_in_order_and_names_every_function_once() {
        let names: Vec<_> = TABLE.iter().map(|(name, ..)| *name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names, sorted);
        for (name, function, ..) in TABLE {
            assert_eq!(function.name(), name);
        }
    }
}
