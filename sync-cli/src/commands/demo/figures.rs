//! The table in which runs are told: nine columns of figures behind stream and table, with shorter names where a terminal is narrow.

use syncline::Counts;

use crate::output::{Style, number};

/// Columns a terminal needs for the names in full.
const WIDE: usize = 101;

/// What colours a figure that is not zero.
type Paint = fn(Style, String) -> String;

/// What is told of a run.
#[derive(Debug)]
pub(super) struct Told {
    /// Stream and table.
    pub(super) label: String,
    pub(super) counts: Counts,
    /// Rows of the table; a push has none.
    pub(super) rows: Option<u64>,
    pub(super) took: String,
    /// How it ended, where that is worth a word.
    pub(super) note: Option<(Ended, &'static str)>,
}

/// How bad an end is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ended {
    Badly,
    Early,
}

/// The columns: name and width, and both again for narrow terminals.
const COLUMNS: [(&str, usize, &str, usize); 9] = [
    ("read", 6, "read", 6),
    ("created", 8, "new", 6),
    ("updated", 8, "chg", 4),
    ("unchanged", 10, "same", 6),
    ("skipped", 8, "skip", 5),
    ("failed", 7, "fail", 5),
    ("deleted", 8, "del", 4),
    ("rows", 6, "rows", 6),
    ("took", 7, "took", 8),
];

/// Widths of the first column.
const LABEL: (usize, usize) = (27, 26);

/// The table on a terminal of some width.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    narrow: bool,
}

impl Figures {
    pub(super) fn new(width: usize) -> Self {
        Self { narrow: width < WIDE }
    }

    fn label(self) -> usize {
        if self.narrow { LABEL.1 } else { LABEL.0 }
    }

    fn widths(self) -> [usize; 9] {
        COLUMNS.map(|(_, wide, _, narrow)| if self.narrow { narrow } else { wide })
    }

    /// The names of the columns.
    pub(super) fn header(self) -> String {
        let names = COLUMNS.map(|(wide, _, narrow, _)| if self.narrow { narrow } else { wide });
        let names: String = names.iter().zip(self.widths()).map(|(name, width)| format!("{name:>width$}")).collect();
        format!("{:<label$}{names}", "stream → table", label = self.label())
    }

    /// A run as a line.
    pub(super) fn line(self, told: &Told, style: Style) -> String {
        let counts = &told.counts;
        let figures: [(u64, Option<Paint>); 7] = [
            (counts.read, None),
            (counts.created, Some(Style::good)),
            (counts.updated, Some(Style::good)),
            (counts.unchanged, None),
            (counts.skipped, Some(Style::warn)),
            (counts.failed, Some(Style::bad)),
            (counts.deleted + counts.swept, Some(Style::good)),
        ];
        let widths = self.widths();
        let mut line = format!("{:<label$}", told.label, label = self.label());
        for ((figure, paint), width) in figures.into_iter().zip(widths) {
            let text = format!("{:>width$}", number(figure));
            line.push_str(&match paint {
                _ if figure == 0 => style.faint(text),
                Some(paint) => paint(style, text),
                None => text,
            });
        }
        let (rows, took) = (widths[7], widths[8]);
        let text = format!("{:>rows$}", told.rows.map(number).unwrap_or_default());
        line.push_str(&if told.rows == Some(0) { style.faint(text) } else { text });
        let note = told.note.map(|(ended, word)| {
            let paint = |word: String| match ended {
                Ended::Badly => style.bad(word),
                Ended::Early => style.warn(word),
            };
            // There is no room for both; how it ended says more.
            if self.narrow { paint(format!("{word:>took$}")) } else { format!("{:>took$}{}", told.took, paint(format!("  {word}"))) }
        });
        line.push_str(&note.unwrap_or_else(|| format!("{:>took$}", told.took)));
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(note: Option<(Ended, &'static str)>) -> Told {
        let counts = Counts { read: 3_376, created: 3_376, updated: 34, unchanged: 3_342, skipped: 25, failed: 8, ..Counts::default() };
        let counts = Counts { deleted: 1, swept: 1, ..counts };
        Told { label: "Airports → sheets_airports".into(), counts, rows: Some(3_376), took: "158 ms".into(), note }
    }

    #[test]
    fn table_fits_its_terminal_with_every_figure_below_its_name() {
        for (width, lines) in [
            (
                80,
                [
                    "stream → table              read   new chg  same skip fail del  rows    took",
                    "Airports → sheets_airports 3,376 3,376  34 3,342   25    8   2 3,376  158 ms",
                    "Airports → sheets_airports 3,376 3,376  34 3,342   25    8   2 3,376 stopped",
                ],
            ),
            (
                120,
                [
                    "stream → table               read created updated unchanged skipped failed deleted  rows   took",
                    "Airports → sheets_airports  3,376   3,376      34     3,342      25      8       2 3,376 158 ms",
                    "Airports → sheets_airports  3,376   3,376      34     3,342      25      8       2 3,376 158 ms  stopped",
                ],
            ),
        ] {
            let figures = Figures::new(width);
            let line = |note| figures.line(&told(note), Style::plain());
            assert_eq!([figures.header(), line(None), line(Some((Ended::Early, "stopped")))], lines);
            // Below a step they are set in by four.
            assert!(lines.iter().all(|line| line.chars().count() + 4 <= width), "{width}");
        }
    }
}
