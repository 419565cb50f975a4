//! Which call a request is.

use percent_encoding::percent_decode_str;
use sync_http::Method;
use sync_testkit::{SimRequest, Simulated};

/// A call that is served. Ranges are decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Get,
    Create,
    BatchUpdate,
    ValuesGet(String),
    ValuesBatchGet,
    ValuesUpdate(String),
    ValuesBatchUpdate,
    ValuesAppend(String),
    ValuesClear(String),
    ValuesBatchClear,
    File,
}

/// The quota a call draws from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bucket {
    Reads,
    Writes,
    Drive,
}

/// Every call, in the order of the fields of [`Call`].
pub(super) const SIMULATED: &[Simulated] = &[
    call("sheets.spreadsheets.get", "GET /v4/spreadsheets/{spreadsheetId}", "values, number formats of whole columns and properties alone"),
    call(
        "sheets.spreadsheets.create",
        "POST /v4/spreadsheets",
        "with title, locale, timeZone and sheets of title, sheetId and size, without cells",
    ),
    call(
        "sheets.spreadsheets.batchUpdate",
        "POST /v4/spreadsheets/{spreadsheetId}:batchUpdate",
        "addSheet, deleteSheet, updateSheetProperties, appendDimension, insertDimension, deleteDimension, updateCells and appendCells (values alone)",
    ),
    call("sheets.values.get", "GET /v4/spreadsheets/{spreadsheetId}/values/{range}", ""),
    call("sheets.values.batchGet", "GET /v4/spreadsheets/{spreadsheetId}/values:batchGet", ""),
    call("sheets.values.update", "PUT /v4/spreadsheets/{spreadsheetId}/values/{range}", ENTERED),
    call("sheets.values.batchUpdate", "POST /v4/spreadsheets/{spreadsheetId}/values:batchUpdate", ENTERED),
    call("sheets.values.append", "POST /v4/spreadsheets/{spreadsheetId}/values/{range}:append", ENTERED),
    call("sheets.values.clear", "POST /v4/spreadsheets/{spreadsheetId}/values/{range}:clear", ""),
    call("sheets.values.batchClear", "POST /v4/spreadsheets/{spreadsheetId}/values:batchClear", ""),
    call("drive.files.get", "GET /drive/v3/files/{fileId}", "spreadsheets alone: kind, id, name, mimeType, modifiedTime, version, trashed"),
];

const ENTERED: &str =
    "USER_ENTERED reads numbers, percentages, TRUE, FALSE and ISO dates (formatting the column); formulas are kept and never calculated";

const fn call(operation: &'static str, request: &'static str, note: &'static str) -> Simulated {
    Simulated { operation, request, note }
}

impl Call {
    pub(super) fn operation(&self) -> &'static str {
        let at = match self {
            Self::Get => 0,
            Self::Create => 1,
            Self::BatchUpdate => 2,
            Self::ValuesGet(_) => 3,
            Self::ValuesBatchGet => 4,
            Self::ValuesUpdate(_) => 5,
            Self::ValuesBatchUpdate => 6,
            Self::ValuesAppend(_) => 7,
            Self::ValuesClear(_) => 8,
            Self::ValuesBatchClear => 9,
            Self::File => 10,
        };
        SIMULATED[at].operation
    }

    pub(super) fn bucket(&self) -> Bucket {
        match self {
            Self::Get | Self::ValuesGet(_) | Self::ValuesBatchGet => Bucket::Reads,
            Self::File => Bucket::Drive,
            _ => Bucket::Writes,
        }
    }

    /// The call's own query parameters.
    pub(super) fn parameters(&self) -> &'static [&'static str] {
        match self {
            Self::Get => &["ranges", "includeGridData", "excludeTablesInBandedRanges"],
            Self::ValuesGet(_) => &["majorDimension", "valueRenderOption", "dateTimeRenderOption"],
            Self::ValuesBatchGet => &["ranges", "majorDimension", "valueRenderOption", "dateTimeRenderOption"],
            Self::ValuesUpdate(_) => {
                &["valueInputOption", "includeValuesInResponse", "responseValueRenderOption", "responseDateTimeRenderOption"]
            }
            Self::ValuesAppend(_) => &[
                "valueInputOption",
                "insertDataOption",
                "includeValuesInResponse",
                "responseValueRenderOption",
                "responseDateTimeRenderOption",
            ],
            Self::File => &["acknowledgeAbuse", "includeLabels", "includePermissionsForView", "supportsAllDrives", "supportsTeamDrives"],
            _ => &[],
        }
    }
}

/// The id of the spreadsheet that is meant, and the call; `None` for a page that does not exist.
pub(super) fn route(request: &SimRequest) -> Option<(String, Call)> {
    let decoded = |text: &str| Some(percent_decode_str(text).decode_utf8().ok()?.into_owned());
    let (get, post, put) = (request.method == Method::GET, request.method == Method::POST, request.method == Method::PUT);
    if let Some(id) = request.path.strip_prefix("/drive/v3/files/") {
        return (get && !id.contains('/')).then_some((decoded(id)?, Call::File));
    }
    let Some(path) = request.path.strip_prefix("/v4/spreadsheets")?.strip_prefix('/') else {
        return (post && request.path == "/v4/spreadsheets").then(|| (String::new(), Call::Create));
    };
    let (id, rest) = path.split_once('/').map_or((path, None), |(id, rest)| (id, Some(rest)));
    let (id, call) = match rest {
        None if get => (id, Call::Get),
        None if post => (id.strip_suffix(":batchUpdate")?, Call::BatchUpdate),
        Some("values:batchGet") if get => (id, Call::ValuesBatchGet),
        Some("values:batchUpdate") if post => (id, Call::ValuesBatchUpdate),
        Some("values:batchClear") if post => (id, Call::ValuesBatchClear),
        Some(rest) => {
            let range = rest.strip_prefix("values/")?;
            match (range.strip_suffix(":append"), range.strip_suffix(":clear")) {
                (Some(range), _) if post => (id, Call::ValuesAppend(decoded(range)?)),
                (_, Some(range)) if post => (id, Call::ValuesClear(decoded(range)?)),
                _ if get => (id, Call::ValuesGet(decoded(range)?)),
                _ if put => (id, Call::ValuesUpdate(decoded(range)?)),
                _ => return None,
            }
        }
        None => return None,
    };
    Some((decoded(id)?, call))
}
