# SPDX-License-Identifier: Apache-2.0
"""Parts of tools/bench/bench.py. Only device.py, tensors.py, checks.py and the adapters need
torch."""
