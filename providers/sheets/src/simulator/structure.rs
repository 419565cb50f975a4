//! Changing tabs, rows and columns: `spreadsheets.create` and `spreadsheets.batchUpdate`.

use serde_json::{Value, json};

use super::{
    book::Book,
    entry,
    grid::{SimCell, Tab},
};

/// The size of a new tab.
const ROWS: usize = 1000;
const COLUMNS: usize = 26;

/// A new spreadsheet as a body of `spreadsheets.create` describes it.
pub(super) fn create(id: String, body: &Value) -> Result<Book, String> {
    let properties = &body["properties"];
    let mut book = Book::new(id, properties["title"].as_str().unwrap_or("Untitled spreadsheet").to_owned());
    for (name, field) in [("locale", &mut book.locale), ("timeZone", &mut book.time_zone)] {
        if let Some(text) = properties[name].as_str() {
            text.clone_into(field);
        }
    }
    for sheet in body["sheets"].as_array().into_iter().flatten() {
        book.add_sheet(&sheet["properties"])?;
    }
    if book.tabs.is_empty() {
        book.add_sheet(&json!({}))?;
    }
    book.fits()?;
    Ok(book)
}

impl Book {
    /// Carries out the requests in their order; one reply each.
    pub(super) fn restructure(&mut self, body: &Value) -> Result<Value, String> {
        let requests = body["requests"].as_array().map(Vec::as_slice).unwrap_or_default();
        if requests.is_empty() {
            return Err("Must specify at least one request.".into());
        }
        if requests.len() > 100_000 {
            return Err("Cannot exceed 100000 requests in a single batch.".into());
        }
        let mut replies = Vec::new();
        for (at, request) in requests.iter().enumerate() {
            let mut kinds = request.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
            let (Some((kind, request)), None) = (kinds.next(), kinds.next()) else {
                return Err(format!("Invalid requests[{at}]: exactly one request must be set."));
            };
            let done = self.one(kind, request).and_then(|reply| self.fits().map(|()| reply));
            replies.push(done.map_err(|problem| format!("Invalid requests[{at}].{kind}: {problem}"))?);
        }
        Ok(json!({"spreadsheetId": self.id, "replies": replies}))
    }

    fn one(&mut self, kind: &str, request: &Value) -> Result<Value, String> {
        match kind {
            "addSheet" => return Ok(json!({"addSheet": {"properties": self.add_sheet(&request["properties"])?}})),
            "deleteSheet" => self.delete_sheet(request)?,
            "updateSheetProperties" => self.update_properties(request)?,
            "appendDimension" => {
                let count = length(&request["length"]).filter(|count| *count > 0).ok_or("length must be greater than 0.")?;
                let by_rows = by_rows(&request["dimension"])?;
                let tab = self.tab(&request["sheetId"])?;
                if by_rows { tab.rows += count } else { tab.columns += count }
            }
            "insertDimension" => self.insert(request)?,
            "deleteDimension" => self.delete(&request["range"])?,
            "updateCells" => self.update_cells(request)?,
            "appendCells" => self.append_cells(request)?,
            _ => return Err("this kind of request is not simulated.".into()),
        }
        Ok(json!({}))
    }

    /// Adds a tab; its properties.
    fn add_sheet(&mut self, properties: &Value) -> Result<Value, String> {
        let mut number = self.tabs.len() + 1;
        let title = properties["title"].as_str().map_or_else(
            || {
                while self.tabs.iter().any(|tab| tab.title == format!("Sheet{number}")) {
                    number += 1;
                }
                format!("Sheet{number}")
            },
            str::to_owned,
        );
        self.free_title(&title, None)?;
        let id = properties["sheetId"].as_i64();
        if let Some(id) = id.filter(|id| self.tabs.iter().any(|tab| tab.id == *id)) {
            return Err(format!("Sheet with id {id} already exists."));
        }
        let grid = &properties["gridProperties"];
        let size = |name: &str, usual| length(&grid[name]).unwrap_or(usual).max(1);
        let mut tab = Tab::grid(&title, size("rowCount", ROWS), size("columnCount", COLUMNS));
        tab.frozen = (length(&grid["frozenRowCount"]).unwrap_or(0), length(&grid["frozenColumnCount"]).unwrap_or(0));
        tab.hidden = properties["hidden"] == true;
        self.add(tab);
        let last = self.tabs.len() - 1;
        if let Some(id) = id {
            self.tabs[last].id = id;
        }
        let index = length(&properties["index"]).unwrap_or(last).min(last);
        let tab = self.tabs.remove(last);
        self.tabs.insert(index, tab);
        Ok(self.tabs[index].properties(index))
    }

    fn delete_sheet(&mut self, request: &Value) -> Result<(), String> {
        let id = request["sheetId"].as_i64().unwrap_or_default();
        let at = self.tabs.iter().position(|tab| tab.id == id).ok_or_else(|| format!("No sheet with id: {id}"))?;
        if self.tabs.len() == 1 {
            return Err("You can't remove all the sheets in a document.".into());
        }
        self.tabs.remove(at);
        Ok(())
    }

