PYTHON ?= python

.PHONY: docs linkcheck

# The site, in docs/_build/html; needs the extra `docs`, and no network. Every cell is executed, a warning is an error.
docs:
	rm -rf docs/_build/html
	$(PYTHON) -m sphinx -W --keep-going -q -j 2 -b html docs docs/_build/html

# Asks every address that the site names whether it is there.
linkcheck:
	$(PYTHON) -m sphinx -W --keep-going -q -D nb_execution_mode=off -D suppress_warnings=myst-nb.lexer -b linkcheck docs docs/_build/linkcheck

# What the studies have for a GPU, most telling first; results and networks that are done go into OUT. A stopped run goes
# on where it was; `python -m analysis.gpu_studies --merge FOLDER` takes over what it found.
OUT ?= results/.cache/gpu_out
MINUTES ?= 12

.PHONY: gpu-studies
gpu-studies:
	$(PYTHON) -m analysis.gpu_studies --out '$(OUT)' --minutes $(MINUTES)

# The rest needs the extra `bench`; see benchmarks/README.md.
RAW = results/.cache/benchmarks.json
RAW_PREDICTION = results/.cache/prediction_benchmarks.json
RUN = OMP_NUM_THREADS=1 $(PYTHON) -m pytest --benchmark-quiet
REGIONS = benchmarks --ignore benchmarks/test_prediction.py --benchmark-json=$(RAW)
PREDICTION = benchmarks/test_prediction.py --benchmark-json=$(RAW_PREDICTION)

.PHONY: benchmark benchmark-prediction benchmark-quick

benchmark:
	mkdir -p $(dir $(RAW))
	$(RUN) $(REGIONS)
	$(PYTHON) -m benchmarks.report $(RAW)

benchmark-prediction:
	mkdir -p $(dir $(RAW))
	$(RUN) $(PREDICTION)
	$(PYTHON) -m benchmarks.report $(RAW_PREDICTION)

# Only whether everything runs and agrees: prints the tables, writes no results.
benchmark-quick: export TROPNET_BENCHMARK_QUICK = 1
benchmark-quick:
	mkdir -p $(dir $(RAW))
	$(RUN) $(REGIONS)
	$(PYTHON) -m benchmarks.report $(RAW) --dry-run
	$(RUN) $(PREDICTION)
	$(PYTHON) -m benchmarks.report $(RAW_PREDICTION) --dry-run
