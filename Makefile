# Needs the extra `bench`; see benchmarks/README.md.
PYTHON ?= python
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
