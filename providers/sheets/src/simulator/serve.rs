//! From a request to an answer: token, quota, parameters, body, the call, the field mask.

use serde_json::{Value, json};
use sync_core::ExposeSecret;
use sync_http::Method;
use sync_testkit::{Access, SimAnswer, SimRequest, Simulated, Simulator};

use super::{
    SheetsSim, State, Token,
    book::Book,
    entry,
    grid::Show,
    mask::Mask,
    refusal,
    route::{self, Bucket, Call},
    schema::{self, Fields},
    structure,
    values::Echo,
};

/// Query parameters every call takes.
const EVERYWHERE: &[&str] = &[
    "$.xgafv",
    "access_token",
    "alt",
    "callback",
    "fields",
    "key",
    "oauth_token",
    "prettyPrint",
    "quotaUser",
    "uploadType",
    "upload_protocol",
];

/// What every call needs.
const SCOPE: &str = "https://www.googleapis.com/auth/spreadsheets";

const NOT_SIMULATED: &[&str] = &[
    "formulas are kept and never calculated; every one shows #ERROR!",
    "formats of single cells, merged cells, notes, validation, filters, charts, named and protected ranges",
    "developer metadata and the calls by data filter, sheets.copyTo",
    "Drive beyond files.get: listing, the change feed, push channels, sharing",
    "scopes beside that of spreadsheets, and sharing",
    "quotas of a project and the 180 seconds a call may take",
];

impl Simulator for SheetsSim {
    fn operation(&self, request: &SimRequest) -> &'static str {
        if let Some(server) = self.state().authorization.as_ref().filter(|server| server.serves(&request.path)) {
            return server.operation(request);
        }
        route::route(&overridden(request)).map_or("sheets.unknown", |(_, call)| call.operation())
    }

    fn simulated(&self) -> &'static [Simulated] {
        route::SIMULATED
    }

    fn not_simulated(&self) -> &'static [&'static str] {
        NOT_SIMULATED
    }

    fn answer(&self, request: &SimRequest) -> SimAnswer {
        if let Some(server) = self.state().authorization.as_ref().filter(|server| server.serves(&request.path)) {
            return server.answer(request);
        }
        let request = &overridden(request);
        let Some((id, call)) = route::route(request) else { return refusal::no_such_page() };
        let mut state = self.state();
        state.answer(request, &id, &call).unwrap_or_else(|refused| refused)
    }
}

/// A GET whose address is too long may travel as a POST of a form, as Google's own clients send it.
fn overridden(request: &SimRequest) -> SimRequest {
    let mut request = request.clone();
    let method = request.headers.get("x-http-method-override").and_then(|method| method.to_str().ok());
    if request.method == Method::POST && method.is_some_and(|method| method.eq_ignore_ascii_case("get")) {
        request.query.extend(request.form());
        request.method = Method::GET;
        request.body = Default::default();
    }
    request
}

