//! Reading A1 notation as Google does.

use super::grid::Tab;
use crate::a1;

/// The cells a range means, counted from 0, ends excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) rows: (usize, usize),
    pub(super) columns: (usize, usize),
}

/// One end of a range: `B2`, `B` or `2`, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Corner {
    row: Option<usize>,
    column: Option<usize>,
}

/// A range as it was written: its tab and its ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The tab's place among the tabs.
    pub(super) tab: usize,
    from: Corner,
    to: Corner,
    /// One cell: what is written there may be larger.
    single: bool,
}

/// Finds the tab of a range; the message of the 400 otherwise.
pub(super) fn locate(text: &str, tabs: &[Tab]) -> Result<Place, String> {
    let unknown = || format!("Unable to parse range: {text}");
    let by_title = |title: &str| tabs.iter().position(|tab| tab.title == title && tab.is_grid()).ok_or_else(unknown);
    let (tab, corners) = if let Some(quoted) = text.strip_prefix('\'') {
        let (title, rest) = unquote(quoted).ok_or_else(unknown)?;
        match rest.strip_prefix('!') {
            Some(cells) => (by_title(&title)?, Some(corners(cells).ok_or_else(unknown)?)),
            None if rest.is_empty() => (by_title(&title)?, None),
            None => return Err(unknown()),
        }
    } else if let Some((title, cells)) = text.split_once('!') {
        (by_title(title)?, Some(corners(cells).ok_or_else(unknown)?))
    } else if let Some(corners) = corners(text) {
        // What looks like a cell is one, on the first tab, whatever the tabs are called.
        (tabs.iter().position(Tab::is_grid).ok_or_else(unknown)?, Some(corners))
    } else {
        (by_title(text)?, None)
    };
    let none = Corner { row: None, column: None };
    let (from, to) = corners.unwrap_or((none, none));
    Ok(Place { tab, from, to, single: corners.is_some() && !text.rsplit('!').next().unwrap_or_default().contains(':') })
}

impl Place {
    /// The cells, clipped to the tab's grid.
    pub(super) fn area(&self, tab: &Tab) -> Result<Area, String> {
        let (from, to) = (self.from, self.to);
        let area = Area {
            rows: (from.row.unwrap_or(0), to.row.map_or(tab.rows, |row| row + 1)),
            columns: (from.column.unwrap_or(0), to.column.map_or(tab.columns, |column| column + 1)),
        };
        if area.rows.0 >= tab.rows || area.columns.0 >= tab.columns {
            return Err(exceeds(tab, area));
        }
        let clip = |(start, end): (usize, usize), limit: usize| (start, end.min(limit));
        Ok(Area { rows: clip(area.rows, tab.rows), columns: clip(area.columns, tab.columns) })
    }

    /// The cells that `rows` × `columns` values would fill, if they may.
    pub(super) fn target(&self, tab: &Tab, rows: usize, columns: usize) -> Result<Area, String> {
        let area = self.area(tab)?;
        let target = Area { rows: (area.rows.0, area.rows.0 + rows.max(1)), columns: (area.columns.0, area.columns.0 + columns.max(1)) };
        if !self.single {
            let outside = |what: String| format!("Requested writing within range [{}], but tried writing to {what}", name(tab, area));
            if self.to.row.is_some_and(|last| target.rows.1 > last + 1) {
                return Err(outside(format!("row [{}]", area.rows.1 + 1)));
            }
            if self.to.column.is_some_and(|last| target.columns.1 > last + 1) {
                return Err(outside(format!("column [{}]", a1::letters(area.columns.1))));
            }
        }
        if target.rows.1 > tab.rows || target.columns.1 > tab.columns { Err(exceeds(tab, target)) } else { Ok(target) }
    }
}

fn exceeds(tab: &Tab, area: Area) -> String {
    let (rows, columns) = (tab.rows, tab.columns);
    format!("Range ({}) exceeds grid limits. Max rows: {rows}, max columns: {columns}", name(tab, area))
}

