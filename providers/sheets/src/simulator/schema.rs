//! The messages of the API as far as they are simulated: what bodies may hold and field masks may name.

use serde_json::Value;
use sync_testkit::SimAnswer;

use super::refusal;

/// The form of a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// Whatever it is: parts that are accepted and not looked into.
    Any,
    Text,
    Number,
    Whole,
    Flag,
    /// One of these names; the type's name goes into refusals.
    Name(&'static str, &'static [&'static str]),
    Message(Fields),
    List(&'static Form),
}

/// A message's fields by name.
pub(super) type Fields = &'static [(&'static str, Form)];

use Form::{Any, Flag, List, Message, Name, Number, Text, Whole};

const INPUT: Form =
    Name("type.googleapis.com/google.apps.sheets.v4.ValueInputOption", &["INPUT_VALUE_OPTION_UNSPECIFIED", "RAW", "USER_ENTERED"]);
const SHOWN: Form =
    Name("type.googleapis.com/google.apps.sheets.v4.ValueRenderOption", &["FORMATTED_VALUE", "UNFORMATTED_VALUE", "FORMULA"]);
const DATES: Form = Name("type.googleapis.com/google.apps.sheets.v4.DateTimeRenderOption", &["SERIAL_NUMBER", "FORMATTED_STRING"]);
const INSERT: Form = Name("type.googleapis.com/google.apps.sheets.v4.InsertDataOption", &["OVERWRITE", "INSERT_ROWS"]);
const DIMENSION: Form = Name("type.googleapis.com/google.apps.sheets.v4.Dimension", &["DIMENSION_UNSPECIFIED", "ROWS", "COLUMNS"]);

/// Query parameters that are no plain text.
pub(super) const PARAMETERS: Fields = &[
    ("valueInputOption", INPUT),
    ("valueRenderOption", SHOWN),
    ("responseValueRenderOption", SHOWN),
    ("dateTimeRenderOption", DATES),
    ("responseDateTimeRenderOption", DATES),
    ("insertDataOption", INSERT),
    ("majorDimension", DIMENSION),
];

pub(super) const VALUE_RANGE: Fields = &[("range", Text), ("majorDimension", DIMENSION), ("values", List(&List(&Any)))];
pub(super) const BATCH_GET: Fields = &[("spreadsheetId", Text), ("valueRanges", List(&Message(VALUE_RANGE)))];
pub(super) const BATCH_VALUES: Fields = &[
    ("valueInputOption", INPUT),
    ("data", List(&Message(VALUE_RANGE))),
    ("includeValuesInResponse", Flag),
    ("responseValueRenderOption", SHOWN),
    ("responseDateTimeRenderOption", DATES),
];
pub(super) const UPDATED: Fields = &[
    ("spreadsheetId", Text),
    ("updatedRange", Text),
    ("updatedRows", Whole),
    ("updatedColumns", Whole),
    ("updatedCells", Whole),
    ("updatedData", Message(VALUE_RANGE)),
];
pub(super) const BATCH_UPDATED: Fields = &[
    ("spreadsheetId", Text),
    ("totalUpdatedRows", Whole),
    ("totalUpdatedColumns", Whole),
    ("totalUpdatedCells", Whole),
    ("totalUpdatedSheets", Whole),
    ("responses", List(&Message(UPDATED))),
];
pub(super) const APPENDED: Fields = &[("spreadsheetId", Text), ("tableRange", Text), ("updates", Message(UPDATED))];
pub(super) const CLEARED: Fields = &[("spreadsheetId", Text), ("clearedRange", Text)];
pub(super) const BATCH_CLEAR: Fields = &[("ranges", List(&Text))];
pub(super) const BATCH_CLEARED: Fields = &[("spreadsheetId", Text), ("clearedRanges", List(&Text))];

