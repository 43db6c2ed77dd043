"""ACAS Xu: every usual instance decided exactly, its regions counted, beside published verdicts."""