impl State {
    fn answer(&mut self, request: &SimRequest, id: &str, call: &Call) -> Result<SimAnswer, SimAnswer> {
        let access = match (&self.authorization, request.bearer()) {
            (Some(server), Some(token)) => server.access(token, request.now),
            _ => Access::Unknown,
        };
        let welcome = match (&self.token, request.bearer()) {
            (Token::Revoked, _) => false,
            _ if access != Access::Unknown => matches!(access, Access::Good(_)),
            (Token::Any, _) if self.authorization.is_some() => false,
            (Token::Any, token) => token.is_some_and(|token| !token.is_empty()),
            (Token::Only(expected), Some(token)) => expected.expose_secret() == token,
            _ => false,
        };
        if !welcome {
            return Err(refusal::unauthenticated());
        }
        if matches!(&access, Access::Good(scopes) if !scopes.iter().any(|scope| scope == SCOPE)) {
            return Err(refusal::insufficient_scopes());
        }
        let quota = match call.bucket() {
            Bucket::Reads => Some((&mut self.reads, "Read")),
            Bucket::Writes => Some((&mut self.writes, "Write")),
            Bucket::Drive => None,
        };
        if let Some((window, kind)) = quota
            && window.take(request.now, 1).is_err()
        {
            return Err(refusal::quota_exceeded(kind));
        }
        parameters(request, call)?;
        let (wanted, answered) = messages(call);
        let body = body(request, wanted)?;
        let mask = mask(request, call, answered)?;

        let lag = self.drive_lag;
        for changes in self.books.iter_mut().map(|book| &mut book.changes) {
            changes.stamp(request.now);
            changes.show(request.now, lag);
        }
        let mut answer = if *call == Call::Create {
            let id = format!("1{:0>43}", format!("Created{}", self.books.len()));
            let mut book = structure::create(id, &body).map_err(|problem| refusal::invalid(&problem))?;
            book.changes.touch();
            book.changes.stamp(request.now);
            let described = book.describe(&[], false, None).map_err(|problem| refusal::invalid(&problem))?;
            self.books.push(book);
            described
        } else {
            let book = self.books.iter_mut().find(|book| book.id == id);
            let missing = || match call {
                Call::File => refusal::drive(404, "notFound", "fileId", &format!("File not found: {id}.")),
                _ => refusal::not_found(),
            };
            let book = book.ok_or_else(missing)?;
            if book.office_file && *call != Call::File {
                return Err(refusal::office_file());
            }
            book.act(request, call, &body, mask.as_ref()).map_err(|problem| refusal::invalid(&problem))?
        };
        if let Some(mask) = mask {
            mask.apply(&mut answer);
        }
        Ok(SimAnswer::json(200, answer))
    }
}

impl Book {
    fn act(&mut self, request: &SimRequest, call: &Call, body: &Value, mask: Option<&Mask>) -> Result<Value, String> {
        let ranges: Vec<&str> = request.query.iter().filter(|(name, _)| name == "ranges").map(|(_, range)| range.as_str()).collect();
        let show = Show::of(request.query("valueRenderOption"), request.query("dateTimeRenderOption"));
        let by_columns = request.query("majorDimension") == Some("COLUMNS");
        match call {
            Call::Get => self.describe(&ranges, request.query("includeGridData") == Some("true"), mask),
            Call::ValuesGet(range) => self.values(range, show, by_columns),
            Call::ValuesBatchGet => {
                let found = ranges.iter().map(|range| self.values(range, show, by_columns)).collect::<Result<Vec<Value>, String>>()?;
                Ok(json!({"spreadsheetId": self.id, "valueRanges": found}))
            }
            Call::File => Ok(self.file(request)),
            _ => {
                // Whatever is refused halfway has changed nothing.
                let mut changed = self.clone();
                let answer = changed.change(request, call, body, mask)?;
                changed.changes.touch();
                changed.changes.stamp(request.now);
                *self = changed;
                Ok(answer)
            }
        }
    }

