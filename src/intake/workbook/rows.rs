//! The rows of a sheet on their way out: heading first, blank rows passed over, merged and hidden ones told about.

use super::super::table::{Broken, Fault, Opened, Outlet, TableRow};
use crate::model::problem::Problem;

/// Cells that are shown as one; all counted from 1, ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) first_row: u64,
    pub(super) last_row: u64,
    pub(super) first_column: u64,
    pub(super) last_column: u64,
}

/// A row as the sheet has it.
#[derive(Debug, Default)]
pub(super) struct SheetRow {
    /// Its number in the sheet, from 1.
    pub(super) number: u64,
    pub(super) hidden: bool,
    pub(super) cells: Vec<String>,
    pub(super) faults: Vec<Fault>,
}

/// Takes rows and hands them over.
pub(super) struct Rows<'o> {
    outlet: &'o mut Outlet,
    kind: &'static str,
    sheet: String,
    /// Areas whose first row is still to come, the next one last; and those that the row lies in.
    waiting: Vec<Area>,
    merged: Vec<Area>,
    heading_read: bool,
    hidden: u64,
    notices: Vec<Problem>,
}

impl<'o> Rows<'o> {
    pub(super) fn new(
        outlet: &'o mut Outlet,
        kind: &'static str,
        sheet: &str,
        notice: Option<Problem>,
        mut waiting: Vec<Area>,
    ) -> Rows<'o> {
        waiting.sort_by_key(|area| std::cmp::Reverse(area.first_row));
        let notices = notice.into_iter().collect();
        let (merged, sheet) = (Vec::new(), sheet.to_owned());
        Rows { outlet, kind, sheet, waiting, merged, heading_read: false, hidden: 0, notices }
    }

    /// Says that cells are merged that begin in the row that is taken next.
    pub(super) fn merge(&mut self, area: Area) {
        self.merged.push(area);
    }

    pub(super) fn take(&mut self, row: SheetRow) -> Result<(), Broken> {
        let SheetRow { number, hidden, mut cells, mut faults } = row;
        while let Some(area) = self.waiting.pop_if(|area| area.first_row <= number) {
            self.merged.push(area);
        }
        self.merged.retain(|area| area.last_row >= number);
        let areas = &self.merged;
        let blank = cells.iter().all(|cell| cell.trim().is_empty()) && faults.is_empty();
        // A row that only lies below the value of a merged cell looks full to whoever sees the sheet.
        let covered = areas.iter().any(|area| area.first_row < number);
        if blank && !(covered && self.heading_read) {
            return Ok(());
        }
        if !self.heading_read {
            self.heading_read = true;
            while cells.last().is_some_and(|cell| cell.trim().is_empty()) {
                cells.pop();
            }
            if let Some(area) = areas.first() {
                let message = format!(
                    "cells {} of the heading are merged, so only the first of these columns has a name; unmerge them \
                     and name each column, or the others are left out",
                    area.name()
                );
                self.notices.push(Problem::new("merged-heading", "", message));
            }
            let sheet = Some(self.sheet.clone());
            return self.outlet.opened(Opened { headings: cells, kind: self.kind, sheet });
        }
        self.hidden += u64::from(hidden);
        faults.extend(areas.iter().map(Area::fault));
        self.outlet.row(TableRow { place: number, cells, faults })
    }

    /// What is to be said of the sheet as a whole.
    pub(super) fn finish(mut self) -> Result<Vec<Problem>, Broken> {
        if !self.heading_read {
            // A sheet that was named and has nothing in it.
            self.outlet.opened(Opened { headings: Vec::new(), kind: self.kind, sheet: Some(self.sheet.clone()) })?;
        }
        if self.hidden > 0 {
            let message = format!(
                "{} of the rows of sheet {:?} are hidden, by hand or by a filter; they were taken in like the others. If \
                 these persons shall not be told, delete the rows",
                self.hidden, self.sheet
            );
            self.notices.push(Problem::new("hidden-rows", "", message));
        }
        Ok(self.notices)
    }
}

impl Area {
    fn name(&self) -> String {
        format!("{}:{}", cell_name(self.first_column, self.first_row), cell_name(self.last_column, self.last_row))
    }

    fn fault(&self) -> Fault {
        let message = format!(
            "cells {} are merged: the value is in the first one only, and the others were taken as empty; unmerge them \
             and fill in each row",
            self.name()
        );
        // The first row of an area has its value; below it, nobody knows.
        Fault { column: (self.first_column - 1) as usize, code: "merged-cells", message, lost: false }
    }
}

/// `C5`; both counted from 1.
pub(super) fn cell_name(mut column: u64, row: u64) -> String {
    let mut letters = Vec::new();
    while column > 0 {
        letters.push(b'A' + ((column - 1) % 26) as u8);
        column = (column - 1) / 26;
    }
    letters.reverse();
    format!("{}{row}", String::from_utf8_lossy(&letters))
}

/// Column and row of a name such as `AB12`, both from 1.
pub(super) fn cell_place(name: &str) -> Option<(u64, u64)> {
    let letters = name.bytes().take_while(u8::is_ascii_uppercase).count();
    if letters == 0 || letters > 3 {
        return None;
    }
    let column = name.bytes().take(letters).fold(0, |sum, letter| sum * 26 + u64::from(letter - b'A') + 1);
    Some((column, name.get(letters..)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_have_names() {
        for (name, place) in [("A1", (1, 1)), ("Z9", (26, 9)), ("AA10", (27, 10)), ("XFD1048576", (16_384, 1_048_576))]
        {
            assert_eq!(cell_place(name), Some(place));
            assert_eq!(cell_name(place.0, place.1), name);
        }
        for name in ["", "12", "A", "ABCD1", "a1"] {
            assert_eq!(cell_place(name), None, "{name}");
        }
    }
}
