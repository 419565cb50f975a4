//! Partial answers: the `fields` parameter.

use std::collections::BTreeMap;

use serde_json::Value;

use super::schema::{Fields, Form};

/// What is wanted of a message; with nothing inside, all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mask(BTreeMap<String, Mask>);

impl Mask {
    /// Reads `a,b(c,d),e/f,g.h,*`; the path that names no field otherwise.
    pub(super) fn parse(text: &str, fields: Fields) -> Result<Self, String> {
        let mut mask = Self::default();
        let rest = mask.list(text)?;
        if !rest.is_empty() {
            return Err(text.to_owned());
        }
        mask.check(fields, "")?;
        Ok(mask)
    }

    /// Adds the paths of a list; what is left from a closing bracket on.
    fn list<'t>(&mut self, mut text: &'t str) -> Result<&'t str, String> {
        loop {
            text = self.path(text)?;
            match text.strip_prefix(',') {
                Some(more) => text = more,
                None => return Ok(text),
            }
        }
    }

    fn path<'t>(&mut self, text: &'t str) -> Result<&'t str, String> {
        let mut rest = text;
        let mut mask = self;
        loop {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '*' && c != '$').unwrap_or(rest.len());
            if end == 0 {
                return Err(text.to_owned());
            }
            mask = mask.0.entry(rest[..end].to_owned()).or_default();
            rest = &rest[end..];
            match rest.strip_prefix(['/', '.']) {
                Some(more) => rest = more,
                None => break,
            }
        }
        match rest.strip_prefix('(') {
            Some(inner) => mask.list(inner)?.strip_prefix(')').ok_or_else(|| text.to_owned()),
            None => Ok(rest),
        }
    }

    fn check(&self, fields: Fields, path: &str) -> Result<(), String> {
        for (name, inner) in self.0.iter().filter(|(name, _)| *name != "*") {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let (_, form) = fields.iter().find(|(known, _)| known == name).ok_or_else(|| path.clone())?;
            match message(*form) {
                Some(fields) => inner.check(fields, &path)?,
                None if inner.0.is_empty() || matches!(form, Form::Any) || matches!(form, Form::List(Form::Any)) => {}
                None => return Err(path),
            }
        }
        Ok(())
    }

    /// Whether the field at the end of a path is wanted.
    pub(super) fn wants(&self, path: &[&str]) -> bool {
        let Some((first, rest)) = path.split_first() else { return true };
        self.0.is_empty() || self.0.contains_key("*") || self.0.get(*first).is_some_and(|inner| inner.wants(rest))
    }

    /// Leaves out what is not wanted.
    pub(super) fn apply(&self, value: &mut Value) {
        if self.0.is_empty() {
            return;
        }
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.apply(item)),
            Value::Object(object) => {
                let all = self.0.get("*");
                object.retain(|name, _| all.is_some() || self.0.contains_key(name));
                for (name, value) in object {
                    if let Some(inner) = self.0.get(name).or(all) {
                        inner.apply(value);
                    }
                }
            }
            _ => {}
        }
    }
}

fn message(form: Form) -> Option<Fields> {
    match form {
        Form::Message(fields) => Some(fields),
        Form::List(item) => message(*item),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::simulator::schema::SPREADSHEET;

    #[test]
    fn a_mask_keeps_what_it_names_and_refuses_what_there_is_not() {
        let whole = json!({"spreadsheetId": "s", "properties": {"title": "T", "locale": "en"},
            "sheets": [{"properties": {"sheetId": 0, "title": "A"}, "data": [{"startRow": 1}]}]});
        let cases = [
            ("spreadsheetId", Ok(json!({"spreadsheetId": "s"}))),
            ("properties(title)", Ok(json!({"properties": {"title": "T"}}))),
            (
                "properties/title,sheets.properties.title",
                Ok(json!({"properties": {"title": "T"}, "sheets": [{"properties": {"title": "A"}}]})),
            ),
            ("sheets(properties(sheetId),data)", Ok(json!({"sheets": [{"properties": {"sheetId": 0}, "data": [{"startRow": 1}]}]}))),
            ("*", Ok(whole.clone())),
            ("sheets/*/title", Ok(json!({"sheets": [{"properties": {"title": "A"}, "data": [{}]}]}))),
            ("titel", Err("titel")),
            ("properties(titel)", Err("properties.titel")),
            ("properties(title", Err("properties(title")),
            ("spreadsheetId)", Err("spreadsheetId)")),
            ("", Err("")),
        ];
        for (text, expected) in cases {
            let found = Mask::parse(text, SPREADSHEET).map(|mask| {
                let mut value = whole.clone();
                mask.apply(&mut value);
                value
            });
            assert_eq!(found, expected.map_err(str::to_owned), "{text}");
        }
    }
}
