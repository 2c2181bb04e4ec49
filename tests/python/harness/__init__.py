# SPDX-License-Identifier: Apache-2.0
"""Real programs around culvert, for the tests, the demo and whoever tries something by hand.

Everything listens on loopback, lives in one temporary folder, has a deadline, and ends what it started, by process id.
Only the standard library of Python 3.11 is used.
"""
