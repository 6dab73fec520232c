"""The faults that the linter has to find, each by itself."""

from __future__ import annotations

from faults_of_files import FILES, SPELLING, TASKS
from faults_of_gates import AFTER, GATE
from faults_of_parameters import PARAMETERS, REFERENCES
from faults_of_runs import COMPUTE, RIGHTS, RUNS

FAULTS = [*FILES, *SPELLING, *TASKS, *REFERENCES, *PARAMETERS, *GATE, *AFTER, *COMPUTE, *RUNS, *RIGHTS]
