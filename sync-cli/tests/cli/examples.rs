//! The examples of the workspace run to their end; each checks its own outcome.

#[path = "../../../examples/own_provider.rs"]
mod own_provider;
#[path = "../../../examples/quickstart.rs"]
mod quickstart;

#[test]
fn a_host_program_of_a_few_lines_runs() {
    quickstart::main().expect("it runs");
}

#[test]
fn a_provider_of_ones_own_is_registered_and_pulled_with_public_api_only() {
    own_provider::main().expect("it runs");
}

#[test]
fn the_mapping_of_the_films_fits_its_model() {
    use syncline::mapping::{Mapping, Transforms};
    let mapping: Mapping = toml::from_str(include_str!("../../../examples/movies.toml")).expect("a mapping");
    mapping.compile(&Transforms::default()).expect("every transform is there");
}
