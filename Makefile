# Needs the extra `bench`; see benchmarks/README.md.
PYTHON ?= python
RAW = results/.cache/benchmarks.json
RUN = OMP_NUM_THREADS=1 $(PYTHON) -m pytest benchmarks --benchmark-quiet --benchmark-json=$(RAW)

.PHONY: benchmark benchmark-quick

benchmark:
	mkdir -p $(dir $(RAW))
	$(RUN)
	$(PYTHON) -m benchmarks.report $(RAW)

# Only whether everything runs and agrees: prints the table, writes no results.
benchmark-quick:
	mkdir -p $(dir $(RAW))
	TROPNET_BENCHMARK_QUICK=1 $(RUN)
	TROPNET_BENCHMARK_QUICK=1 $(PYTHON) -m benchmarks.report $(RAW) --dry-run
