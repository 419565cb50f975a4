//! Google's discovery documents.

mod refusal;
mod route;
mod schema;

use std::path::Path;

use serde_json::{Map, Value};

use self::schema::Schemas;
pub(super) use self::schema::shown;
use super::{
    Description,
    exchange::{Exchange, Message},
    file,
    problem::{Kind, Problem},
};
use crate::shell::Result;

/// Some documents, among which a path finds its own.
#[derive(Debug)]
pub(super) struct Google(Vec<Document>);

#[derive(Debug)]
struct Document {
    whole: Value,
    /// Every method of every resource, as the document has it.
    methods: Vec<Value>,
}

impl Google {
    /// Reads the documents of these names in a folder.
    ///
    /// # Errors
    /// The file that is missing or is no discovery document.
    pub(super) fn load(folder: &Path, names: &[&str]) -> Result<Self> {
        let document = |name: &&str| {
            let path = folder.join(name);
            let whole = file(&path)?;
            let mut methods = Vec::new();
            collect(&whole, &mut methods);
            if methods.is_empty() || !whole["schemas"].is_object() {
                return Err(format!("{} is no discovery document: it has no methods or no schemas", path.display()));
            }
            Ok(Document { whole, methods })
        };
        names.iter().map(document).collect::<Result<_>>().map(Self)
    }

    /// The operation a request calls, with the variables of its path; else why there is none.
    fn find<'a>(&'a self, exchange: &'a Exchange) -> std::result::Result<Call<'a>, String> {
        let path = exchange.path.trim_start_matches('/');
        let all = self.0.iter().flat_map(|document| document.methods.iter().map(move |method| (document, method)));
        let calls: Vec<Call<'_>> = all.filter_map(|(document, method)| Call::of(document, method, path)).collect();
        let asked = calls.iter().filter(|call| call.method["httpMethod"] == *exchange.method);
        if let Some(call) = asked.max_by_key(|call| call.fixed()) {
            return Ok(call.clone());
        }
        let verbs: Vec<&str> = calls.iter().filter_map(|call| call.method["httpMethod"].as_str()).collect();
        Err(match verbs[..] {
            [] => "no document has a path like this".to_owned(),
            _ => format!("{} is not offered here, but {}", exchange.method, verbs.join(", ")),
        })
    }
}

/// Goes through a document's tree of resources.
fn collect(resource: &Value, methods: &mut Vec<Value>) {
    let inside = |name: &str| resource[name].as_object().into_iter().flatten().map(|(_, value)| value);
    methods.extend(inside("methods").cloned());
    inside("resources").for_each(|resource| collect(resource, methods));
}

/// A method and the variables its path was called with.
#[derive(Clone, Debug)]
struct Call<'a> {
    document: &'a Document,
    method: &'a Value,
    variables: Vec<(&'a str, &'a str)>,
}

impl<'a> Call<'a> {
    fn of(document: &'a Document, method: &'a Value, path: &'a str) -> Option<Self> {
        let path = path.strip_prefix(document.whole["servicePath"].as_str().unwrap_or_default())?;
        let variables = route::matched(method["path"].as_str()?, path)?;
        Some(Self { document, method, variables })
    }

    fn fixed(&self) -> usize {
        self.method["path"].as_str().map_or(0, route::fixed)
    }

