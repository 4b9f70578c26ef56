"""Long checks: faults at every write, kills at any moment, damaged files by the thousand, memory over many fits.

Each is a script, ``python -m tests.endurance.NAME``; a short form of it stands beside it as a test.
"""
