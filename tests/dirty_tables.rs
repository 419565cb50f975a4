//! The real tables of `examples/data` through the mappings beside them, as they are and as people would have typed them: every cell is a
//! value in a row, or is named with row and column where it could not be taken, or was left out by a rule of the mapping (DS11).

mod support;

#[path = "dirty_tables/account.rs"]
mod account;
#[path = "dirty_tables/oracle.rs"]
mod oracle;
#[path = "dirty_tables/sheet.rs"]
mod sheet;
#[path = "dirty_tables/typed.rs"]
mod typed;

use std::collections::{BTreeMap, BTreeSet};

use account::{Books, Cells, Expected};
use oracle::{Field, Read, Rules, Then};
use serde_json::{Map, Value};
use sheet::{Cell, Sheet};
use support::{
    On, Random, World,
    services::{SPREADSHEET, connect_sheets, sheets},
};
use syncline::{
    Connection, Counts, EntityQuery, Outcome, Pull, Syncline,
    mapping::{Mapping, NewColumns},
    providers::sheets::simulator::{SheetsSim, SimCell},
    testkit::Simulation,
};
use typed::Kind;

/// A table, its mapping, and what the plain code knows of it.
struct Table {
    mapping: Mapping,
    sheet: Sheet,
    rules: Rules,
    kinds: Vec<Kind>,
    /// The place of a column of dates, counted from 1.
    dates: Option<usize>,
}

fn mapping(text: &str) -> Mapping {
    toml::from_str(text).expect("a mapping")
}

fn films() -> Table {
    use Kind::{Day, Line, Money, MoneyOrUnknown, Number, Parts, Percent, Rating, Words};
    use Then::{RowFails, ValueIsDropped};
    let title: Read = oracle::words;
    let fields = [
        (0, "title", title, RowFails),
        (5, "released_on", oracle::day, RowFails),
        (1, "us_gross_micros", oracle::micros, RowFails),
        (2, "worldwide_gross_micros", oracle::micros, RowFails),
        (3, "dvd_sales_micros", oracle::micros, RowFails),
        (4, "budget_micros", oracle::micros, RowFails),
        (6, "rating", oracle::rating, RowFails),
        (6, "adults_only", oracle::adults_only, ValueIsDropped),
        (7, "minutes", oracle::number, RowFails),
        (8, "distributor", oracle::words, RowFails),
        (9, "based_on", oracle::based_on, RowFails),
        (10, "genres", oracle::parts, RowFails),
        (12, "director", oracle::words, RowFails),
        (13, "critics_percent", oracle::number, ValueIsDropped),
        (14, "imdb_rating", oracle::number, ValueIsDropped),
        (15, "imdb_votes", oracle::number, ValueIsDropped),
    ];
    Table {
        mapping: mapping(include_str!("../examples/movies.toml")),
        sheet: Sheet::of_csv("Movies", include_str!("../examples/data/movies.csv")),
        rules: Rules { key: oracle::title_key, fields: fields.map(field).into(), required: Some(1), ignored: vec![11] },
        kinds: vec![
            Words,
            Money,
            Money,
            Money,
            MoneyOrUnknown,
            Day,
            Rating,
            Number,
            Words,
            Line,
            Parts,
            Line,
            Words,
            Percent,
            Number,
            Number,
        ],
        dates: Some(6),
    }
}

fn airports() -> Table {
    use Kind::{Code, CodeOrNa, Country, Number, Words, WordsOrNa};
    let code: Read = oracle::words;
    let fields = [
        (0, "iata", code, Then::RowFails),
        (1, "name", oracle::words, Then::RowFails),
        (2, "city", oracle::words_but_na, Then::RowFails),
        (3, "state", oracle::words_but_na, Then::RowFails),
        (4, "country_code", oracle::country, Then::RowFails),
        (5, "latitude", oracle::number, Then::RowFails),
        (6, "longitude", oracle::number, Then::RowFails),
    ];
    Table {
        mapping: mapping(include_str!("../examples/airports.toml")),
        sheet: Sheet::of_csv("Airports", include_str!("../examples/data/airports.csv")),
        rules: Rules { key: str::to_owned, fields: fields.map(field).into(), required: None, ignored: vec![] },
        kinds: vec![Code, Words, WordsOrNa, CodeOrNa, Country, Number, Number],
        dates: None,
    }
}