const GRID_PROPERTIES: Fields = &[
    ("rowCount", Whole),
    ("columnCount", Whole),
    ("frozenRowCount", Whole),
    ("frozenColumnCount", Whole),
    ("hideGridlines", Flag),
    ("rowGroupControlAfter", Flag),
    ("columnGroupControlAfter", Flag),
];
const SHEET_PROPERTIES: Fields = &[
    ("sheetId", Whole),
    ("title", Text),
    ("index", Whole),
    (
        "sheetType",
        Name("type.googleapis.com/google.apps.sheets.v4.SheetType", &["SHEET_TYPE_UNSPECIFIED", "GRID", "OBJECT", "DATA_SOURCE"]),
    ),
    ("gridProperties", Message(GRID_PROPERTIES)),
    ("hidden", Flag),
    ("tabColor", Any),
    ("tabColorStyle", Any),
    ("rightToLeft", Flag),
    ("dataSourceSheetProperties", Any),
];
const VALUE: Fields = &[
    ("numberValue", Number),
    ("stringValue", Text),
    ("boolValue", Flag),
    ("formulaValue", Text),
    ("errorValue", Message(&[("type", Text), ("message", Text)])),
];
const CELL: Fields = &[
    ("userEnteredValue", Message(VALUE)),
    ("effectiveValue", Message(VALUE)),
    ("formattedValue", Text),
    ("userEnteredFormat", Any),
    ("effectiveFormat", Any),
    ("hyperlink", Text),
    ("note", Text),
    ("textFormatRuns", Any),
    ("dataValidation", Any),
    ("pivotTable", Any),
    ("dataSourceTable", Any),
    ("dataSourceFormula", Any),
    ("chipRuns", Any),
];
const ROW: Fields = &[("values", List(&Message(CELL)))];
const GRID_DATA: Fields =
    &[("startRow", Whole), ("startColumn", Whole), ("rowData", List(&Message(ROW))), ("rowMetadata", Any), ("columnMetadata", Any)];
const SHEET: Fields = &[
    ("properties", Message(SHEET_PROPERTIES)),
    ("data", List(&Message(GRID_DATA))),
    ("merges", Any),
    ("conditionalFormats", Any),
    ("filterViews", Any),
    ("protectedRanges", Any),
    ("basicFilter", Any),
    ("charts", Any),
    ("bandedRanges", Any),
    ("developerMetadata", Any),
    ("rowGroups", Any),
    ("columnGroups", Any),
    ("slicers", Any),
    ("tables", Any),
];
pub(super) const SPREADSHEET: Fields = &[
    ("spreadsheetId", Text),
    (
        "properties",
        Message(&[
            ("title", Text),
            ("locale", Text),
            ("autoRecalc", Any),
            ("timeZone", Text),
            ("defaultFormat", Any),
            ("iterativeCalculationSettings", Any),
            ("spreadsheetTheme", Any),
            ("importFunctionsExternalUrlAccessAllowed", Flag),
        ]),
    ),
    ("sheets", List(&Message(SHEET))),
    ("namedRanges", Any),
    ("spreadsheetUrl", Text),
    ("developerMetadata", Any),
    ("dataSources", Any),
    ("dataSourceSchedules", Any),
];

const LINES: Form = Message(&[("sheetId", Whole), ("dimension", DIMENSION), ("startIndex", Whole), ("endIndex", Whole)]);
const PLACE: Form = Message(&[("sheetId", Whole), ("rowIndex", Whole), ("columnIndex", Whole)]);
const CELLS: Form = Message(&[
    ("sheetId", Whole),
    ("startRowIndex", Whole),
    ("endRowIndex", Whole),
    ("startColumnIndex", Whole),
    ("endColumnIndex", Whole),
]);

