//! Rows under a heading: for people each column as wide as it needs to be, as JSON an object a row. What the cells hold
//! may come from outside and is escaped. Knows nothing of what they say.

use serde_json::{Map, Value};

use super::escape;

/// What stands where nothing is known.
const ABSENT: &str = "-";

/// Rows of values, as many in each as there are columns.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// The columns as JSON names them: `valid_until`; for people `VALID UNTIL`.
    columns: &'static [&'static str],
    rows: Vec<Vec<Value>>,
}

impl Table {
    pub(super) fn new(columns: &'static [&'static str]) -> Table {
        Table { columns, rows: Vec::new() }
    }

    /// One more row. `null` is what is not known or not there.
    pub(super) fn push(&mut self, row: Vec<Value>) {
        debug_assert_eq!(row.len(), self.columns.len());
        self.rows.push(row);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// For people; numbers stand to the right.
    pub(super) fn text(&self) -> String {
        let heading = self.columns.iter().map(|name| name.replace('_', " ").to_uppercase()).collect();
        let cells = self.rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>());
        let all: Vec<Vec<String>> = std::iter::once(heading).chain(cells).collect();
        let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let is_number = |column: usize| {
            !self.rows.is_empty()
                && self.rows.iter().all(|row| row[column].is_number() || row[column].is_null())
        };
        let numbers: Vec<bool> = (0..self.columns.len()).map(is_number).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).zip(&numbers).map(|((cell, width), number)| {
                if *number { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        all.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// For machines.
    pub(super) fn json(&self) -> Value {
        let object = |row: &Vec<Value>| {
            let named = self.columns.iter().zip(row).map(|(name, value)| ((*name).to_owned(), value.clone()));
            Value::Object(named.collect::<Map<_, _>>())
        };
        self.rows.iter().map(object).collect()
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => ABSENT.into(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::String(text) if text.is_empty() => "\"\"".into(),
        Value::String(text) => escape::line(text),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need_to_be_and_nothing_breaks_a_row() {
        let mut table = Table::new(&["client_id", "online", "bytes"]);
        table.push(vec!["größe\n".into(), true.into(), 7.into()]);
        table.push(vec![Value::Null, false.into(), 12_345.into()]);
        assert_eq!(
            table.text(),
            "CLIENT ID  ONLINE  BYTES\n\
             größe\\n    yes         7\n\
             -          no      12345"
        );
        assert_eq!(
            table.json(),
            json!([
                { "client_id": "größe\n", "online": true, "bytes": 7 },
                { "client_id": null, "online": false, "bytes": 12_345 },
            ])
        );
        assert!(Table::new(&["a"]).is_empty());
    }
}
