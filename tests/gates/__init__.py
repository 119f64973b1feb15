"""Gates: what judges every template, by its report and not by its exit status. See docs/gates.md."""
