"""The laboratory: replay, drive, route, evaluate and simulate on outcome data. Never imported by serving."""