fn field((column, name, read, then): (usize, &'static str, Read, Then)) -> Field {
    Field { column, name, read, then }
}

struct Stage {
    google: Simulation<SheetsSim>,
    syncline: Syncline,
    connection: Connection,
    table: Table,
    books: Books,
    _world: World,
}

impl Stage {
    async fn new(on: On, table: Table) -> Self {
        let world = World::on(on).await;
        let sim = SheetsSim::new(SPREADSHEET, "Real tables");
        sim.set_reads_per_minute(100_000);
        table.sheet.add_to(&sim);
        if let Some(column) = table.dates {
            sim.format_column(table.sheet.tab, column, "DATE");
        }
        let google = Simulation::new(sim).with_clock(world.clock.clone());
        let syncline = world.builder().storage(world.place().open().await).provider(sheets(&google)).build().await.expect("an engine");
        let connection = connect_sheets(&syncline).await;
        Self { google, syncline, connection, table, books: Books::default(), _world: world }
    }

    async fn stored(&self) -> BTreeMap<String, Map<String, Value>> {
        let query = EntityQuery { limit: 10_000, ..EntityQuery::default() };
        let entity = self.table.mapping.entity.clone().expect("a managed type");
        let rows = self.syncline.workspace("acme").entities(entity, query).await.expect("rows");
        rows.into_iter().map(|row| (row.key.into(), row.fields)).collect()
    }

    /// A pull, every row and cell of which is held against the books.
    async fn pull(&mut self, about: &str) -> Expected {
        let expected = self.books.book(&self.table.sheet, &self.table.rules);
        let result = self.connection.sync_from_external(Pull::mapped(self.table.mapping.clone())).await.expect("it runs");
        assert_ne!(result.outcome, Outcome::Failed, "{about}: {:?}", result.errors);
        let failures = self.syncline.workspace("acme").failures(result.run.expect("a run"), 100_000).await.expect("failures");
        expected.assert_told(&failures);
        assert_eq!(result.counts, expected.counts, "{about}");
        let Counts { read, created, updated, unchanged, skipped, failed, deleted, .. } = result.counts;
        assert_eq!(read, created + updated + unchanged + skipped + failed + deleted, "{about}");
        self.books.assert_stored(&self.stored().await);
        expected
    }

    fn edit(&mut self, random: &mut Random) {
        let before = self.table.sheet.rows.len();
        edit(&mut self.table, random);
        self.table.sheet.write_to(self.google.sim(), before);
    }
}

/// A day's work of several people: most of it writes the same in other ways, some of it changes things, and some of it nobody can read.
fn edit(table: &mut Table, random: &mut Random) {
    let (kinds, required) = (&table.kinds, table.rules.required);
    let rows = &mut table.sheet.rows;
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    rows.iter().for_each(|row| *times.entry(row[0].says.clone()).or_default() += 1);
    for row in rows.iter_mut() {
        if row[0].says.is_empty() {
            continue;
        }
        // A key that is written otherwise is another record with the same key. Too many of these would look like a mass deletion.
        if times[&row[0].says] == 1 && random.below(15) == 0 {
            row[0].written = kinds[0].written(&row[0].says, random);
        }
        for (cell, kind) in row.iter_mut().zip(kinds).skip(1) {
            match random.below(200) {
                0 if !kind.unreadable().is_empty() => {
                    let texts = kind.unreadable();
                    let text = texts[random.below(texts.len())];
                    *cell = Cell { says: text.to_owned(), written: SimCell::from(text) };
                }
                1 => {
                    let says = kind.another(random);
                    *cell = Cell { written: kind.written(&says, random), says };
                }
                2..60 if !kind.unreadable().contains(&cell.says.as_str()) => cell.written = kind.written(&cell.says, random),
                _ => {}
            }
        }
    }
    let count = rows.len();
    for n in 0..9 {
        rows.remove(random.below(count - 10 * n - 10));
    }
    // New rows, one of them twice, one without a key, one with nothing, one with a cell where no header stands.
    let new = random.below(1_000_000);
    for n in 0..6 {
        let mut row: Vec<Cell> = kinds.iter().map(|kind| Cell::imported(&kind.another(random))).collect();
        for (cell, kind) in row.iter_mut().zip(kinds) {
            cell.written = kind.written(&cell.says, random);
        }
        row[0] = Cell::imported(&format!("NEW{new}X{}", if n == 1 { 0 } else { n }));
        match n {
            2 => row[0] = Cell::imported(""),
            3 => row.iter_mut().for_each(|cell| *cell = Cell::imported("")),
            4 => row.push(Cell::imported("by the way")),
            _ => {}
        }
        let at = if n < 2 { rows.len() } else { random.below(rows.len()) };
        rows.insert(at, row);
    }
    // Formulas that fail, where the row can do without.
    let optional: Vec<usize> = (1..kinds.len()).filter(|column| Some(*column) != required).collect();
    for _ in 0..5 {
        let (row, column) = (random.below(count / 2), optional[random.below(optional.len())]);
        if !rows[row][0].says.is_empty() {
            rows[row][column] = Cell { says: String::new(), written: SimCell::Failed("#N/A") };
        }
    }
}

/// As it is, after a day of edits, and once more.
async fn every_cell_is_accounted_for(on: On, table: fn() -> Table, first: (Counts, Cells)) {
    let seeds = if on == On::Sqlite { 2 } else { 1 };
    for seed in 0..seeds {
        let mut stage = Stage::new(on, table()).await;
        let pulled = stage.pull("as it is").await;
        assert_eq!((pulled.counts, pulled.cells), first, "what the file is known to hold");
        let mut random = Random::new(seed);
        for day in 0..2 {
            stage.edit(&mut random);
            let edited = stage.pull(&format!("seed {seed}, day {day}")).await;
            let Counts { created, updated, unchanged, skipped, failed, swept, .. } = edited.counts;
            assert!(unchanged > 2_000 && [created, updated, skipped, failed, swept].iter().all(|count| *count > 0), "{:?}", edited.counts);
            assert!(day > 0 || edited.cells.blank > 0, "{:?}", edited.cells);
            let again = stage.pull(&format!("seed {seed}, day {day}, again")).await;
            let Counts { created, updated, swept, .. } = again.counts;
            assert_eq!((created, updated, swept), (0, 0, 0), "nothing is written for a sheet that did not change");
            assert_eq!((again.told, again.cells), (edited.told, edited.cells), "and the same is told");
        }
    }
}

async fn every_cell_of_the_films_is_accounted_for(on: On) {
    let counts = Counts { read: 3201, created: 3169, skipped: 25, failed: 7, ..Counts::default() };
    let cells = Cells { values: 3169 * 15, ignored: 3169, with_row: 32 * 16, ..Cells::default() };
    every_cell_is_accounted_for(on, films, (counts, cells)).await;
}

async fn every_cell_of_the_airports_is_accounted_for(on: On) {
    let counts = Counts { read: 3376, created: 3376, ..Counts::default() };
    let cells = Cells { values: 3376 * 7, ..Cells::default() };
    every_cell_is_accounted_for(on, airports, (counts, cells)).await;
}

/// What is not taken is not forgotten either: the mapping says so of each column, and a new one stops the run.
#[test]
fn mapping_says_of_every_column_whether_it_is_read() {
    for table in [films(), airports()] {
        let mapping = &table.mapping;
        assert_eq!(mapping.contract.columns, Some(NewColumns::Freeze));
        let read = mapping.columns.iter().filter_map(|column| column.source.as_deref());
        let said: BTreeSet<&str> = read.chain(mapping.contract.ignore.iter().map(|name| &**name)).collect();
        assert_eq!(said, table.sheet.header.iter().map(String::as_str).collect(), "{}", mapping.name);
        let fields: Vec<(&str, &str)> = mapping.columns.iter().map(|c| (c.source.as_deref().unwrap_or_default(), &*c.target)).collect();
        let known: Vec<(&str, &str)> = table.rules.fields.iter().map(|f| (table.sheet.header[f.column].as_str(), f.name)).collect();
        assert_eq!(fields, known, "{}: the plain code reads the same columns", mapping.name);
        let ignored: Vec<&str> = table.rules.ignored.iter().map(|column| table.sheet.header[*column].as_str()).collect();
        assert_eq!(ignored, mapping.contract.ignore.iter().map(|name| &**name).collect::<Vec<_>>());
    }
}

mod on_sqlite {
    use super::On::Sqlite;

    #[tokio::test]
    async fn every_cell_of_the_films_is_accounted_for() {
        super::every_cell_of_the_films_is_accounted_for(Sqlite).await;
    }

    #[tokio::test]
    async fn every_cell_of_the_airports_is_accounted_for() {
        super::every_cell_of_the_airports_is_accounted_for(Sqlite).await;
    }
}

mod on_postgres {
    use super::On::Postgres;

    #[tokio::test]
    async fn every_cell_of_the_films_is_accounted_for() {
        super::every_cell_of_the_films_is_accounted_for(Postgres).await;
    }

    #[tokio::test]
    async fn every_cell_of_the_airports_is_accounted_for() {
        super::every_cell_of_the_airports_is_accounted_for(Postgres).await;
    }
}