/// The kinds of request that are carried out, then those Google knows besides.
const REQUEST: Fields = &[
    ("addSheet", Message(&[("properties", Message(SHEET_PROPERTIES))])),
    ("deleteSheet", Message(&[("sheetId", Whole)])),
    ("updateSheetProperties", Message(&[("properties", Message(SHEET_PROPERTIES)), ("fields", Text)])),
    ("appendDimension", Message(&[("sheetId", Whole), ("dimension", DIMENSION), ("length", Whole)])),
    ("insertDimension", Message(&[("range", LINES), ("inheritFromBefore", Flag)])),
    ("deleteDimension", Message(&[("range", LINES)])),
    ("updateCells", Message(&[("rows", List(&Message(ROW))), ("fields", Text), ("start", PLACE), ("range", CELLS)])),
    ("appendCells", Message(&[("sheetId", Whole), ("rows", List(&Message(ROW))), ("fields", Text), ("tableId", Text)])),
    ("addBanding", Any),
    ("addChart", Any),
    ("addConditionalFormatRule", Any),
    ("addDataSource", Any),
    ("addDimensionGroup", Any),
    ("addFilterView", Any),
    ("addNamedRange", Any),
    ("addProtectedRange", Any),
    ("addSlicer", Any),
    ("addTable", Any),
    ("autoFill", Any),
    ("autoResizeDimensions", Any),
    ("cancelDataSourceRefresh", Any),
    ("clearBasicFilter", Any),
    ("copyPaste", Any),
    ("createDeveloperMetadata", Any),
    ("cutPaste", Any),
    ("deleteBanding", Any),
    ("deleteConditionalFormatRule", Any),
    ("deleteDataSource", Any),
    ("deleteDeveloperMetadata", Any),
    ("deleteDimensionGroup", Any),
    ("deleteDuplicates", Any),
    ("deleteEmbeddedObject", Any),
    ("deleteFilterView", Any),
    ("deleteNamedRange", Any),
    ("deleteProtectedRange", Any),
    ("deleteRange", Any),
    ("deleteTable", Any),
    ("duplicateFilterView", Any),
    ("duplicateSheet", Any),
    ("findReplace", Any),
    ("insertRange", Any),
    ("mergeCells", Any),
    ("moveDimension", Any),
    ("pasteData", Any),
    ("randomizeRange", Any),
    ("refreshDataSource", Any),
    ("repeatCell", Any),
    ("setBasicFilter", Any),
    ("setDataValidation", Any),
    ("sortRange", Any),
    ("textToColumns", Any),
    ("trimWhitespace", Any),
    ("unmergeCells", Any),
    ("updateBanding", Any),
    ("updateBorders", Any),
    ("updateChartSpec", Any),
    ("updateConditionalFormatRule", Any),
    ("updateDataSource", Any),
    ("updateDeveloperMetadata", Any),
    ("updateDimensionGroup", Any),
    ("updateDimensionProperties", Any),
    ("updateEmbeddedObjectBorder", Any),
    ("updateEmbeddedObjectPosition", Any),
    ("updateFilterView", Any),
    ("updateNamedRange", Any),
    ("updateProtectedRange", Any),
    ("updateSlicerSpec", Any),
    ("updateSpreadsheetProperties", Any),
    ("updateTable", Any),
];
pub(super) const BATCH: Fields = &[
    ("requests", List(&Message(REQUEST))),
    ("includeSpreadsheetInResponse", Flag),
    ("responseRanges", List(&Text)),
    ("responseIncludeGridData", Flag),
];
pub(super) const BATCH_DONE: Fields = &[("spreadsheetId", Text), ("replies", List(&Any)), ("updatedSpreadsheet", Message(SPREADSHEET))];
/// A file of Drive: what is answered, then what a mask may name besides.
pub(super) const FILE: Fields = &[
    ("kind", Text),
    ("id", Text),
    ("name", Text),
    ("mimeType", Text),
    ("modifiedTime", Text),
    ("version", Text),
    ("trashed", Flag),
    ("appProperties", Any),
    ("capabilities", Any),
    ("clientEncryptionDetails", Any),
    ("contentHints", Any),
    ("contentRestrictions", Any),
    ("copyRequiresWriterPermission", Any),
    ("createdTime", Any),
    ("description", Any),
    ("downloadRestrictions", Any),
    ("driveId", Any),
    ("explicitlyTrashed", Any),
    ("exportLinks", Any),
    ("fileExtension", Any),
    ("folderColorRgb", Any),
    ("fullFileExtension", Any),
    ("hasAugmentedPermissions", Any),
    ("hasThumbnail", Any),
    ("headRevisionId", Any),
    ("iconLink", Any),
    ("imageMediaMetadata", Any),
    ("inheritedPermissionsDisabled", Any),
    ("isAppAuthorized", Any),
    ("labelInfo", Any),
    ("lastModifyingUser", Any),
    ("linkShareMetadata", Any),
    ("md5Checksum", Any),
    ("modifiedByMe", Any),
    ("modifiedByMeTime", Any),
    ("originalFilename", Any),
    ("ownedByMe", Any),
    ("owners", Any),
    ("parents", Any),
    ("permissionIds", Any),
    ("permissions", Any),
    ("properties", Any),
    ("quotaBytesUsed", Any),
    ("resourceKey", Any),
    ("sha1Checksum", Any),
    ("sha256Checksum", Any),
    ("shared", Any),
    ("sharedWithMeTime", Any),
    ("sharingUser", Any),
    ("shortcutDetails", Any),
    ("size", Any),
    ("spaces", Any),
    ("starred", Any),
    ("teamDriveId", Any),
    ("thumbnailLink", Any),
    ("thumbnailVersion", Any),
    ("trashedTime", Any),
    ("trashingUser", Any),
    ("videoMediaMetadata", Any),
    ("viewedByMe", Any),
    ("viewedByMeTime", Any),
    ("viewersCanCopyContent", Any),
    ("webContentLink", Any),
    ("webViewLink", Any),
    ("writersCanShare", Any),
];

