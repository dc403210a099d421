"""The conformance matrix: every layer and topology, in every format, beside what others make of it.

`python -m tests.conformance` (`make conformance`) measures and writes docs/conformance.md. Owns
what is measured (`rows`), how our formats (`bench`) and the others' converters (`peers`) are
measured, and the document (`document`). May import the zoo and everything of the exporter.
"""
