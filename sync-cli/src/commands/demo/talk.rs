//! stub
use syncline::testkit::*;
#[derive(Debug)]
pub(super) struct Talk;
impl Talk {
    pub(super) fn seeded(_: &str) -> Self {
        Self
    }
    pub(super) fn edit_and_delete(&self) -> (String, String) {
        (String::new(), String::new())
    }
}
impl Simulator for Talk {
    fn operation(&self, _: &SimRequest) -> &'static str {
        ""
    }
    fn answer(&self, _: &SimRequest) -> SimAnswer {
        panic!()
    }
}
