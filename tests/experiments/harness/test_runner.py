"""What an experiment does to its process."""

import os
import platform
import subprocess
import sys

import pytest

FAULTS_AT_EACH_USE = """
import resource
import numpy as np
from experiments.harness import runner
if {keep}:
    runner.keep_freed_memory()
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(16 << 20)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc's malloc")
def test_memory_that_was_freed_is_used_again_without_page_faults():
    def faults(keep: bool) -> list[int]:
        command = [sys.executable, "-c", FAULTS_AT_EACH_USE.format(keep=keep)]
        environment = {k: v for k, v in os.environ.items() if k != "GLIBC_TUNABLES"}
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        return [int(line) for line in done.stdout.split()]

    assert min(faults(keep=False)) > 100
    assert max(faults(keep=True)[1:]) < 10
