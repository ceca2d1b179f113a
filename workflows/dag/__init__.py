"""The DAG compiler and engine. Pure: runs without Temporal."""