    fn change(&mut self, request: &SimRequest, call: &Call, body: &Value, mask: Option<&Mask>) -> Result<Value, String> {
        let input = || entry::input(request.query("valueInputOption"));
        let echo = Echo {
            values: request.query("includeValuesInResponse") == Some("true"),
            show: Show::of(request.query("responseValueRenderOption"), request.query("responseDateTimeRenderOption")),
        };
        match call {
            Call::ValuesUpdate(range) => self.update(range, body, input()?, echo),
            Call::ValuesBatchUpdate => self.batch_update(body),
            Call::ValuesAppend(range) => self.append(range, body, input()?, request.query("insertDataOption") == Some("INSERT_ROWS"), echo),
            Call::ValuesClear(range) => Ok(json!({"spreadsheetId": self.id, "clearedRange": self.clear(range)?})),
            Call::ValuesBatchClear => {
                let ranges = body["ranges"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let cleared = ranges.map(|range| self.clear(range)).collect::<Result<Vec<String>, String>>()?;
                Ok(json!({"spreadsheetId": self.id, "clearedRanges": cleared}))
            }
            _ => {
                let mut answer = self.restructure(body)?;
                if body["includeSpreadsheetInResponse"] == true {
                    let ranges: Vec<&str> = body["responseRanges"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                    let grid = body["responseIncludeGridData"] == true
                        && mask.is_none_or(|mask| mask.wants(&["updatedSpreadsheet", "sheets", "data"]));
                    answer["updatedSpreadsheet"] = self.describe(&ranges, grid, None)?;
                }
                Ok(answer)
            }
        }
    }

    fn file(&self, request: &SimRequest) -> Value {
        let office = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
        let kind = if self.office_file { office } else { "application/vnd.google-apps.spreadsheet" };
        let mut file = json!({"kind": "drive#file", "id": self.id, "name": self.title, "mimeType": kind});
        if request.query("fields").is_some() {
            file["modifiedTime"] = json!(self.changes.modified(request.now));
            file["version"] = json!(self.changes.version.to_string());
            file["trashed"] = json!(false);
        }
        file
    }
}

/// The message a call takes as body, if it takes one, and the one it answers.
fn messages(call: &Call) -> (Option<Fields>, Fields) {
    match call {
        Call::Get => (None, schema::SPREADSHEET),
        Call::Create => (Some(schema::SPREADSHEET), schema::SPREADSHEET),
        Call::BatchUpdate => (Some(schema::BATCH), schema::BATCH_DONE),
        Call::ValuesGet(_) => (None, schema::VALUE_RANGE),
        Call::ValuesBatchGet => (None, schema::BATCH_GET),
        Call::ValuesUpdate(_) => (Some(schema::VALUE_RANGE), schema::UPDATED),
        Call::ValuesBatchUpdate => (Some(schema::BATCH_VALUES), schema::BATCH_UPDATED),
        Call::ValuesAppend(_) => (Some(schema::VALUE_RANGE), schema::APPENDED),
        Call::ValuesClear(_) => (Some(&[]), schema::CLEARED),
        Call::ValuesBatchClear => (Some(schema::BATCH_CLEAR), schema::BATCH_CLEARED),
        Call::File => (None, schema::FILE),
    }
}

fn parameters(request: &SimRequest, call: &Call) -> Result<(), SimAnswer> {
    for (name, value) in &request.query {
        if EVERYWHERE.contains(&name.as_str()) {
            continue;
        }
        if !call.parameters().contains(&name.as_str()) {
            let text = format!(
                "Invalid JSON payload received. Unknown name \"{name}\": Cannot bind query parameter. Field '{name}' could not be found in request message."
            );
            return Err(refusal::violation("", &text));
        }
        if let Some((_, schema::Form::Name(kind, names))) = schema::PARAMETERS.iter().find(|(known, _)| known == name)
            && !names.contains(&value.as_str())
        {
            let path = schema::snake(name);
            return Err(refusal::violation(&path, &format!("Invalid value at '{path}' ({kind}), \"{value}\"")));
        }
    }
    Ok(())
}

fn body(request: &SimRequest, wanted: Option<Fields>) -> Result<Value, SimAnswer> {
    let (Some(fields), false) = (wanted, request.body.is_empty()) else { return Ok(json!({})) };
    let Some(body) = request.json() else { return Err(refusal::invalid("Invalid JSON payload received. Unexpected token.")) };
    schema::check(&body, fields, "")?;
    Ok(body)
}

fn mask(request: &SimRequest, call: &Call, answered: Fields) -> Result<Option<Mask>, SimAnswer> {
    let Some(text) = request.query("fields").filter(|text| !text.is_empty()) else { return Ok(None) };
    Mask::parse(text, answered).map(Some).map_err(|path| match call {
        Call::File => refusal::drive(400, "invalidParameter", "fields", &format!("Invalid field selection {path}")),
        _ => refusal::no_such_field(&path),
    })
}