    fn update_properties(&mut self, request: &Value) -> Result<(), String> {
        let wanted = &request["properties"];
        let masks: Vec<&str> = request["fields"].as_str().unwrap_or_default().split(',').map(str::trim).filter(|m| !m.is_empty()).collect();
        if masks.is_empty() {
            return Err("At least one field must be listed in 'fields'. (Use '*' to indicate all fields.)".into());
        }
        let id = wanted["sheetId"].as_i64().unwrap_or_default();
        for mask in masks {
            match mask {
                "*" => {
                    for part in ["title", "hidden", "gridProperties", "index"].into_iter().filter(|part| !wanted[*part].is_null()) {
                        self.update_property(id, part, wanted)?;
                    }
                }
                mask => self.update_property(id, mask, wanted)?,
            }
        }
        Ok(())
    }

    fn update_property(&mut self, id: i64, mask: &str, wanted: &Value) -> Result<(), String> {
        if mask == "title" {
            let title = wanted["title"].as_str().unwrap_or_default().to_owned();
            self.free_title(&title, Some(id))?;
            self.tab(&json!(id))?.title = title;
            return Ok(());
        }
        if mask == "index" {
            let from = self.tabs.iter().position(|tab| tab.id == id).ok_or_else(|| format!("No sheet with id: {id}"))?;
            let tab = self.tabs.remove(from);
            let to = length(&wanted["index"]).unwrap_or_default().min(self.tabs.len());
            self.tabs.insert(to, tab);
            return Ok(());
        }
        let tab = self.tab(&json!(id))?;
        let grid = &wanted["gridProperties"];
        let masks: &[&str] = match mask.strip_prefix("gridProperties") {
            Some("") => &["rowCount", "columnCount", "frozenRowCount", "frozenColumnCount"],
            Some(field) => &[field.trim_start_matches('.')],
            None if mask == "hidden" => {
                tab.hidden = wanted["hidden"] == true;
                return Ok(());
            }
            None => return Err(format!("the field {mask:?} is not simulated.")),
        };
        for field in masks {
            let size = length(&grid[*field]);
            match (*field, size) {
                ("rowCount", Some(rows)) if rows > 0 => {
                    tab.rows = rows;
                    tab.cells.truncate(rows);
                }
                ("columnCount", Some(columns)) if columns > 0 => {
                    tab.columns = columns;
                    tab.cells.iter_mut().for_each(|cells| cells.truncate(columns));
                }
                ("rowCount" | "columnCount", _) if masks.len() > 1 => {}
                ("frozenRowCount", size) => tab.frozen.0 = size.unwrap_or(0),
                ("frozenColumnCount", size) => tab.frozen.1 = size.unwrap_or(0),
                _ => return Err(format!("the field {mask:?} is not simulated or out of bounds.")),
            }
        }
        Ok(())
    }

    fn insert(&mut self, request: &Value) -> Result<(), String> {
        let range = &request["range"];
        let (by_rows, from, to) = lines(range)?;
        let inherits = request["inheritFromBefore"] == true;
        let tab = self.tab(&range["sheetId"])?;
        let size = if by_rows { tab.rows } else { tab.columns };
        if inherits && from == 0 {
            return Err("inheritFromBefore cannot be true when startIndex is 0.".into());
        }
        if from > size || from == size && !inherits {
            return Err(format!("range.startIndex[{from}] must be less than the grid size ({size}) if inheritFromBefore is false."));
        }
        if by_rows {
            tab.insert_rows(from, to - from)
        } else {
            tab.insert_columns(from, to - from)
        }
        Ok(())
    }

    fn delete(&mut self, range: &Value) -> Result<(), String> {
        let (by_rows, from, to) = lines(range)?;
        let tab = self.tab(&range["sheetId"])?;
        let (size, frozen, word) = if by_rows { (tab.rows, tab.frozen.0, "row") } else { (tab.columns, tab.frozen.1, "column") };
        if to > size {
            let gone = to - 1;
            return Err(format!(
                "Cannot delete a {word} that doesn't exist. Tried to delete {word} index {gone} but there are only {size} {word}s."
            ));
        }
        if to - from.max(frozen).min(to) >= size - frozen {
            return Err(format!("Sorry, it is not possible to delete all non-frozen {word}s."));
        }
        if by_rows {
            tab.delete_rows(from, to)
        } else {
            tab.delete_columns(from, to)
        }
        Ok(())
    }

