//! A table as it is meant, and as it stands in a sheet.

use syncline::providers::sheets::simulator::{SheetsSim, SimCell};

/// A cell: what it says, in the words of the csv file, and how somebody wrote it.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) says: String,
    pub(crate) written: SimCell,
}

impl Cell {
    /// As an import of the csv file writes it.
    pub(crate) fn imported(says: &str) -> Self {
        Self { says: says.to_owned(), written: SimCell::imported(says) }
    }
}

/// A tab. Its first row is the header, so the row `n` of these is the sheet's row `n + 2`.
#[derive(Clone, Debug)]
pub(crate) struct Sheet {
    pub(crate) tab: &'static str,
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

impl Sheet {
    pub(crate) fn of_csv(tab: &'static str, text: &str) -> Self {
        let records = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes()).into_records();
        let mut lines = records.map(|record| record.expect("the file is well formed"));
        let header = lines.next().expect("a header").iter().map(str::to_owned).collect();
        let rows = lines.map(|line| line.iter().map(Cell::imported).collect()).collect();
        Self { tab, header, rows }
    }

    pub(crate) fn width(&self) -> usize {
        self.header.len()
    }

    /// Adds the tab to a spreadsheet.
    pub(crate) fn add_to(&self, sim: &SheetsSim) {
        sim.load(self.tab, &[&self.header[..]]);
        self.write_to(sim, 0);
    }

    /// Writes the tab anew below its header, where `before` rows stood.
    pub(crate) fn write_to(&self, sim: &SheetsSim, before: usize) {
        let widest = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        for row in 0..self.rows.len().max(before) {
            for column in 0..widest {
                let cell = self.rows.get(row).and_then(|cells| cells.get(column)).map_or(SimCell::Blank, |cell| cell.written.clone());
                sim.set_cell(self.tab, row + 2, column + 1, cell);
            }
        }
    }
}
