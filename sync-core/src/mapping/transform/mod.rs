//! Transforms: what turns the texts of a source into the values of a field. Pure, by name, and an open set.

mod boolean;
mod currency;
mod currency_signs;
mod date;
mod date_format;
mod email;
pub(super) mod exact;
mod hash;
mod list;
mod null_if;
mod number;
mod pattern;
mod phone;
mod same;
mod table;
mod text;

use std::{borrow::Cow, collections::BTreeMap, fmt, sync::Arc};

use serde::de::DeserializeOwned;
use serde_json::Value;

pub(super) use self::same::same;
use super::{Cell, Step};
use crate::{Error, FieldKind, Result};

/// What a transform makes of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    /// The cell as it came, to the last byte.
    Unchanged,
    /// No cell: the stored value stays.
    Absent,
    /// Null.
    Null,
    /// One JSON value.
    Json(String),
}

impl Made {
    /// A text, quoted as JSON.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Json(serde_json::to_string(text).expect("text is always JSON"))
    }
}

/// Why a transform could not read a value. The text follows the value in the row's failure: `"Fbr 3" is not a date; …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransformError(Cow<'static, str>);

impl TransformError {
    /// An error that says what the value is not, and what was expected: `is not a date; expected %b %d %Y`.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for TransformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TransformError {}

/// One step from a source's value to a field's. The same input gives the same output, always and everywhere.
pub trait Transform: fmt::Debug + Send + Sync {
    /// Turns one cell into another. Absent and null cells are usually left [`Unchanged`](Made::Unchanged).
    ///
    /// # Errors
    /// When there is a value and it cannot be read; what becomes of the row is the column's choice.
    fn apply(&self, cell: Cell<'_>) -> Result<Made, TransformError>;

    /// Turns one of its results back into what it is read from: what a push sends. Whatever is answered is proved before it leaves, by
    /// [`apply`](Self::apply) giving the result again; a transform that only tidies therefore needs none of its own. Absent and null
    /// cells do not come here.
    ///
    /// # Errors
    /// When no value would be read as this one; the row then fails.
    fn back(&self, cell: Cell<'_>) -> Result<Made, TransformError> {
        let _ = cell;
        Ok(Made::Unchanged)
    }

    /// Checks, before the first row, that results can be turned back at all.
    ///
    /// # Errors
    /// When they cannot; the text follows the transform's name: `makes "active" of both "A" and "a"`.
    fn check_back(&self) -> Result<(), TransformError> {
        Ok(())
    }

    /// Whether a push sends its results. One that keeps only a part of what it reads, or nothing that could be read again, says no, and the
    /// column it stands in is left out of pushes.
    fn sends(&self) -> bool {
        true
    }

    /// The type its results have, where that is known before reading; `input` is the type of what comes in.
    fn kind(&self, input: Option<FieldKind>) -> Option<FieldKind> {
        input
    }
}

const _: Option<&dyn Transform> = None;

type Factory = Arc<dyn Fn(&Value) -> Result<Arc<dyn Transform>> + Send + Sync>;

/// Transforms by name. [`default`](Self::default) has the built-in ones; a host adds its own.
///
/// ```
/// # use {std::sync::Arc, sync_core::{Result, mapping::{Cell, Made, Transform, TransformError, Transforms}}};
/// #[derive(Debug)]
/// struct Reversed;
///
/// impl Transform for Reversed {
///     fn apply(&self, cell: Cell<'_>) -> Result<Made, TransformError> {
///         Ok(cell.text().map_or(Made::Unchanged, |text| Made::text(&text.chars().rev().collect::<String>())))
///     }
/// }
///
/// let mut transforms = Transforms::default();
/// transforms.register("reversed", |_options| Ok(Arc::new(Reversed)))?;
/// # Ok::<(), sync_core::Error>(())
/// ```
///
/// | name | makes | options | a push sends |
/// |---|---|---|---|
/// | `trim`, `collapse`, `lower`, `upper` | a text without blanks at its ends, with one blank for each run of white space, in lower or upper case; other values pass | | the value as it is |
/// | `text` | a text of any value's digits | | the text |
/// | `split` | a list of the texts between separators, without blanks at their ends | `separator` (`,`), `drop_empty` | one text |
/// | `join` | one text of a list; other values pass | `separator` (`, `) | the list |
/// | `regex` | a part of a text | `pattern`, `group` (number or name), `no_match` (`error`, `null`, `keep`) | the value as it is |
/// | `email` | an e-mail address, its domain in lower case | `local` (`keep`, `lower`) | the value as it is |
/// | `phone` (cargo feature `phone`) | a telephone number in E.164 | `region` of numbers without a country's code | the value as it is |
/// | `hash` | a pseudonym: the SHA-256 of salt and text in hexadecimal digits | `salt` | nothing |
/// | `number` | a JSON number with all its digits | `decimal` (`.`, `,` or `auto`) | its digits: a number, with `,` a text |
/// | `currency` | whole micros, exact | `decimal`, `symbols` (only these are accepted) | the amount without symbol: a number, with `,` a text |
/// | `currency_code` | the amount's currency, by its code in ISO 4217 | `decimal`, `symbols`, `signs` (what shared signs stand for), `default` | nothing |
/// | `boolean` | true or false | `true`, `false` (lists of words) | the first word of a list that was given, otherwise true or false |
/// | `date` | `YYYY-MM-DD`, or RFC 3339 in UTC with microseconds | `format`, `formats`, `zone`, `strict`, `to`, `truncate` | the first format, as the clock shows it in `zone` |
/// | `map` | what a table says | `table`, `default`, `keep` | the table's word for it |
/// | `null_if` | null of what stands for nothing; other values pass | the words: `["N/A", "-"]` | the value as it is |
/// | `default` | a value where there is none | the value, or `value` and `when` | the value as it is |
///
/// Formats of `date` are `iso` (the default), `serial` (Google Sheets and Excel), `epoch`, `epoch_ms` and chrono patterns such as `%d.%m.%Y`;
/// only those named are tried. A time that names no zone is one of `zone` (UTC); if the clock shows it twice it is the earlier
/// one, if the clock skips it, it moves on by what is skipped; `strict` refuses both.
///
/// Money is an amount and a currency: `currency` in the amount's column, and `currency_code` in one of its own that reads the same source.
/// With `decimal = "auto"` each text shows by itself which sign parts whole and fraction; one that could be read both ways (`1,234`) is
/// refused.
///
/// `number`, `currency`, `currency_code`, `boolean`, `date`, `email`, `phone` and `hash` make null of empty texts, `split` the empty list.
/// Patterns of `regex` are compiled with the mapping, and their size is limited.
///
/// A push fails the row whose value would be read as another one: `ABC` under `lower`, a time with seconds under a format without
/// them, what two words of a `map` stand for, a member of a list with the separator in it. A day is sent at midnight where the format has
/// a time. A column with `hash` or `currency_code` is not sent at all.
#[derive(Clone)]
pub struct Transforms(BTreeMap<Box<str>, Factory>);

impl Default for Transforms {
    fn default() -> Self {
        let mut transforms = Self(BTreeMap::new());
        for register in [
            text::register,
            list::register,
            pattern::register,
            email::register,
            phone::register,
            hash::register,
            number::register,
            currency::register,
            boolean::register,
            date::register,
            table::register,
            null_if::register,
        ] {
            register(&mut transforms).expect("the built-in names differ");
        }
        transforms
    }
}

impl Transforms {
    /// Adds a transform. `factory` makes one from the options its step has in a mapping, null when it has none.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) when the name is taken.
    pub fn register(
        &mut self,
        name: impl Into<Box<str>>,
        factory: impl Fn(&Value) -> Result<Arc<dyn Transform>> + Send + Sync + 'static,
    ) -> Result<()> {
        let name = name.into();
        if self.0.contains_key(&name) {
            return Err(Error::config("transform", format!("a transform named {name:?} is registered already")));
        }
        self.0.insert(name, Arc::new(factory));
        Ok(())
    }