    fn schemas(&self) -> Option<Schemas<'a>> {
        self.document.whole["schemas"].as_object().map(Schemas)
    }

    fn request(&self, exchange: &Exchange, found: &mut Vec<Problem>) {
        let root = self.document.whole["rootUrl"].as_str().unwrap_or_default();
        if let Some(host) = &exchange.host
            && root.trim_start_matches("https://").trim_end_matches('/') != host
        {
            found.push(Problem::new(Kind::Call, "request.host", format!("found {host:?}, expected {root}")));
        }
        let own = parameters(self.method);
        let shared = parameters(&self.document.whole);
        for (name, value) in &self.variables {
            let at = format!("request.path.{name}");
            check_parameter(own.and_then(|own| own.get(*name)), "path", value, &at, found);
        }
        for (index, (name, value)) in exchange.query.iter().enumerate() {
            let at = format!("request.query.{name}");
            let known = own.and_then(|own| own.get(name)).or_else(|| shared.and_then(|shared| shared.get(name)));
            check_parameter(known, "query", value, &at, found);
            let again = exchange.query[..index].iter().any(|(before, _)| before == name);
            if again && known.is_some_and(|known| known["repeated"] != true) {
                found.push(Problem::new(Kind::WrongType, at, "given more than once, and takes one value"));
            }
        }
        for (name, parameter) in own.into_iter().flatten() {
            let given = self.variables.iter().any(|(given, _)| given == name) || exchange.query.iter().any(|(given, _)| given == name);
            if parameter["required"] == true && !given {
                let place = parameter["location"].as_str().unwrap_or("query");
                found.push(Problem::new(Kind::MissingParameter, format!("request.{place}.{name}"), "it is required"));
            }
        }
        let Some(schemas) = self.schemas() else { return };
        self.body(schemas, &self.method["request"], &exchange.request, "request.body", found);
        if let Some(body @ Value::Object(_)) = &exchange.request.body {
            self.required(schemas, body, found);
        }
        if let Some((_, mask)) = exchange.query.iter().find(|(name, _)| name == "fields")
            && let Some(reply) = self.method.get("response")
        {
            schemas.check_mask(reply, mask, "request.query.fields", found);
        }
    }

    fn reply(&self, exchange: &Exchange, found: &mut Vec<Problem>) {
        let (Some(reply), Some(schemas)) = (&exchange.reply, self.schemas()) else { return };
        match reply.status {
            200..300 => self.body(schemas, &self.method["response"], &reply.message, "response.body", found),
            400.. => refusal::check(reply, found),
            status => found.push(Problem::new(Kind::WrongValue, "response.status", format!("{status} is neither success nor refusal"))),
        }
    }

    fn body(&self, schemas: Schemas<'a>, schema: &'a Value, message: &Message, at: &str, found: &mut Vec<Problem>) {
        match (&message.body, schema.is_null()) {
            (None, true) => {}
            (Some(_), true) => found.push(Problem::new(Kind::Body, at, "this call has none")),
            (None, false) if at == "request.body" && self.takes_nothing(schemas, schema) => {}
            (None, false) => found.push(Problem::new(Kind::Body, at, format!("there is none, expected {}", schema["$ref"]))),
            (Some(_), false) if message.kind() != "application/json" => {
                found.push(Problem::new(Kind::Body, at, format!("its type is {:?}, expected application/json", message.kind())));
            }
            (Some(body), false) => schemas.check(schema, body, at, found),
        }
    }

    /// A request without fields may be left out.
    fn takes_nothing(&self, schemas: Schemas<'a>, schema: &'a Value) -> bool {
        schemas.resolve(schema).is_some_and(|schema| schema["properties"].as_object().is_none_or(Map::is_empty))
    }

    /// Fields that are marked as required in a request of this method.
    fn required(&self, schemas: Schemas<'a>, body: &Value, found: &mut Vec<Problem>) {
        let fields = schemas.resolve(&self.method["request"]).and_then(|schema| schema["properties"].as_object());
        for (name, field) in fields.into_iter().flatten() {
            let methods = field["annotations"]["required"].as_array();
            if methods.is_some_and(|methods| methods.contains(&self.method["id"])) && body.get(name).is_none() {
                found.push(Problem::new(Kind::MissingField, format!("request.body.{name}"), "it is required"));
            }
        }
    }
}

fn parameters(of: &Value) -> Option<&Map<String, Value>> {
    of["parameters"].as_object()
}

fn check_parameter(known: Option<&Value>, place: &str, value: &str, at: &str, found: &mut Vec<Problem>) {
    match known.filter(|known| known["location"] == place) {
        None => found.push(Problem::new(Kind::UnknownParameter, at, format!("the call has none of that name in its {place}"))),
        Some(known) => {
            if let Err((kind, text)) = schema::parameter(known, value) {
                found.push(Problem::new(kind, at, text));
            }
        }
    }
}

impl Description for Google {
    fn check(&self, exchange: &Exchange) -> (String, Vec<Problem>) {
        let mut found = Vec::new();
        match self.find(exchange) {
            Ok(call) => {
                call.request(exchange, &mut found);
                call.reply(exchange, &mut found);
                (call.method["id"].as_str().unwrap_or_default().to_owned(), found)
            }
            Err(why) => {
                let name = exchange.operation.clone().unwrap_or_else(|| format!("{} {}", exchange.method, exchange.path));
                (name, vec![Problem::new(Kind::Call, format!("request.path {} {}", exchange.method, exchange.path), why)])
            }
        }
    }
}
