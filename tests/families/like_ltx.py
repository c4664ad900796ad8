"""Tiny pipelines with the architecture of LTX-Video."""

import diffusers

from tests import families


def condition():
    parts = {**families.ltx().components, "scheduler": diffusers.FlowMatchEulerDiscreteScheduler()}
    return diffusers.LTXConditionPipeline(**parts)