    /// Makes the transform of a step.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for an unknown name, listing those there are, and for options that do not fit.
    pub fn build(&self, step: &Step) -> Result<Arc<dyn Transform>> {
        let factory = self.0.get(&step.name).ok_or_else(|| {
            let known = self.names().collect::<Vec<_>>().join(", ");
            Error::config("transform", format!("no transform is named {:?}; there are: {known}", step.name))
        })?;
        factory(&step.options)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|name| &**name)
    }
}

impl fmt::Debug for Transforms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The options of a step as a transform's own type; none at all are the type's defaults.
///
/// # Errors
/// [`Config`](crate::ErrorKind::Config) naming the option that is unknown, missing or of the wrong type.
pub fn transform_options<T: DeserializeOwned + Default>(name: &str, options: &Value) -> Result<T> {
    if options.is_null() {
        return Ok(T::default());
    }
    T::deserialize(options).map_err(|e| Error::config("transform", format!("the options of {name:?} do not fit: {e}")))
}

fn without_options(name: &str, options: &Value, transform: impl Transform + 'static) -> Result<Arc<dyn Transform>> {
    if options.is_null() { Ok(Arc::new(transform)) } else { Err(Error::config("transform", format!("{name:?} takes no options"))) }
}

#[cfg(test)]
mod tests;
