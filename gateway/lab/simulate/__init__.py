"""A fleet under a trace of queries, in virtual time: what each method costs, keeps and makes people wait."""
