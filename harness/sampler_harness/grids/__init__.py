"""The checks of grids: functions that return levels, held against a grid of the papers."""