/// Refuses what a message does not have, in Google's words; paths are written in the names of the protocol buffers.
pub(super) fn check(value: &Value, fields: Fields, path: &str) -> Result<(), SimAnswer> {
    let Value::Object(object) = value else {
        return Err(refusal::violation(path, &format!("Invalid value at '{path}', {value}")));
    };
    for (name, value) in object {
        let Some((_, form)) = fields.iter().find(|(known, _)| known == name) else {
            let at = if path.is_empty() { String::new() } else { format!(" at '{path}'") };
            return Err(refusal::violation(
                path,
                &format!("Invalid JSON payload received. Unknown name \"{name}\"{at}: Cannot find field."),
            ));
        };
        let path = if path.is_empty() { snake(name) } else { format!("{path}.{}", snake(name)) };
        check_form(value, *form, &path)?;
    }
    Ok(())
}

fn check_form(value: &Value, form: Form, path: &str) -> Result<(), SimAnswer> {
    let wrong = |kind: &str| Err(refusal::violation(path, &format!("Invalid value at '{path}' ({kind}), {value}")));
    match (form, value) {
        (_, Value::Null) | (Any, _) | (Text, Value::String(_)) | (Number, Value::Number(_)) | (Flag, Value::Bool(_)) => Ok(()),
        (Whole, Value::Number(number)) if number.as_f64().is_some_and(|number| number.fract() == 0.0) => Ok(()),
        (Name(_, names), Value::String(name)) if names.contains(&name.as_str()) => Ok(()),
        (Message(fields), Value::Object(_)) => check(value, fields, path),
        (List(form), Value::Array(items)) => {
            items.iter().enumerate().try_for_each(|(at, item)| check_form(item, *form, &format!("{path}[{at}]")))
        }
        (Text, _) => wrong("TYPE_STRING"),
        (Number, _) => wrong("TYPE_DOUBLE"),
        (Whole, _) => wrong("TYPE_INT32"),
        (Flag, _) => wrong("TYPE_BOOL"),
        (Name(kind, _), _) => wrong(kind),
        (Message(_) | List(_), _) => Err(refusal::violation(path, &format!("Invalid value at '{path}', {value}"))),
    }
}

/// `valueInputOption` as `value_input_option`.
pub(super) fn snake(name: &str) -> String {
    name.chars().fold(String::new(), |mut text, c| {
        if c.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
        text
    })
}
