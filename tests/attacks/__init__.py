"""Hostile files, made by code, and the commands that must refuse them.

`cases` lists them all; `archives`, `configs`, `weights`, `bundles` and `texts` make them; `sandbox`
runs a command in this process and watches what it does. No file here is one: git holds no bomb.
"""