/// Finds the tab and the cells of a range, clipped to the tab's grid; the message of the 400 otherwise.
pub(super) fn find<'t>(text: &str, tabs: &'t [Tab]) -> Result<(&'t Tab, Area), String> {
    let place = locate(text, tabs)?;
    let tab = &tabs[place.tab];
    Ok((tab, place.area(tab)?))
}

/// The range as answers name it: quoted where it has to be.
pub(super) fn name(tab: &Tab, area: Area) -> String {
    let plain = tab.title.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && corners(&tab.title).is_none();
    let title = if plain { tab.title.clone() } else { format!("'{}'", tab.title.replace('\'', "''")) };
    let corner = |column: usize, row: usize| format!("{}{}", a1::letters(column), row + 1);
    format!("{title}!{}:{}", corner(area.columns.0, area.rows.0), corner(area.columns.1 - 1, area.rows.1 - 1))
}

/// A title up to its closing quote, and what follows.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut title = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('\'')?;
        title.push_str(part);
        match after.strip_prefix('\'') {
            Some(more) => {
                title.push('\'');
                rest = more;
            }
            None => return Some((title, after)),
        }
    }
}

fn corners(text: &str) -> Option<(Corner, Corner)> {
    match text.split_once(':') {
        Some((from, to)) => {
            let (from, to) = (corner(from)?, corner(to)?);
            // The corners may come in any order.
            let sorted = |one: Option<usize>, other: Option<usize>| match (one, other) {
                (Some(one), Some(other)) => (Some(one.min(other)), Some(one.max(other))),
                open => open,
            };
            let (rows, columns) = (sorted(from.row, to.row), sorted(from.column, to.column));
            Some((Corner { row: rows.0, column: columns.0 }, Corner { row: rows.1, column: columns.1 }))
        }
        // A lone letter or number is no range.
        None => corner(text).filter(|corner| corner.row.is_some() && corner.column.is_some()).map(|corner| (corner, corner)),
    }
}

fn corner(text: &str) -> Option<Corner> {
    let (letters, digits) = text.split_at(text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len()));
    if text.is_empty() || letters.len() > 3 || !letters.bytes().all(|letter| letter.is_ascii_alphabetic()) {
        return None;
    }
    let column = letters.bytes().fold(0, |column, letter| column * 26 + usize::from(letter.to_ascii_uppercase() - b'A') + 1);
    let row = if digits.is_empty() { None } else { Some(digits.parse::<usize>().ok()?.checked_sub(1)?) };
    Some(Corner { row, column: column.checked_sub(1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_echoed_and_refused_as_by_google() {
        let tabs: Vec<Tab> = ["Movies", "My Tab", "CRM26", "Jon's"].into_iter().map(|title| Tab::grid(title, 10, 4)).collect();
        let cases = [
            ("Movies", Ok("Movies!A1:D10")),
            ("'My Tab'!B2:C3", Ok("'My Tab'!B2:C3")),
            ("'Movies'!A2:Z99", Ok("Movies!A2:D10")),
            ("'Movies'!A2:C", Ok("Movies!A2:C10")),
            ("Movies!2:3", Ok("Movies!A2:D3")),
            ("'Movies'!C3:A2", Ok("Movies!A2:C3")),
            ("B2", Ok("Movies!B2:B2")),
            ("'CRM26'!A1:A1", Ok("'CRM26'!A1:A1")),
            ("'Jon''s'!A1:B1", Ok("'Jon''s'!A1:B1")),
            ("CRM26", Err("Range (Movies!CRM26:CRM26) exceeds grid limits. Max rows: 10, max columns: 4")),
            ("'Movies'!A11:B12", Err("Range (Movies!A11:B12) exceeds grid limits. Max rows: 10, max columns: 4")),
            ("'Gone'!A1:B2", Err("Unable to parse range: 'Gone'!A1:B2")),
            ("'Jon's'!A1", Err("Unable to parse range: 'Jon's'!A1")),
            ("Movies!A0", Err("Unable to parse range: Movies!A0")),
        ];
        for (text, expected) in cases {
            let found = find(text, &tabs).map(|(tab, area)| name(tab, area));
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
        }
    }
}
