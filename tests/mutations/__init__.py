"""Wrong exports, made on purpose, and who notices them: this project's gates and its peers' checks.

`python -m tests.mutations` makes every mutant, has it judged by the product's own comparison and by
the published defaults of other tools, and writes `scores.json` and the tables of
`docs/mutations.md`.
"""
