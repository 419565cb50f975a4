//! The examples of the workspace run to their end; each checks its own outcome.

#[path = "../../../examples/mapping.rs"]
mod mapping;
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
fn sheets_and_a_chat_fill_one_table_of_the_host_by_their_priorities() {
    mapping::main().expect("it runs");
}

#[test]
fn the_mappings_of_films_and_airports_are_in_order() {
    use syncline::mapping::{Mapping, Transforms};
    for text in [include_str!("../../../examples/movies.toml"), include_str!("../../../examples/airports.toml")] {
        let mapping: Mapping = toml::from_str(text).expect("a mapping");
        assert_eq!(mapping.problems(&Transforms::default(), None), [], "{}", mapping.name);
    }
}