    fn update_cells(&mut self, request: &Value) -> Result<(), String> {
        writes_values(request)?;
        let rows = cells(&request["rows"])?;
        let (start, range) = (&request["start"], &request["range"]);
        let at = |value: &Value| length(value).unwrap_or_default();
        let (tab, top, left, bottom, right) = if start.is_null() {
            let tab = self.tab(&range["sheetId"])?;
            let (rows, columns) = (tab.rows, tab.columns);
            let end = |value: &Value, usual: usize| length(value).unwrap_or(usual).min(usual);
            let (bottom, right) = (end(&range["endRowIndex"], rows), end(&range["endColumnIndex"], columns));
            (tab, at(&range["startRowIndex"]), at(&range["startColumnIndex"]), bottom, right)
        } else {
            let tab = self.tab(&start["sheetId"])?;
            let (top, left) = (at(&start["rowIndex"]), at(&start["columnIndex"]));
            let (bottom, right) = (top + rows.len(), left + rows.iter().map(Vec::len).max().unwrap_or_default());
            (tab, top, left, bottom, right)
        };
        let beyond = rows.len() > bottom.saturating_sub(top) || rows.iter().any(|row| row.len() > right.saturating_sub(left));
        if beyond || bottom > tab.rows || right > tab.columns {
            let (rows, columns) = (tab.rows, tab.columns);
            return Err(format!("Attempting to write outside the range or the grid of {rows} rows and {columns} columns."));
        }
        // With a range, cells that no value is given for are cleared.
        for row in top..bottom {
            let given = rows.get(row - top);
            let end = if start.is_null() { right } else { left + given.map_or(0, Vec::len) };
            for column in left..end {
                let cell = given.and_then(|cells| cells.get(column - left)).cloned().unwrap_or_default();
                tab.put(row, column, cell);
            }
        }
        Ok(())
    }

    fn append_cells(&mut self, request: &Value) -> Result<(), String> {
        writes_values(request)?;
        if !request["tableId"].is_null() {
            return Err("tables are not simulated.".into());
        }
        let rows = cells(&request["rows"])?;
        let tab = self.tab(&request["sheetId"])?;
        let used = (0..tab.cells.len()).rev().find(|row| (0..tab.columns).any(|column| !tab.is_blank(*row, column)));
        let first = used.map_or(0, |row| row + 1);
        for (row, cells) in (first..).zip(rows) {
            (tab.rows, tab.columns) = (tab.rows.max(row + 1), tab.columns.max(cells.len()));
            cells.into_iter().enumerate().for_each(|(column, cell)| tab.put(row, column, cell));
        }
        Ok(())
    }

    fn free_title(&self, title: &str, of: Option<i64>) -> Result<(), String> {
        if self.tabs.iter().any(|tab| Some(tab.id) != of && tab.title.eq_ignore_ascii_case(title)) {
            return Err(format!("A sheet with the name \"{title}\" already exists. Please enter another name."));
        }
        Ok(())
    }

    fn tab(&mut self, id: &Value) -> Result<&mut Tab, String> {
        let id = id.as_i64().unwrap_or_default();
        self.tabs.iter_mut().find(|tab| tab.id == id && tab.is_grid()).ok_or_else(|| format!("No grid with id: {id}"))
    }
}

fn length(value: &Value) -> Option<usize> {
    usize::try_from(value.as_i64()?).ok()
}

fn by_rows(dimension: &Value) -> Result<bool, String> {
    match dimension.as_str() {
        Some("ROWS") => Ok(true),
        Some("COLUMNS") => Ok(false),
        _ => Err("No dimension specified.".into()),
    }
}

/// A `DimensionRange` with both ends.
fn lines(range: &Value) -> Result<(bool, usize, usize), String> {
    let by_rows = by_rows(&range["dimension"])?;
    let from = length(&range["startIndex"]).unwrap_or_default();
    let to = length(&range["endIndex"]).ok_or("range.endIndex is required here.")?;
    if from >= to {
        return Err(format!("range.endIndex[{to}] must be greater than range.startIndex[{from}]."));
    }
    Ok((by_rows, from, to))
}

/// Only values are written; formats and the rest are not simulated.
fn writes_values(request: &Value) -> Result<(), String> {
    match request["fields"].as_str().unwrap_or_default() {
        "" => Err("At least one field must be listed in 'fields'. (Use '*' to indicate all fields.)".into()),
        "*" | "userEnteredValue" => Ok(()),
        other => Err(format!("the fields {other:?} are not simulated.")),
    }
}

fn cells(rows: &Value) -> Result<Vec<Vec<SimCell>>, String> {
    let cell = |cell: &Value| {
        let value = &cell["userEnteredValue"];
        if let Some(text) = value["stringValue"].as_str() {
            entry::text_fits(text)?;
            return Ok(SimCell::from(text));
        }
        if let Some(text) = value["formulaValue"].as_str() {
            return Ok(SimCell::Formula(text.to_owned()));
        }
        let number = value["numberValue"].as_f64().map(SimCell::Number);
        Ok(number.or_else(|| value["boolValue"].as_bool().map(SimCell::Bool)).unwrap_or_default())
    };
    let row = |row: &Value| row["values"].as_array().into_iter().flatten().map(cell).collect();
    rows.as_array().into_iter().flatten().map(row).collect()
}
