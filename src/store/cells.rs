//! Rows of either back end, read by the names of their columns.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use super::StoreError;
use crate::dossier::DossierId;

/// A row. `…_if`: of a column that may be empty.
pub(super) trait Cells {
    fn text(&self, column: &'static str) -> Result<String, sqlx::Error>;
    fn text_if(&self, column: &'static str) -> Result<Option<String>, sqlx::Error>;
    fn number(&self, column: &'static str) -> Result<i64, sqlx::Error>;
    fn number_if(&self, column: &'static str) -> Result<Option<i64>, sqlx::Error>;
    fn flag(&self, column: &'static str) -> Result<bool, sqlx::Error>;
    fn dossier_if(&self, column: &'static str) -> Result<Option<DossierId>, sqlx::Error>;

    fn dossier(&self, column: &'static str) -> Result<DossierId, sqlx::Error> {
        let id = self.dossier_if(column)?;
        id.ok_or_else(|| sqlx::Error::ColumnNotFound(column.to_owned()))
    }

    /// Milliseconds since 1970 as a time.
    fn time(&self, column: &'static str) -> Result<Timestamp, sqlx::Error> {
        self.number(column).map(time)
    }

    fn time_if(&self, column: &'static str) -> Result<Option<Timestamp>, sqlx::Error> {
        Ok(self.number_if(column)?.map(time))
    }

    fn document<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, StoreError> {
        document(column, &self.text(column)?)
    }

    fn document_if<T: DeserializeOwned>(&self, column: &'static str) -> Result<Option<T>, StoreError> {
        let text = self.text_if(column)?;
        text.map(|text| document(column, &text)).transpose()
    }
}

macro_rules! cells {
    ($row:ty, $id:ty, $dossier:expr) => {
        impl Cells for $row {
            fn text(&self, column: &'static str) -> Result<String, sqlx::Error> {
                self.try_get(column)
            }

            fn text_if(&self, column: &'static str) -> Result<Option<String>, sqlx::Error> {
                self.try_get(column)
            }

            fn number(&self, column: &'static str) -> Result<i64, sqlx::Error> {
                self.try_get(column)
            }

            fn number_if(&self, column: &'static str) -> Result<Option<i64>, sqlx::Error> {
                self.try_get(column)
            }

            fn flag(&self, column: &'static str) -> Result<bool, sqlx::Error> {
                self.try_get(column)
            }

            fn dossier_if(&self, column: &'static str) -> Result<Option<DossierId>, sqlx::Error> {
                let id: Option<$id> = self.try_get(column)?;
                id.map($dossier).transpose()
            }
        }
    };
}

cells!(PgRow, uuid::Uuid, |id| Ok(DossierId(id)));
cells!(SqliteRow, String, |id| id
    .parse()
    .map_err(|error: uuid::Error| sqlx::Error::Decode(error.into())));

/// A stored document, or which table or column held something else.
pub(super) fn document<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|source| StoreError::Document { what, source })
}

pub(super) fn time(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}
