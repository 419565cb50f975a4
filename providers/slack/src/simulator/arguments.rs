//! What a call says, wherever it says it: query, form fields, a JSON body.

use serde_json::{Map, Value};
use sync_testkit::SimRequest;

/// The arguments of a call, and the token that came among them.
#[derive(Debug)]
pub(super) struct Arguments {
    fields: Map<String, Value>,
    pub(super) token: Option<String>,
    /// What Slack has to remark about the content type; the call goes on.
    pub(super) warning: Option<&'static str>,
}

impl Arguments {
    /// Reads them; the error is Slack's code.
    pub(super) fn of(request: &SimRequest) -> Result<Self, &'static str> {
        let query = request.query.iter().cloned().map(|(name, value)| (name, Value::String(value)));
        let mut fields = Map::new();
        let (mut warning, mut form_token) = (None, None);
        if !request.body.is_empty() {
            let header = request.headers.get("content-type").and_then(|value| value.to_str().ok()).ok_or("missing_post_type")?;
            let (kind, charset) = header.split_once(';').map_or((header, None), |(kind, rest)| (kind, Some(rest.trim())));
            let charset = charset.and_then(|rest| rest.strip_prefix("charset=")).map(|name| name.trim_matches('"').to_ascii_lowercase());
            if charset.as_deref().is_some_and(|name| !matches!(name, "utf-8" | "iso-8859-1")) {
                return Err("invalid_charset");
            }
            match kind.trim().to_ascii_lowercase().as_str() {
                "application/json" => {
                    warning = charset.is_none().then_some("missing_charset");
                    match request.json().ok_or("invalid_json")? {
                        Value::Object(body) => fields.extend(body),
                        _ => return Err("json_not_object"),
                    }
                }
                "application/x-www-form-urlencoded" => {
                    warning = charset.is_some().then_some("superfluous_charset");
                    std::str::from_utf8(&request.body).map_err(|_| "invalid_form_data")?;
                    fields.extend(request.form().into_iter().map(|(name, value)| (name, Value::String(value))));
                    form_token = fields.get("token").and_then(Value::as_str).map(str::to_owned);
                }
                _ => return Err("invalid_post_type"),
            }
        }
        fields.extend(query);
        let token = request.bearer().map(str::to_owned).or(form_token).filter(|token| !token.is_empty());
        Ok(Self { fields, token, warning })
    }

    /// An argument as text; numbers and booleans of a JSON body as they are written.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.fields.get(name)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// An argument that is on or off.
    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.text(name).as_deref(), Some("true" | "1"))
    }

    /// A structured argument: JSON as text in a form, JSON itself or text of it in a JSON body. The error is a text that is no JSON.
    pub(super) fn structure(&self, name: &str) -> Result<Option<Value>, ()> {
        match self.fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => serde_json::from_str(text).map(Some).map_err(drop),
            Some(other) => Ok(Some(other.clone())),
        }
    }
}
