#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run_flashinfer_tests.sh FILE [PYTEST ARGUMENTS]: FlashInfer's own test file of its norms (in its
# repository tests/utils/test_norm.py) against the installed rmsjit, under FlashInfer's names
# (flashinfer_names.py). Needs a GPU, torch and pytest; PYTHON names another interpreter. Ends with
# each reason for a skip and how many tests it holds back.
set -euo pipefail
file=${1:?usage: run_flashinfer_tests.sh FILE [PYTEST ARGUMENTS]}
shift
here=$(cd "$(dirname "$0")" && pwd)
PYTHONPATH=$here${PYTHONPATH:+:$PYTHONPATH} exec "${PYTHON:-python3}" -m pytest -q -rs --no-header \
  -p flashinfer_names -p no:cacheprovider --rootdir "$(dirname "$file")" "$file" "$@"
