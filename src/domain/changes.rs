//! What a turn changed with all of its runs: one that is parked tells it when it ends.

use super::file::{Change, ChangedFile, MAX_CHANGES_LISTED, TurnFiles};

impl TurnFiles {
    /// The same of a turn that had told `before` when it was parked: what it changed is what it changed in all.
    #[must_use]
    pub fn after(self, before: Self) -> Self {
        let count = |files: &Self| files.changed_total.unwrap_or(files.changed.len() as u64);
        let mut total = count(&before) + count(&self);
        let mut changed = before.changed;
        for file in self.changed {
            let Some(at) = changed.iter().position(|known| known.path == file.path) else {
                changed.push(file);
                continue;
            };
            let known = changed.swap_remove(at);
            total = total.saturating_sub(1);
            let change = match (known.change, file.change) {
                (Change::Added, Change::Deleted) => {
                    total = total.saturating_sub(1);
                    continue;
                }
                (Change::Added, _) => Change::Added,
                (Change::Deleted, Change::Added) => Change::Modified,
                (_, change) => change,
            };
            changed.push(ChangedFile { change, ..file });
        }
        changed.sort_by(|a, b| a.path.as_str().cmp(b.path.as_str()));
        changed.truncate(MAX_CHANGES_LISTED);
        let changed_total = Some(total).filter(|total| *total > changed.len() as u64);
        Self { changed, changed_total, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::file::Unsaved;

    #[test]
    fn what_a_turn_changed_in_its_runs_is_what_it_changed_in_all() {
        use Change::{Added, Deleted, Modified};
        let files = |version, changes: &[(&str, Change)], changed_total| {
            let changed = changes.iter().map(|(path, change)| ChangedFile {
                path: path.parse().unwrap(),
                change: *change,
                size: Some(version).filter(|_| *change != Change::Deleted),
            });
            TurnFiles { changed: changed.collect(), changed_total, ..TurnFiles::unchanged(version) }
        };
        let before = files(4, &[("a", Added), ("b", Added), ("c", Deleted), ("d", Modified), ("z", Modified)], None);
        let now = files(5, &[("a", Modified), ("b", Deleted), ("c", Added), ("d", Deleted), ("e", Added)], Some(9));
        let in_all = now.after(before);
        let told: Vec<_> = in_all.changed.iter().map(|file| (file.path.as_str(), file.change, file.size)).collect();
        let expected = [
            ("a", Added, Some(5)),
            ("c", Modified, Some(5)),
            ("d", Deleted, None),
            ("e", Added, Some(5)),
            ("z", Modified, Some(4)),
        ];
        assert_eq!((told, in_all.version, in_all.changed_total), (expected.to_vec(), 5, Some(9)));
        let many: Vec<String> = (0..MAX_CHANGES_LISTED).map(|n| format!("f{n}")).collect();
        let many: Vec<(&str, Change)> = many.iter().map(|path| (path.as_str(), Added)).collect();
        let in_all = TurnFiles::unsaved(4, Unsaved::TooLarge).after(files(4, &many, Some(120)).after(files(
            3,
            &[("g", Added)],
            None,
        )));
        assert_eq!((in_all.changed.len(), in_all.changed_total, in_all.saved), (MAX_CHANGES_LISTED, Some(121), false));
    }
}
