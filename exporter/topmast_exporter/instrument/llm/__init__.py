"""Hooks into the SDKs of model providers, one module each, and `record_llm_call` for whatever has no hook."""

from topmast_exporter.instrument.llm.record import Usage, current_feature, feature, labels, record_llm_call

__all__ = ["Usage", "current_feature", "feature", "labels", "record_llm_call"]
