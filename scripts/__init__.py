"""Programs that ``make`` runs: tables, figures of speed, and what no verdict notices."""
