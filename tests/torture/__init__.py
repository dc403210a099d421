"""The long part of the reliability tests: what `make torture` measures for `docs/reliability.md`.

A row of the table is a module here, named in `table.ROWS`, with one function, `measure()`, that
returns a `table.Measured`. Everything runs on loopback and within bounded time.
"""
