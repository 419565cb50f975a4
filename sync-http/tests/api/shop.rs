//! A small service to call: it lists items, makes items, and checks the token.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;
use sync_core::SyncContext;
use sync_http::{Answer, Api, ApiBuilder, Request, StatusCode, classify_status};
use sync_testkit::{SimAnswer, SimRequest, Simulation, Simulator, TestServices};

pub(crate) const LIST: &str = "shop.items.list";
pub(crate) const CREATE: &str = "shop.items.create";

/// Answers with the token that `token` names, and 401 to any other.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) token: &'static str,
    pub(crate) made: AtomicU32,
}

impl Shop {
    pub(crate) fn made(&self) -> u32 {
        self.made.load(Ordering::Relaxed)
    }
}

impl Simulator for Shop {
    fn operation(&self, request: &SimRequest) -> &'static str {
        if request.method == "GET" { LIST } else { CREATE }
    }

    fn answer(&self, request: &SimRequest) -> SimAnswer {
        if request.bearer() != Some(self.token) {
            return SimAnswer::json(401, json!({"error": format!("token {:?} is not known", request.bearer())}));
        }
        if request.method == "GET" {
            return SimAnswer::json(200, json!({"items": [1, 2]}));
        }
        let id = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        SimAnswer::json(201, json!({ "id": id }))
    }
}

/// A shop on the services' clock, and an API that calls it.
pub(crate) struct Setup {
    pub(crate) services: TestServices,
    pub(crate) shop: Simulation<Shop>,
    pub(crate) api: Api,
    pub(crate) cx: SyncContext,
}

pub(crate) fn setup() -> Setup {
    with(TestServices::new(7), |builder| builder)
}

pub(crate) fn with(services: TestServices, more: impl FnOnce(ApiBuilder) -> ApiBuilder) -> Setup {
    let shop = Simulation::new(Shop { token: "test-token", made: AtomicU32::new(0) }).with_clock(services.clock().clone());
    let builder = Api::builder("shop", "https://shop.example/v1").transport(shop.transport()).classifier(classify);
    let api = more(builder).build().expect("a valid description");
    let cx = services.context(json!({}));
    Setup { services, shop, api, cx }
}

/// As a provider's would: the service's own words into the default table.
fn classify(operation: &'static str, answer: &Answer) -> sync_core::Result<()> {
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    classify_status(operation, answer, body["error"].as_str())
}

pub(crate) fn list() -> Request {
    Request::get(LIST, "items")
}

pub(crate) fn create() -> Request {
    Request::post(CREATE, "items").json(&json!({"name": "tea"}))
}

/// Reads a whole list or the id of what was made.
pub(crate) fn read(answer: Answer) -> sync_core::Result<StatusCode> {
    answer.json::<serde_json::Map<String, serde_json::Value>>("shop.read")?;
    Ok(answer.status)
}
