//! Mapping, planning and undoing beside the pulls they belong to, on either storage.

use std::fs;

use super::{
    cluster::Databases,
    measure::{self, Contestant, Medians, Sample},
    member::World,
    members,
};

/// Changed fields of a member in [`World::All`].
const CHANGED_FIELDS: u64 = 4;

/// Where the contestants' databases are.
pub(crate) enum Base {
    Sqlite(tempfile::TempDir),
    Postgres(Databases),
}

impl Base {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().expect("the temporary folder takes a new one"))
    }

    /// `None` where there is no server and no program to start one; says so.
    pub(crate) fn postgres() -> Option<Self> {
        Databases::find().map(Self::Postgres)
    }

    fn title(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    /// An empty database; answers how to open it.
    fn fresh(&mut self, name: &str) -> String {
        match self {
            Self::Sqlite(folder) => folder.path().join(format!("{name}.db")).to_str().expect("the path is UTF-8").to_owned(),
            Self::Postgres(databases) => databases.fresh(name),
        }
    }

    /// A copy of a database that nobody uses.
    fn copy(&mut self, from: &str, to: &str) -> String {
        if let Self::Postgres(databases) = self {
            return databases.copy(from, to);
        }
        let (from, to) = (self.fresh(from), self.fresh(to));
        fs::copy(from, &to).expect("the prepared database can be copied");
        to
    }

    /// Tidies a database up after it was filled.
    pub(crate) fn settle(&self, name: &str) {
        if let Self::Postgres(databases) = self {
            databases.settle(name);
        }
    }

    fn drop(&mut self, name: &str) {
        match self {
            Self::Sqlite(folder) => {
                for file in ["db", "db-wal", "db-shm"].map(|ending| folder.path().join(format!("{name}.{ending}"))) {
                    let _ = fs::remove_file(file);
                }
            }
            Self::Postgres(databases) => databases.drop(name),
        }
    }

    /// Lets a child do this work on a database.
    fn run(&self, api: &str, database: &str, work: &str) -> Sample {
        let mode = match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        };
        measure::in_child(mode, &[api, database, work])
    }

    /// Bytes that lineage takes with its indexes; of SQLite all of the file, whose other parts hardly change in size.
    fn bytes_of_lineage(&self, database: &str) -> u64 {
        match self {
            Self::Sqlite(_) => {
                let file = rusqlite::Connection::open(database).expect("the database opens");
                let sql =
                    "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
                let bytes: i64 = file.query_row(sql, [], |row| row.get(0)).expect("a file has pages");
                bytes.unsigned_abs()
            }
            Self::Postgres(databases) => {
                databases.number(database, "SELECT pg_total_relation_size('syncline.lineage_entries')").unsigned_abs()
            }
        }
    }
}

/// Lets all run.
pub(crate) fn compare(service: &members::Child, rows: u64, rounds: usize, base: &mut Base) {
    let (api, title) = (service.url.as_str(), base.title());
    service.world(World::Base);
    measure::in_child("drain", &[api]);
    let base = std::cell::RefCell::new(base);
    let fresh = |name: &str, work: &str| {
        let database = base.borrow_mut().fresh(name);
        base.borrow().run(api, &database, work)
    };

    let lines = measure::in_turn(
        rounds,
        rows,
        &mut [
            Contestant::new("full pull, 20 columns mapped", |_| {
                let sample = fresh("mapped", "mapped");
                base.borrow_mut().drop("mapped");
                sample
            }),
            Contestant::new("the mapping alone, one thread", |_| measure::in_child("apply", &[api])),
        ],
    );
    measure::print(&format!("{title}, 20 columns with transforms"), &lines);
    println!("the mapping takes {:.0} % of the pull's own CPU (the goal is 30 % at most)", 100.0 * lines[1].cpu / lines[0].cpu);

    let lines = measure::in_turn(
        rounds,
        rows,
        &mut [
            Contestant::new("first pull", |round| {
                let name = format!("made-{round}");
                fresh(&name, "pull")
            }),
            Contestant::new("undo of it", |round| {
                let (from, name) = (format!("made-{round}"), "unmade");
                base.borrow().settle(&from);
                let database = base.borrow_mut().copy(&from, name);
                let sample = base.borrow().run(api, &database, "undo");
                base.borrow_mut().drop(name);
                if round > 0 {
                    base.borrow_mut().drop(&from);
                }
                sample
            })
            .rows(0),
        ],
    );
    measure::print(&format!("{title}, rows made and unmade"), &lines);
    print_times("the undo", &lines, 1.0);

    service.world(World::Hundredth);
    measure::in_child("drain", &[api]);
    let again = |work: &str| {
        let database = base.borrow_mut().copy("made-0", "again");
        let sample = base.borrow().run(api, &database, work);
        base.borrow_mut().drop("again");
        sample
    };
    let lines = measure::in_turn(
        rounds,
        rows,
        &mut [Contestant::new("full pull", |_| again("pull")), Contestant::new("plan of it", |_| again("plan"))],
    );
    measure::print(&format!("{title}, one in a hundred changed"), &lines);
    print_times("the plan", &lines, 1.2);

    service.world(World::All);
    measure::in_child("drain", &[api]);
    let (mut before, mut after) = (0, 0);
    let lines = measure::in_turn(
        rounds,
        rows,
        &mut [
            Contestant::new("full pull", |_| {
                let database = base.borrow_mut().copy("made-0", "changed");
                before = base.borrow().bytes_of_lineage(&database);
                let sample = base.borrow().run(api, &database, "pull");
                after = base.borrow().bytes_of_lineage(&database);
                sample
            }),
            Contestant::new("undo of it", |_| {
                base.borrow().settle("changed");
                let database = base.borrow_mut().copy("changed", "unchanged");
                let sample = base.borrow().run(api, &database, "undo");
                base.borrow_mut().drop("unchanged");
                base.borrow_mut().drop("changed");
                sample
            }),
        ],
    );
    measure::print(&format!("{title}, every row changed in four fields and back"), &lines);
    print_times("the undo", &lines, 1.0);
    let bytes = (after - before) as f64 / (rows * CHANGED_FIELDS) as f64;
    println!("lineage of a changed field takes {bytes:.0} bytes (the goal is 170 at most)");
    service.world(World::Base);
}

/// The second's time as a multiple of the first's.
fn print_times(what: &str, lines: &[Medians], goal: f64) {
    println!("{what} takes {:.2} times as long (the goal is {goal:.1} at most)", lines[1].seconds / lines[0].seconds);
}
